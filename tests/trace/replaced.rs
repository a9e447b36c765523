//! Agents that others end: the next one takes their place, and what was lost is told.

use kube::api::DeleteParams;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::container::Container;
use crate::feed::Feed;
use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::lab::{Lab, running};
use crate::replay::tcpconnect;
use crate::scene::{add_node, add_pod, leftovers, node, with_web};

/// The pod of the agent on a node.
async fn agent(lab: &Lab, node: &str) -> String {
    let all = lab.pods().list(&Kubelet::ours()).await.unwrap();
    let here = all
        .items
        .into_iter()
        .find(|pod| pod.spec.as_ref().unwrap().node_name.as_deref() == Some(node));
    here.and_then(|pod| pod.metadata.name).expect("an agent")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evicted_agent_is_replaced_and_the_other_one_goes_on() {
    let (lab, web) = with_web().await;
    let (here, there) = (node(&lab), format!("{}.example", node(&lab)));
    add_node(&lab, &there).await;
    let second = Container::start();
    add_pod(&lab, "web-2", &there, &second).await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let arguments = ["-l", "app=web", "--probes", "tcpconnect", "-o", "json"];
    let mut hub = Hub::start(trace(&lab, &arguments));
    let feeding = feed.line(tcpconnect(second.pid, "before", 80));
    assert_eq!(hub.record("before").await["node"], there.as_str());
    drop(feeding);

    let why = "The node was low on memory.";
    Kubelet::evict(&lab, &agent(&lab, &there).await, why).await;
    hub.said_until(&format!(
        "the agent on the node {there} was taken away (Failed, Evicted), saying: The node was low on memory.; another one comes"
    ))
    .await;
    let feeding = feed.line(tcpconnect(web.pid, "meanwhile", 80));
    assert_eq!(hub.record("meanwhile").await["node"], here.as_str());
    drop(feeding);
    hub.said_until(&format!("{there}: running")).await;
    let _feeding = feed.line(tcpconnect(second.pid, "after", 80));
    assert_eq!(hub.record("after").await["node"], there.as_str());
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    for words in [
        "probes attached 2/2".to_owned(),
        format!("the agent on the node {there} was replaced 1 times"),
        "numbered anew 1".to_owned(),
    ] {
        assert!(ended.said.contains(&words), "{words:?} in {}", ended.said);
    }
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_agent_is_replaced_when_somebody_deletes_it() {
    let (lab, first) = with_web().await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let arguments = ["web", "--probes", "tcpconnect", "-o", "json", "--strict"];
    let mut hub = Hub::start(trace(&lab, &arguments));
    let feeding = feed.line(tcpconnect(first.pid, "before", 80));
    hub.record("before").await;
    drop(feeding);
    let pod = agent(&lab, &node(&lab)).await;
    lab.pods()
        .delete(&pod, &DeleteParams::default())
        .await
        .unwrap();
    hub.said_until("was taken away (deleted); another one comes")
        .await;
    let _feeding = feed.line(tcpconnect(first.pid, "after", 80));
    hub.record("after").await;
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(6), "a loss: {}", ended.said);
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}

/// An agent that can't find what it is to trace would not find it the next time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_fails_ends_its_part_alone() {
    let (lab, web) = with_web().await;
    let there = format!("{}.example", node(&lab));
    add_node(&lab, &there).await;
    // A container that the node has no more.
    lab.pod("web-2", json!({"app": "web"}), json!({"nodeName": there}))
        .await;
    let gone = format!("containerd://{}", "ab".repeat(32));
    lab.set_status("web-2", running(&gone)).await;
    // The API server knows this one, and no such node.
    let second = Container::start();
    add_pod(&lab, "web-3", "nowhere.example", &second).await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let arguments = ["-l", "app=web", "--probes", "tcpconnect", "-o", "json"];
    let mut hub = Hub::start(trace(&lab, &arguments));
    hub.said_until("the node nowhere.example gets no agent, and what is there is not traced: ")
        .await;
    hub.said_until("exit status 3), saying: ").await;
    hub.said_until("probes attached 1/2").await;
    let _feeding = feed.line(tcpconnect(web.pid, "curl", 80));
    hub.record("curl").await;
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(
        ended.said.contains("not all that was asked for was traced"),
        "{}",
        ended.said
    );
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}
