//! What a test has in its cluster, and what is left there.

use std::fmt::{Debug, Write as _};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api_server::ApiServer;
use crate::container::Container;
use crate::hub::blocking;
use crate::lab::{Lab, running};
use crate::replay::{TCPCONNECT_HEADER, Tools};

/// A lab with a node and a pod `web` on it, whose container really runs.
pub(crate) async fn with_web() -> (Lab, Container) {
    let lab = Lab::new().await;
    let container = web_on(&lab).await;
    (lab, container)
}

/// The same on a server of its own, to be broken.
pub(crate) async fn with_web_alone() -> (ApiServer, Lab, Container) {
    let server = blocking(ApiServer::start).await;
    let lab = Lab::on(&server).await;
    let container = web_on(&lab).await;
    (server, lab, container)
}

async fn web_on(lab: &Lab) -> Container {
    add_node(lab, &node(lab)).await;
    let container = Container::start();
    add_pod(lab, "web", &node(lab), &container).await;
    container
}

/// A node of this machine's.
pub(crate) async fn add_node(lab: &Lab, name: &str) {
    let addresses = json!([{"type": "InternalIP", "address": "127.0.0.1"}]);
    lab.node(name, addresses, Some(name)).await;
}

/// A pod on a node, its container running.
pub(crate) async fn add_pod(lab: &Lab, name: &str, node: &str, container: &Container) {
    lab.pod(name, json!({"app": "web"}), json!({"nodeName": node}))
        .await;
    lab.set_status(name, running(&container.api_id())).await;
}

/// Nodes have no namespace: each lab has its own.
pub(crate) fn node(lab: &Lab) -> String {
    format!("node-{}", lab.namespace)
}

/// A tool that prints these lines and waits for its end.
pub(crate) fn tools(lines: &[String]) -> Tools {
    let mut python = format!("import signal\nprint({TCPCONNECT_HEADER:?})\n");
    for line in lines {
        writeln!(python, "print({line:?})").unwrap();
    }
    python.push_str("signal.pause()\n");
    Tools::new().script("tcpconnect", &python)
}

/// What is left of sessions in a lab.
pub(crate) async fn leftovers(lab: &Lab) -> Vec<String> {
    let mut left = names::<Pod>(lab).await;
    left.extend(names::<Secret>(lab).await);
    left.extend(names::<Service>(lab).await);
    left
}

pub(crate) async fn names<K>(lab: &Lab) -> Vec<String>
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
