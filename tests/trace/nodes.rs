//! Pods on several nodes.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::container::Container;
use crate::feed::Feed;
use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::replay::tcpconnect;
use crate::scene::{add_node, add_pod, leftovers, node, with_web};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_has_an_agent_and_all_records_come_in_one_stream() {
    let (lab, web) = with_web().await;
    let (here, there) = (node(&lab), format!("{}.example", node(&lab)));
    add_node(&lab, &there).await;
    let (second, third) = (Container::start(), Container::start());
    add_pod(&lab, "web-2", &there, &second).await;
    add_pod(&lab, "web-3", &there, &third).await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let arguments = ["-l", "app=web", "--probes", "tcpconnect", "-o", "json"];
    let mut hub = Hub::start(trace(&lab, &arguments));
    for (container, node, pod) in [
        (&web, &here, "web"),
        (&second, &there, "web-2"),
        (&third, &there, "web-3"),
    ] {
        let _feeding = feed.line(tcpconnect(container.pid, pod, 80));
        let record = hub.record(pod).await;
        for (name, value) in [
            ("node", node.as_str()),
            ("namespace", &lab.namespace),
            ("pod", pod),
            ("container", "app"),
        ] {
            assert_eq!(record[name], value, "{name} of {record}");
        }
    }
    let made = leftovers(&lab).await;
    assert_eq!(
        made.len(),
        4,
        "a pod and a Secret on each node, however many pods it has: {made:?}"
    );

    // One agent is evicted: the other one goes on.
    let all = lab.pods().list(&Kubelet::ours()).await.unwrap();
    let lost = all
        .iter()
        .find(|pod| pod.spec.as_ref().unwrap().node_name.as_ref() == Some(&there))
        .and_then(|pod| pod.metadata.name.as_deref());
    let evicted =
        json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."});
    lab.set_status(lost.unwrap(), evicted).await;
    hub.said_until(&format!(
        "the agent on the node {there} ended by itself (Failed, Evicted), saying: The node was low on memory."
    ))
    .await;
    let _feeding = feed.line(tcpconnect(web.pid, "rest", 80));
    hub.record("rest").await;
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}
