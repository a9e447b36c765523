//! `--wait`: what is to be traced need not be there yet.

use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::container::Container;
use crate::hub::{Hub, trace, x_tracer};
use crate::kubelet::Kubelet;
use crate::lab::running;
use crate::replay::tcpconnect;
use crate::scene::{leftovers, node, tools, with_web};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_comes_later_is_waited_for() {
    let (lab, _web) = with_web().await;
    let late = Container::start();
    let tools = tools(&[tcpconnect(late.pid, "curl", 80)]);
    let _kubelet = Kubelet::start(&lab, tools.path());
    let arguments = ["-l", "app=late", "--wait", "--probes", "tcpconnect"];
    let mut hub = Hub::start(trace(&lab, &arguments));
    hub.said_until("waiting: no pod matches -l app=late").await;
    let spec = json!({"nodeName": node(&lab)});
    lab.pod("late", json!({"app": "late"}), spec).await;
    lab.set_status("late", running(&late.api_id())).await;
    hub.until("PNAME:curl").await;
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(leftovers(&lab).await, [""; 0]);
}

/// Waits for nothing, and says why.
async fn refused(mut command: Command, words: &str) {
    command.args(["--wait", "--probes", "tcpconnect"]);
    let ended = Hub::start(command).end().await;
    assert_eq!(ended.code, Some(3), "{words:?}: {}", ended.said);
    assert!(ended.said.contains(words), "{words:?} in {}", ended.said);
    assert!(!ended.said.contains("waiting: "), "{}", ended.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waiting_does_not_change_is_said_at_once() {
    let (lab, _web) = with_web().await;
    let host = json!({"nodeName": node(&lab), "hostPID": true});
    lab.pod("host", json!({"app": "host"}), host.clone()).await;
    let mut nowhere = x_tracer(&lab);
    nowhere.args(["trace", "-n", "nowhere", "web"]);
    refused(nowhere, "there is no namespace nowhere").await;
    for (arguments, words) in [
        (
            ["web", "-c", "other"].as_slice(),
            "it has no container \"other\"",
        ),
        (
            &["-l", "app=web", "-c", "other"],
            "it has no container \"other\"",
        ),
        (&["host"], "with --host-pid-ok"),
    ] {
        refused(trace(&lab, arguments), words).await;
    }

    // One that comes while it is waited for.
    let arguments = ["late", "--wait", "--probes", "tcpconnect"];
    let mut hub = Hub::start(trace(&lab, &arguments));
    hub.said_until("waiting: there is no pod \"late\"").await;
    lab.pod("late", json!({}), host).await;
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(3), "{}", ended.said);
    assert!(ended.said.contains("with --host-pid-ok"), "{}", ended.said);
}
