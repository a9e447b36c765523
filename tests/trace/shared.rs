//! Pods whose containers have one PID namespace in common: each record has the container whose process it is.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::container::Container;
use crate::feed::Feed;
use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::lab::{Lab, container};
use crate::replay::tcpconnect;
use crate::scene::{add_node, leftovers, node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_of_a_shared_pid_namespace_is_known_by_its_cgroup() {
    let lab = Lab::new().await;
    let node = node(&lab);
    add_node(&lab, &node).await;
    // The namespace's first process is the pause container's, which no status shows.
    let pause = Container::start();
    let (app, sidecar) = (Container::start_in(&pause), Container::start_in(&pause));
    let names = ["app", "sidecar"];
    let spec = names.map(|name| json!({"name": name, "image": "i"}));
    let spec = json!({"nodeName": node, "shareProcessNamespace": true, "containers": spec});
    lab.pod("shared", json!({}), spec).await;
    let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    let statuses = [("app", &app), ("sidecar", &sidecar)]
        .map(|(name, one)| container(name, Some(&one.api_id()), running.clone()));
    let status = json!({"phase": "Running", "containerStatuses": statuses});
    lab.set_status("shared", status).await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let arguments = ["shared", "--probes", "tcpconnect", "-o", "json"];
    let mut hub = Hub::start(trace(&lab, &arguments));
    for (container, name) in [(&sidecar, "sidecar"), (&app, "app")] {
        let _feeding = feed.line(tcpconnect(container.pid, name, 80));
        let record = hub.record(name).await;
        assert_eq!(record["container"], name, "{record}");
    }
    let _nobodys = feed.line(tcpconnect(pause.pid, "pause", 80));
    let _feeding = feed.line(tcpconnect(app.pid, "last", 80));
    loop {
        let record: Value = serde_json::from_str(&hub.line().await).unwrap();
        assert_ne!(record["comm"], "pause", "{record}");
        if record["comm"] == "last" {
            break;
        }
    }
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(!ended.said.contains("outside 0 "), "{}", ended.said);
    assert!(!ended.shown.contains("pause"), "{}", ended.shown);
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}
