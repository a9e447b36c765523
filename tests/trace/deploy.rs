//! From a pod's name to its processes' events, and back to nothing.

use std::fmt::{Debug, Write as _};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::container::Container;
use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::lab::{Lab, running};
use crate::replay::{TCPCONNECT_HEADER, Tools, tcpconnect};

/// A lab with a node and a pod `web` on it, whose container really runs.
async fn with_web() -> (Lab, Container) {
    let lab = Lab::new().await;
    let node = node(&lab);
    let addresses = json!([{"type": "InternalIP", "address": "127.0.0.1"}]);
    lab.node(&node, addresses, Some(&node)).await;
    let container = Container::start();
    lab.pod("web", json!({"app": "web"}), json!({"nodeName": node}))
        .await;
    lab.set_status("web", running(&container.api_id())).await;
    (lab, container)
}

/// Nodes have no namespace: each lab has its own.
fn node(lab: &Lab) -> String {
    format!("node-{}", lab.namespace)
}

/// A tool that prints these lines and waits for its end.
fn tools(lines: &[String]) -> Tools {
    let mut python = format!("import signal\nprint({TCPCONNECT_HEADER:?})\n");
    for line in lines {
        writeln!(python, "print({line:?})").unwrap();
    }
    python.push_str("signal.pause()\n");
    Tools::new().script("tcpconnect", &python)
}

/// What is left of sessions in a lab.
async fn leftovers(lab: &Lab) -> Vec<String> {
    let mut left = names::<Pod>(lab).await;
    left.extend(names::<Secret>(lab).await);
    left.extend(names::<Service>(lab).await);
    left
}

async fn names<K>(lab: &Lab) -> Vec<String>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + Debug,
{
    let api: Api<K> = Api::namespaced(lab.client.clone(), &lab.namespace);
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=x-tracer");
    let list = api.list(&ours).await.unwrap();
    list.items.iter().map(ResourceExt::name_any).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pods_lines_are_shown_and_nothing_stays() {
    let (lab, container) = with_web().await;
    let other = Container::start();
    let tools = tools(&[
        tcpconnect(other.pid, "other", 81),
        tcpconnect(container.pid, "curl", 80),
    ]);
    let _kubelet = Kubelet::start(&lab, tools.path());
    let own = [
        "web",
        "--probes",
        "tcpconnect",
        "--hub-address",
        "127.0.0.1",
    ];
    let mut hub = Hub::start(trace(&lab, &own));
    let line = hub.line().await;
    assert!(line.contains("PNAME:curl"), "{line}");
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(ended.shown, "", "the neighbour's line");
    let node = node(&lab);
    for words in [
        format!("tracing {}/web (app) on the node {node}", lab.namespace),
        format!("{node}: scheduled"),
        format!("{node}: running"),
        "tcpconnect: attached".to_owned(),
        "complete: every record that was published is shown, 1 in all".to_owned(),
    ] {
        assert!(ended.said.contains(&words), "{words:?} in {}", ended.said);
    }
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}
