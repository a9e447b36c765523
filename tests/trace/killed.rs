//! A hub that was killed: its agents end themselves, and the next one sweeps.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::timeout;
use x_k8s::rollout;

use crate::hub::{Hub, trace, x_tracer};
use crate::kubelet::Kubelet;
use crate::lab::Lab;
use crate::replay::tcpconnect;
use crate::scene::{leftovers, tools, with_web};

/// Longer than an agent traces on when nobody listens.
const UNHEARD: Duration = Duration::from_secs(240);

async fn cleanup(lab: &Lab, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = x_tracer(lab);
    command.arg("cleanup").args(arguments);
    let ended = Hub::start(command).end().await;
    (ended.code, ended.said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_end_themselves_and_cleanup_sweeps() {
    let (lab, container) = with_web().await;
    let tools = tools(&[tcpconnect(container.pid, "curl", 80)]);
    let _kubelet = Kubelet::start(&lab, tools.path());
    let arguments = ["web", "--probes", "tcpconnect"];
    let mut hub = Hub::start(trace(&lab, &arguments));
    hub.until("PNAME:curl").await;
    let agent = lab.pods().list(&Kubelet::ours()).await.unwrap();
    let agent = x_k8s::core::Pod::clone(&agent.items[0]);

    let (code, said) = cleanup(&lab, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("left alone: the session"), "{said}");
    assert!(said.contains(" of tester@"), "{said}");

    hub.signal(Signal::SIGKILL);
    let running = rollout::Running {
        namespace: lab.namespace.clone(),
        name: agent.metadata.name.unwrap(),
        uid: agent.metadata.uid.unwrap(),
        node: String::new(),
        ip: None,
    };
    let ended = timeout(UNHEARD, rollout::ended(&lab.cluster, &running));
    let ended = ended.await.expect("the agent ends itself");
    assert_eq!(ended.exit_code, Some(1), "{ended:?}");
    assert!(
        ended.said.contains("nobody has listened: the hub is gone"),
        "{ended:?}"
    );

    // The next hub says so, and its own session is none of it.
    let mut next = Hub::start(trace(&lab, &arguments));
    next.until("PNAME:curl").await;
    let (code, said) = cleanup(&lab, &["--dry-run"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("would be removed: the session"), "{said}");
    let (code, said) = cleanup(&lab, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("removed 1 pods"), "{said}");
    assert_eq!(
        leftovers(&lab).await.len(),
        2,
        "the next one's pod and Secret"
    );
    next.signal(Signal::SIGTERM);
    let ended = next.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(
        ended.said.contains("1 earlier sessions have left pods"),
        "{}",
        ended.said
    );
    assert_eq!(leftovers(&lab).await, [""; 0]);
}
