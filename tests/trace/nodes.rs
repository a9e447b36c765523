//! Pods on several nodes.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::container::Container;
use crate::feed::Feed;
use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::lab::running;
use crate::nats_server::NatsServer;
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

    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}

/// That a record is of the first container of a pod on a node.
fn assert_place(record: &Value, node: &str, pod: &str) {
    for (name, value) in [("node", node), ("pod", pod), ("container", "app")] {
        assert_eq!(record[name], value, "{name} of {record}");
    }
}

/// A pod that comes to a node without an agent while the session runs is traced there, with these arguments;
/// and one more on the same node.
async fn traced_on_a_second_node(arguments: &[&str]) {
    let (lab, web) = with_web().await;
    let (here, there) = (node(&lab), format!("{}.example", node(&lab)));
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let selector = ["-l", "app=web", "--probes", "tcpconnect", "-o", "json"];
    let mut hub = Hub::start(trace(&lab, &[&selector, arguments].concat()));
    let feeding = feed.line(tcpconnect(web.pid, "before", 80));
    assert_place(&hub.record("before").await, &here, "web");
    drop(feeding);

    add_node(&lab, &there).await;
    let (second, third) = (Container::start(), Container::start());
    add_pod(&lab, "web-2", &there, &second).await;
    // Ordered from an agent that is on its way up.
    add_pod(&lab, "web-3", &there, &third).await;
    let feeding = feed.line(tcpconnect(second.pid, "second", 80));
    assert_place(&hub.record("second").await, &there, "web-2");
    drop(feeding);
    let feeding = feed.line(tcpconnect(third.pid, "third", 80));
    assert_place(&hub.record("third").await, &there, "web-3");
    drop(feeding);
    // The first agent has noticed nothing of it.
    let _feeding = feed.line(tcpconnect(web.pid, "after", 80));
    assert_place(&hub.record("after").await, &here, "web");
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    for words in [
        format!(
            "the container app of {}/web-2 has started on the node {there}, which has no agent: one comes",
            lab.namespace
        ),
        format!("{there}: running"),
        "probes attached 2/2".to_owned(),
        format!("{here}: tcpconnect: printed "),
        format!("{there}: tcpconnect: printed "),
        "complete: every record that was published is shown".to_owned(),
    ] {
        assert!(ended.said.contains(&words), "{words:?} in {}", ended.said);
    }
    assert!(
        !ended.said.contains("lost the connection"),
        "{}",
        ended.said
    );
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_on_another_node_gets_an_agent_there() {
    traced_on_a_second_node(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_on_another_node_gets_an_agent_that_uses_the_users_server() {
    let server = NatsServer::start();
    traced_on_a_second_node(&["--nats", &server.url()]).await;
}

/// A server of the user's may let agents and hub do no more than it must.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forbids_orders_is_named_and_the_others_go_on() {
    let (lab, web) = with_web().await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let rights = r#"permissions: { publish: ["xtracer.>", "_INBOX.>"], subscribe: ["xtracer.>", "_INBOX.>"] }"#;
    let users = format!("authorization {{ users: [ {{ user: u, password: p, {rights} }} ] }}");
    let server = NatsServer::with_config(&users);
    let mut command = trace(
        &lab,
        &["-l", "app=web", "--probes", "tcpconnect", "-o", "json"],
    );
    command.args(["--nats", &server.url(), "--user", "u", "--password-file"]);
    let password = NamedTempFile::new().unwrap();
    fs::write(password.path(), "p").unwrap();
    command.arg(password.path());
    let mut hub = Hub::start(command);
    let feeding = feed.line(tcpconnect(web.pid, "before", 80));
    hub.record("before").await;
    drop(feeding);
    let second = Container::start();
    add_pod(&lab, "web-2", &node(&lab), &second).await;
    hub.said_until("and is not traced: the server does not let us give orders (")
        .await;
    let _feeding = feed.line(tcpconnect(web.pid, "after", 80));
    hub.record("after").await;
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_gets_no_agent_is_named_and_the_others_go_on() {
    let (lab, web) = with_web().await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let arguments = ["-l", "app=web", "--probes", "tcpconnect", "-o", "json"];
    let mut hub = Hub::start(trace(&lab, &arguments));
    let feeding = feed.line(tcpconnect(web.pid, "before", 80));
    hub.record("before").await;
    drop(feeding);
    // The API server knows the pod, and no such node.
    let second = Container::start();
    add_pod(&lab, "web-2", "nowhere.example", &second).await;
    hub.said_until("the node nowhere.example gets no agent: ")
        .await;
    // Its agent finds no such container, and the next one would not either.
    let there = format!("{}.example", node(&lab));
    add_node(&lab, &there).await;
    for (pod, id, what) in [
        ("web-3", "ab", "(Error, exit status 3)"),
        ("web-4", "cd", "whose agent has ended, and is not traced"),
    ] {
        lab.pod(pod, json!({"app": "web"}), json!({"nodeName": there}))
            .await;
        let gone = format!("containerd://{}", id.repeat(32));
        lab.set_status(pod, running(&gone)).await;
        hub.said_until(what).await;
    }
    let _feeding = feed.line(tcpconnect(web.pid, "after", 80));
    hub.record("after").await;
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(
        ended.said.contains("the agent said nothing of it"),
        "{}",
        ended.said
    );
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}
