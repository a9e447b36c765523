//! Pods that are not as they should be, beside one that is.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::container::Container;
use crate::feed::Feed;
use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::lab::{Lab, container};
use crate::replay::tcpconnect;
use crate::scene::{add_node, leftovers, node};

/// Containers of the pod with many.
const MANY: usize = 12;

/// A pod with the label, and what its kubelet says of it.
async fn odd(lab: &Lab, name: &str, spec: Value, status: Value) {
    lab.pod(name, json!({"app": "odd"}), spec).await;
    lab.set_status(name, status).await;
}

fn state(phase: &str, id: Option<&str>, restarts: u32, state: &Value) -> Value {
    let mut status = container("app", id, state.clone());
    status["restartCount"] = restarts.into();
    json!({"phase": phase, "containerStatuses": [status]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_traced_is_and_the_rest_is_named() {
    let lab = Lab::new().await;
    let node = node(&lab);
    add_node(&lab, &node).await;
    let on_node = json!({"nodeName": node});
    let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
    let known = format!("containerd://{}", "ab".repeat(32));
    let known = Some(known.as_str());

    odd(&lab, "pending", json!({}), json!({"phase": "Pending"})).await;
    let crashing = state("Running", known, 7, &waiting("CrashLoopBackOff"));
    odd(&lab, "crashing", on_node.clone(), crashing).await;
    let fresh = state("Running", None, 0, &running);
    odd(&lab, "fresh", on_node.clone(), fresh).await;
    let pulling = state("Pending", None, 0, &waiting("ImagePullBackOff"));
    odd(&lab, "pulling", on_node.clone(), pulling).await;
    let over = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    odd(
        &lab,
        "over",
        on_node.clone(),
        state("Succeeded", known, 0, &over),
    )
    .await;
    let host_pid = json!({"nodeName": node, "hostPID": true});
    odd(&lab, "host", host_pid, state("Running", known, 0, &running)).await;

    // With dots in its name, as static pods have, a sidecar that does not run, and more than a few that do.
    let dotted = "kube.web-v1.0";
    let containers: Vec<_> = (0..MANY).map(|_| Container::start()).collect();
    let mut names: Vec<_> = (0..MANY).map(|number| format!("c{number}")).collect();
    let mut statuses: Vec<_> = containers
        .iter()
        .zip(&names)
        .map(|(one, name)| container(name, Some(&one.api_id()), running.clone()))
        .collect();
    statuses.push(container("idle", None, waiting("PodInitializing")));
    names.push("idle".to_owned());
    let spec: Vec<_> = names
        .iter()
        .map(|name| json!({"name": name, "image": "i"}))
        .collect();
    odd(
        &lab,
        dotted,
        json!({"nodeName": node, "containers": spec}),
        json!({"phase": "Running", "containerStatuses": statuses}),
    )
    .await;

    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let arguments = ["-l", "app=odd", "--probes", "tcpconnect", "-o", "json"];
    let mut hub = Hub::start(trace(&lab, &arguments));
    for (container, name) in containers.iter().zip(&names) {
        let _feeding = feed.line(tcpconnect(container.pid, name, 80));
        let record = hub.record(name).await;
        assert_eq!(
            (record["pod"].as_str(), record["container"].as_str()),
            (Some(dotted), Some(name.as_str())),
            "{record}"
        );
    }
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    for (pod, why) in [
        ("pending", "it is on no node yet"),
        (
            "crashing",
            "its container app crashes again and again (7 restarts",
        ),
        ("fresh", "its container app has no container ID yet"),
        (
            "pulling",
            "its container app is not running (waiting: ImagePullBackOff)",
        ),
        ("over", "it has finished (Succeeded)"),
        ("host", "it uses the node's PID namespace (hostPID)"),
    ] {
        let line = ended.said.lines().find(|line| {
            line.contains("left out: ") && line.contains(&format!("{}/{pod}", lab.namespace))
        });
        assert!(
            line.is_some_and(|line| line.contains(why)),
            "{pod}: {line:?} in {}",
            ended.said
        );
    }
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}
