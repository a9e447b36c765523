//! What a test has in its cluster, and what is left there.

use std::fmt::{Debug, Write as _};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::container::Container;
use crate::lab::{Lab, running};
use crate::replay::{TCPCONNECT_HEADER, Tools};

/// A lab with a node and a pod `web` on it, whose container really runs.
pub(crate) async fn with_web() -> (Lab, Container) {
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
