//! NATS as a pod, reached by port-forward.

use futures_util::{SinkExt, StreamExt};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use x_k8s::core::Node;

use crate::container::Container;
use crate::feed::Feed;
use crate::hub::{Hub, trace};
use crate::kubelet::{Kubelet, POD_IP};
use crate::listeners::{family, listeners};
use crate::port_forward::{self, PORT, Socket, binary};
use crate::replay::tcpconnect;
use crate::scene::{add_node, add_pod, leftovers, node, with_web};

/// Carries a forwarded connection to the pod's program.
async fn carry(socket: Socket) {
    let mut pod = loop {
        // The program may not listen yet.
        match TcpStream::connect((POD_IP, PORT)).await {
            Ok(pod) => break pod,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    };
    let (mut from_pod, mut to_pod) = pod.split();
    let (mut to_hub, mut from_hub) = socket.split();
    let down = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_pod.read(&mut buffer).await {
            let message = binary([&[0], &buffer[..read]].concat());
            if to_hub.send(message).await.is_err() {
                break;
            }
        }
    };
    let up = async {
        while let Some(Ok(message)) = from_hub.next().await {
            if let Message::Binary(bytes) = message
                && bytes.first() == Some(&0)
                && to_pod.write_all(&bytes[1..]).await.is_err()
            {
                break;
            }
        }
    };
    tokio::select! {
        () = down => {}
        () = up => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_in_the_cluster_carries_the_session_and_goes_with_it() {
    let (lab, container) = with_web().await;
    let port = port_forward::kubelet(lab.server(), carry).await;
    let endpoints = json!({"kubeletEndpoint": {"Port": port}});
    let patch = Patch::Merge(json!({"status": {"daemonEndpoints": endpoints}}));
    Api::<Node>::all(lab.client.clone())
        .patch_status(&node(&lab), &PatchParams::default(), &patch)
        .await
        .unwrap();
    let there = format!("{}.example", node(&lab));
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    // One after the other: both servers have the pods' one address. The second hub waits for agents at an
    // address that leads nowhere, until it doubts it.
    for (nats, hub_address) in [("in-cluster", "127.0.0.1"), ("auto", "192.0.2.1")] {
        // The second one does not look for what was added to the cluster meanwhile.
        let pods = match nats {
            "auto" => "web",
            _ => "--selector=app=web",
        };
        let probes = [pods, "--probes", "tcpconnect", "--nats", nats];
        let mut command = trace(&lab, &probes);
        command.env("XTRACER_HUB_ADDRESS", hub_address);
        let mut hub = Hub::start(command);
        let feeding = feed.line(tcpconnect(container.pid, "curl", 80));
        hub.until("PNAME:curl").await;
        drop(feeding);
        // Of this machine only who is on it can come to the server, by the hub's forwarded port.
        let listening = listeners(family(hub.pid()));
        let local = |place: &String| place.starts_with("tcp 0100007F:");
        assert!(listening.iter().all(local), "{listening:?}");
        if nats == "in-cluster" {
            // The server need not be told of one more.
            let second = Container::start();
            add_node(&lab, &there).await;
            add_pod(&lab, "web-2", &there, &second).await;
            hub.said_until(&format!(
                "web-2 has started on the node {there}, which has no agent: one comes"
            ))
            .await;
            let feeding = feed.line(tcpconnect(second.pid, "second", 80));
            hub.until("PNAME:second").await;
            drop(feeding);
            // Ordered, and answered.
            let third = Container::start();
            add_pod(&lab, "web-3", &there, &third).await;
            let _feeding = feed.line(tcpconnect(third.pid, "third", 80));
            hub.until("PNAME:third").await;
            for pod in ["web-2", "web-3"] {
                let at_once = DeleteParams::default().grace_period(0);
                lab.pods().delete(pod, &at_once).await.unwrap();
            }
        }
        hub.signal(Signal::SIGHUP);
        let ended = hub.end().await;
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        let complete = ended.said.contains("complete: every record");
        assert!(complete, "{}", ended.said);
        assert!(!ended.said.contains("is not traced"), "{}", ended.said);
        if nats == "auto" {
            let doubt = "has run for 15 s and was not heard of: it can't reach the NATS server";
            assert!(ended.said.contains(doubt), "{}", ended.said);
            assert!(
                ended.said.contains("--hub-address")
                    && ended.said.contains("trying in the cluster"),
                "{}",
                ended.said
            );
        }
        assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
    }
}
