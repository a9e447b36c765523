//! Nodes: what the agent will run on, and where the hub can be reached.

use k8s_openapi::api::core::v1::Node;
use kube::api::Api;
use tokio::net::UdpSocket;

use crate::image::{self, NoImage, Release};
use crate::text::visible;
use crate::{Cluster, Error};

/// The control-plane node of a kind cluster, which the original's `-kind` takes for the hub's node.
pub const KIND_NODE: &str = "kind-control-plane";

/// The label that schedulers and people know a node by. It need not be equal to the node's name.
pub const HOSTNAME_LABEL: &str = "kubernetes.io/hostname";

/// A node is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The hub's machine is not in the cluster, so that its address for pods is not known.
    #[error(
        "this machine ({host}) is no node of the cluster, so the address at which agents reach the hub is not known; name it with --hub-address, or use --nats in-cluster or --nats URL"
    )]
    NotANode {
        /// The name that was looked for.
        host: String,
    },
    /// `--kind` with a cluster that kind did not make, or that has another name.
    #[error(
        "there is no node {KIND_NODE}, which --kind stands for; leave --kind out, or name the hub's address with --hub-address"
    )]
    NotKind,
    /// A node that the API shows, without an address.
    #[error(
        "the node {node} has no address in its status; name the hub's address with --hub-address"
    )]
    NoAddress {
        /// The node.
        node: String,
    },
    /// The pod's node is not there any more.
    #[error("the node {node} does not exist; see which do with: kubectl get nodes")]
    Missing {
        /// The node.
        node: String,
    },
}

/// What there is to know about a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its name.
    pub name: String,
    /// Kernel version, as `uname -r` prints it.
    pub kernel: String,
    /// The operating system in words.
    pub os_image: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// Container runtime and its version.
    pub runtime: String,
    /// Value of [`HOSTNAME_LABEL`]; a node may lack it.
    pub hostname_label: Option<String>,
    /// Kind (`InternalIP`, `Hostname`, …) and address, in the API's order.
    pub addresses: Vec<(String, String)>,
    /// The kubelet reports that it is ready.
    pub ready: bool,
}

impl NodeFacts {
    /// Reads the API's object.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let status = node.status.as_ref();
        let info = status.and_then(|status| status.node_info.as_ref());
        let word = |pick: fn(&k8s_openapi::api::core::v1::NodeSystemInfo) -> &String| {
            info.map(|info| visible(pick(info))).unwrap_or_default()
        };
        Self {
            name: node.metadata.name.clone().unwrap_or_default(),
            kernel: word(|info| &info.kernel_version),
            os_image: word(|info| &info.os_image),
            architecture: word(|info| &info.architecture),
            runtime: word(|info| &info.container_runtime_version),
            hostname_label: node
                .metadata
                .labels
                .as_ref()
                .and_then(|labels| labels.get(HOSTNAME_LABEL))
                .cloned(),
            addresses: status
                .and_then(|status| status.addresses.as_ref())
                .into_iter()
                .flatten()
                .map(|address| (visible(&address.type_), visible(&address.address)))
                .collect(),
            ready: status
                .and_then(|status| status.conditions.as_ref())
                .into_iter()
                .flatten()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        }
    }

    /// The image that fits this node: see [`image::choose`].
    ///
    /// # Errors
    /// [`NoImage`].
    pub fn image(&self, wanted: Option<Release>) -> Result<Release, NoImage> {
        image::choose(&self.name, &self.kernel, &self.architecture, wanted)
    }

    /// Where pods reach this node: its internal address, else its first of any kind.
    ///
    /// The original took the first address whatever its kind, which on some clouds is a host name that
    /// pods cannot resolve.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        let of_kind = |kind: &str| self.addresses.iter().find(|(this, _)| this == kind);
        of_kind("InternalIP")
            .or_else(|| of_kind("ExternalIP"))
            .or_else(|| self.addresses.first())
            .map(|(_, address)| address.as_str())
    }
}

/// The facts about one node.
///
/// # Errors
/// [`NodeError::Missing`], [`crate::error::ApiError`].
pub async fn facts(cluster: &Cluster, name: &str) -> Result<NodeFacts, Error> {
    let node = get(cluster, name).await?;
    node.ok_or_else(|| {
        NodeError::Missing {
            node: visible(name),
        }
        .into()
    })
}

/// The hub's address for agents (`masterIp`), by the original's rule: with `kind` the control-plane
/// node of a kind cluster, otherwise the node that is called as this machine (`hostname`).
///
/// # Errors
/// [`NodeError`] when this machine is no node, [`crate::error::ApiError`].
pub async fn hub_address(cluster: &Cluster, kind: bool, hostname: &str) -> Result<String, Error> {
    // Node names are lower-case; a machine's name need not be.
    let name = if kind {
        KIND_NODE.to_owned()
    } else {
        hostname.to_ascii_lowercase()
    };
    let Some(node) = get(cluster, &name).await? else {
        let error = if kind {
            NodeError::NotKind
        } else {
            NodeError::NotANode {
                host: visible(hostname),
            }
        };
        return Err(error.into());
    };
    node.address()
        .map(str::to_owned)
        .ok_or_else(|| NodeError::NoAddress { node: name }.into())
}

/// This machine's address on the way to the API server, as text; `None` if it is that server itself. Where
/// the machine is no node, that is as good a guess at the hub's address as there is.
pub async fn own_address(cluster: &Cluster) -> Option<String> {
    let url = cluster.server();
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    let server = if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:443")
    };
    for any in ["0.0.0.0:0", "[::]:0"] {
        let socket = UdpSocket::bind(any).await.ok()?;
        // Nothing is sent: it only asks the system for the way.
        if socket.connect(&server).await.is_ok() {
            let own = socket.local_addr().ok()?.ip();
            return (!own.is_loopback()).then(|| own.to_string());
        }
    }
    None
}

async fn get(cluster: &Cluster, name: &str) -> Result<Option<NodeFacts>, Error> {
    // A machine's name may be something that no node can be called; asking for it would be another request.
    let possible = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        && !name.starts_with('.');
    if !possible {
        return Ok(None);
    }
    let api: Api<Node> = Api::all(cluster.client());
    Ok(cluster
        .call(format!("read the node {name}"), api.get_opt(name))
        .await?
        .as_ref()
        .map(NodeFacts::of))
}

#[cfg(test)]
mod tests {
    use super::NodeFacts;

    fn node(addresses: &serde_json::Value) -> NodeFacts {
        NodeFacts::of(
            &serde_json::from_value(
                serde_json::json!({"metadata": {"name": "n1"}, "status": {"addresses": addresses}}),
            )
            .unwrap(),
        )
    }

    #[test]
    fn the_internal_address_is_preferred_wherever_it_stands() {
        let facts = node(&serde_json::json!([
            {"type": "Hostname", "address": "n1.example"}, {"type": "ExternalIP", "address": "1.2.3.4"}, {"type": "InternalIP", "address": "10.0.0.1"}]));
        assert_eq!(facts.address(), Some("10.0.0.1"));
        assert_eq!(
            node(&serde_json::json!([{"type": "Hostname", "address": "n1"}])).address(),
            Some("n1")
        );
        assert_eq!(node(&serde_json::json!([])).address(), None);
    }

    #[test]
    fn a_node_without_status_has_no_facts_and_no_crash() {
        let facts = NodeFacts::of(&k8s_openapi::api::core::v1::Node::default());
        assert_eq!(
            (facts.ready, facts.kernel.as_str(), facts.hostname_label),
            (false, "", None)
        );
    }
}
