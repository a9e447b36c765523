//! Pods in the node's own PID namespace: refused, or told from the rest by their cgroup.

use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::container::Container;
use crate::hub::{Hub, program, trace};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_of_this_machine_is_traced_alone_when_that_is_asked_for() {
    let container = Container::start_with_host_pid();
    let tools = tools(&[
        tcpconnect(std::process::id(), "host", 81),
        tcpconnect(container.pid, "curl", 80),
    ]);
    let local = |arguments: &[&str]| {
        let mut command = Command::new(program());
        command
            .env("XTRACER_TOOLS_DIR", tools.path())
            .args(["local", "--probes", "tcpconnect", "-o", "json"])
            .args(arguments);
        Hub::start(command)
    };
    let refused = local(&["--container", &container.id]).end().await;
    assert_ne!(refused.code, Some(0), "{}", refused.said);
    assert!(refused.said.contains("--host-pid-ok"), "{}", refused.said);
    let pid = std::process::id().to_string();
    let refused = local(&["--pid", &pid, "--host-pid-ok"]).end().await;
    assert_eq!(refused.code, Some(2), "{}", refused.said);

    let mut hub = local(&["--container", &container.id, "--host-pid-ok"]);
    assert_eq!(hub.record("curl").await["pid"], container.pid);
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!((ended.code, &*ended.shown), (Some(0), ""), "{}", ended.said);
}
