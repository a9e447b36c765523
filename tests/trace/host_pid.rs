//! Pods in the node's own PID namespace: refused, or told from the rest by their cgroup.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::container::Container;
use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::lab::running;
use crate::replay::tcpconnect;
use crate::scene::{leftovers, node, tools, with_web};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_pid_pod_is_traced_alone_when_that_is_asked_for() {
    let (lab, web) = with_web().await;
    let container = Container::start_with_host_pid();
    let spec = json!({"nodeName": node(&lab), "hostPID": true});
    lab.pod("host", json!({}), spec).await;
    lab.set_status("host", running(&container.api_id())).await;
    let tools = tools(&[
        tcpconnect(std::process::id(), "node", 81),
        tcpconnect(web.pid, "web", 82),
        tcpconnect(container.pid, "curl", 80),
    ]);
    let _kubelet = Kubelet::start(&lab, tools.path());

    let refused = Hub::start(trace(&lab, &["host"])).end().await;
    assert_eq!(refused.code, Some(3), "{}", refused.said);
    assert!(
        refused.said.contains("with --host-pid-ok"),
        "{}",
        refused.said
    );

    let arguments = [
        "host",
        "--host-pid-ok",
        "--probes",
        "tcpconnect",
        "-o",
        "json",
    ];
    let mut hub = Hub::start(trace(&lab, &arguments));
    let record = hub.line().await;
    assert!(!record.is_empty(), "{}", hub.end().await.said);
    assert!(record.contains(r#""comm":"curl""#), "{record}");
    assert!(record.contains(r#""pod":"host""#), "{record}");
    assert!(
        record.contains(&format!(r#""pid_ns":{}"#, container.pid)),
        "{record}"
    );
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!((ended.code, &*ended.shown), (Some(0), ""), "{}", ended.said);
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}
