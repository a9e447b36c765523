//! Facts about nodes, and where the hub is.

use serde_json::json;
use x_k8s::{Error, image::Release, node};

use crate::lab::Lab;

#[tokio::test]
async fn facts_and_image_of_a_node() {
    let lab = Lab::new().await;
    let name = format!("{}.example", lab.namespace);
    lab.node(&name, json!([{"type": "Hostname", "address": "x"}, {"type": "InternalIP", "address": "10.0.0.7"}]), Some("other-label")).await;
    let facts = node::facts(&lab.cluster, &name).await.unwrap();
    assert_eq!(
        (
            facts.kernel.as_str(),
            facts.architecture.as_str(),
            facts.runtime.as_str()
        ),
        ("6.1.0-18-amd64", "amd64", "containerd://1.6.20")
    );
    assert_eq!(
        (facts.hostname_label.as_deref(), facts.ready),
        (Some("other-label"), true)
    );
    assert_eq!(facts.image(None).unwrap(), Release::Debian13);
    let error = node::facts(&lab.cluster, "no-such-node")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("no-such-node does not exist"), "{error}");
}

#[tokio::test]
async fn the_hubs_address_is_that_of_its_node() {
    let lab = Lab::new().await;
    let name = lab.namespace.clone();
    lab.node(&name, json!([{"type": "Hostname", "address": "x"}, {"type": "InternalIP", "address": "10.0.0.7"}]), None).await;
    // Machines may be called in capitals, nodes not.
    assert_eq!(
        node::hub_address(&lab.cluster, false, &name.to_uppercase())
            .await
            .unwrap(),
        "10.0.0.7"
    );
    for hostname in ["somewhere-else", "../pods", "", "a b", "é"] {
        let error = node::hub_address(&lab.cluster, false, hostname)
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Node(node::NodeError::NotANode { .. })),
            "{error}"
        );
        assert!(error.to_string().contains("--nats in-cluster"), "{error}");
    }
    let error = node::hub_address(&lab.cluster, true, &name)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("kind-control-plane"), "{error}");
    lab.node(
        "kind-control-plane",
        json!([{"type": "InternalIP", "address": "172.18.0.2"}]),
        Some("kind-control-plane"),
    )
    .await;
    assert_eq!(
        node::hub_address(&lab.cluster, true, "laptop")
            .await
            .unwrap(),
        "172.18.0.2"
    );
    let bare = format!("{name}-bare");
    lab.node(&bare, json!([]), None).await;
    let error = node::hub_address(&lab.cluster, false, &bare)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("has no address"), "{error}");
}
