//! Ports forwarded through a real API server, to a kubelet that the test is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use x_k8s::portforward::PortForward;

use crate::api_server::ApiServer;
use crate::lab::{Lab, running, soon};
use crate::port_forward::{self, PORT, Socket, binary};

/// Serves port-forwards until the test ends: what comes in goes back in capitals. Counts connections;
/// from the `broken_from`th on, the pod refuses.
async fn kubelet(server: &ApiServer, broken_from: u32) -> u16 {
    let count = Arc::new(AtomicU32::new(0));
    port_forward::kubelet(server, move |socket| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        serve(socket, number, broken_from)
    })
    .await
}

async fn serve(mut socket: Socket, number: u32, broken_from: u32) {
    if number >= broken_from {
        let words = b"connection refused\x1b[31m inside the pod";
        socket
            .send(binary([&[1], words.as_slice()].concat()))
            .await
            .unwrap();
        if number == broken_from {
            // Until the client has heard it and leaves; the ones after it are broken off.
            while let Some(Ok(_)) = socket.next().await {}
        }
        return;
    }
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Binary(bytes) = message
            && bytes.first() == Some(&0)
            && socket
                .send(binary(bytes.to_ascii_uppercase()))
                .await
                .is_err()
        {
            return;
        }
    }
}

/// A running pod on a node whose kubelet listens on this port.
async fn pod_on(lab: &Lab, kubelet: u16) {
    let node = format!("{}-node", lab.namespace);
    lab.node(
        &node,
        json!([{"type": "InternalIP", "address": "127.0.0.1"}]),
        None,
    )
    .await;
    let patch = kube::api::Patch::Merge(
        json!({"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet}}}}),
    );
    let nodes: kube::Api<x_k8s::core::Node> = kube::Api::all(lab.client.clone());
    nodes
        .patch_status(&node, &kube::api::PatchParams::default(), &patch)
        .await
        .unwrap();
    lab.pod("nats", json!({}), json!({"nodeName": node})).await;
    lab.set_status("nats", running("containerd://aa")).await;
}

async fn ask(forward: &PortForward, words: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(forward.address()).await.unwrap();
    stream.write_all(words).await.unwrap();
    let mut answer = vec![0; words.len()];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    answer
}

async fn hung_up_on(forward: &PortForward) {
    let mut stream = TcpStream::connect(forward.address()).await.unwrap();
    assert_eq!(soon(stream.read(&mut [0; 1])).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn connections_lead_to_the_pod_each_by_itself() {
    let lab = Lab::new().await;
    pod_on(&lab, kubelet(lab.server(), u32::MAX).await).await;
    let forward = soon(PortForward::open(
        &lab.cluster,
        &lab.namespace,
        "nats",
        PORT,
    ))
    .await
    .unwrap();
    assert!(forward.address().ip().is_loopback());
    let (one, other) = tokio::join!(ask(&forward, b"first"), ask(&forward, b"second"));
    assert_eq!(
        (one.as_slice(), other.as_slice()),
        (b"FIRST".as_slice(), b"SECOND".as_slice())
    );
    let large = b"x".repeat(300_000);
    assert_eq!(ask(&forward, &large).await, b"X".repeat(300_000));
    assert_eq!(forward.trouble(), None);
    let address = forward.address();
    drop(forward);
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_refuses_is_told_of() {
    let lab = Lab::new().await;
    // The first connection is the trial at the beginning.
    pod_on(&lab, kubelet(lab.server(), 2).await).await;
    let forward = soon(PortForward::open(
        &lab.cluster,
        &lab.namespace,
        "nats",
        PORT,
    ))
    .await
    .unwrap();
    // Hung up on, not held.
    hung_up_on(&forward).await;
    let trouble = soon(async {
        loop {
            if let Some(trouble) = forward.trouble() {
                return trouble;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    hung_up_on(&forward).await;
    assert!(
        trouble.contains("connection refused\\u{1b}[31m inside the pod"),
        "{trouble}"
    );
}

#[tokio::test]
async fn a_pod_that_is_not_there_is_told_at_once() {
    let lab = Lab::new().await;
    let error = soon(PortForward::open(
        &lab.cluster,
        &lab.namespace,
        "nats",
        PORT,
    ))
    .await
    .unwrap_err();
    assert!(
        error.to_string().contains("cannot forward a port to")
            && error.to_string().contains("not found"),
        "{error}"
    );
}
