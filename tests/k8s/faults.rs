//! An API server that dies, hangs or comes back, in the middle of things.

use std::time::{Duration, Instant};

use futures_util::stream::StreamExt;
use serde_json::json;
use x_k8s::client::{Environment, Options};
use x_k8s::find::{self, Query};
use x_k8s::manifest;
use x_k8s::rollout::{Milestone, roll_out};
use x_k8s::teardown::tear_down;
use x_k8s::{Cluster, Kind};

use crate::api_server::ApiServer;
use crate::lab::{Lab, client_of, running, soon};
use crate::watch::told;

/// A lab on a server of its own, to be broken.
async fn own_lab() -> (ApiServer, Lab) {
    let server = tokio::task::spawn_blocking(ApiServer::start).await.unwrap();
    let lab = Lab::on(&server).await;
    (server, lab)
}

fn impatient(server: &ApiServer, patience: Duration) -> Cluster {
    let options = Options {
        kubeconfig: Some(server.admin_kubeconfig()),
        request_timeout: Some(patience),
        ..Options::default()
    };
    Cluster::open(&options, &Environment::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_outlives_the_server_and_misses_nothing() {
    let (mut server, mut lab) = own_lab().await;
    for name in ["stays", "restarts", "goes"] {
        lab.running_pod(name, json!({"app": "web"}), "containerd://a1")
            .await;
    }
    let query = Query {
        namespace: Some(lab.namespace.clone()),
        labels: Some("app=web".to_owned()),
        ..Query::default()
    };
    let targets = find::resolve(&lab.cluster, &query).await.unwrap();
    let mut changes = targets.watch(&lab.cluster);
    lab.running_pod("first", json!({"app": "web"}), "containerd://b1")
        .await;
    assert_eq!(told(&mut changes).await, "appeared first");
    assert_eq!(told(&mut changes).await, "started first/app b1");

    server.kill();
    let interrupted = told(&mut changes).await;
    assert!(
        interrupted.starts_with("interrupted the API server https://127.0.0.1:"),
        "{interrupted}"
    );
    // The stream is polled by a caller all the time, and must not ask a dead server all the time.
    let quiet = tokio::time::timeout(Duration::from_secs(2), changes.next()).await;
    assert!(quiet.is_err(), "one interruption is told once: {quiet:?}");

    // While this watch is blind, the world goes on, seen by others.
    tokio::task::block_in_place(|| server.resume());
    lab.client = client_of(&server).await;
    lab.set_status("restarts", running("containerd://a2")).await;
    lab.confirm_deletion("goes").await;
    let mut said = Vec::new();
    while said.len() < 3 {
        said.push(told(&mut changes).await);
    }
    assert_eq!(said[0], "resumed");
    said[1..].sort();
    assert_eq!(said[1..], ["gone goes", "started restarts/app a2 after a1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let (server, lab) = own_lab().await;
    let cluster = impatient(&server, Duration::from_secs(5));
    find::namespaces(&cluster).await.unwrap();
    let query = Query {
        namespace: Some(lab.namespace.clone()),
        ..Query::default()
    };
    let targets = find::resolve_if_any(&cluster, &query).await.unwrap();
    server.freeze();
    let started = Instant::now();
    let error = find::namespaces(&cluster).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(15));
    assert_eq!(error.kind(), Kind::Failed);
    assert!(
        error.to_string().contains("did not answer within 5 s"),
        "{error}"
    );
    let mut changes = targets.watch(&cluster);
    let interrupted = told(&mut changes).await;
    assert!(
        interrupted.contains("did not answer within 5 s"),
        "{interrupted}"
    );
    server.thaw();
    assert_eq!(told(&mut changes).await, "resumed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_outlives_the_server() {
    let (mut server, mut lab) = own_lab().await;
    let bundle = manifest::agent(&manifest::AgentSpec {
        hostname_label: None,
        ..lab.agent_spec()
    })
    .unwrap();
    let name = bundle.name().to_owned();
    let (told, mut heard) = tokio::sync::mpsc::channel(16);
    let cluster = lab.cluster.clone();
    let rollout = tokio::spawn(async move {
        roll_out(&cluster, &bundle, Duration::from_secs(90), |milestone| {
            told.try_send(milestone).unwrap();
        })
        .await
    });
    while !matches!(soon(heard.recv()).await, Some(Milestone::Scheduled { .. })) {}
    server.kill();
    while !matches!(soon(heard.recv()).await, Some(Milestone::Unwatched(_))) {}
    tokio::task::block_in_place(|| server.resume());
    lab.client = client_of(&server).await;
    lab.set_status(&name, running("containerd://aa")).await;
    assert_eq!(soon(rollout).await.unwrap().unwrap().name, name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_teardown_tries_until_its_time_is_up_and_then_names_what_may_stay() {
    let (mut server, lab) = own_lab().await;
    let spec = lab.agent_spec();
    let bundle = manifest::agent(&spec).unwrap();
    let (told, mut heard) = tokio::sync::mpsc::channel(16);
    let cluster = lab.cluster.clone();
    let rollout = tokio::spawn(async move {
        roll_out(&cluster, &bundle, Duration::from_secs(90), |milestone| {
            told.try_send(milestone).unwrap();
        })
        .await
    });
    assert_eq!(soon(heard.recv()).await, Some(Milestone::Created));
    rollout.abort();
    server.kill();
    let error = tear_down(
        &lab.cluster,
        &lab.namespace,
        &spec.session,
        Duration::from_secs(2),
        |_| (),
    )
    .await
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("Connection refused")
            && error.contains("kubectl delete pods,secrets,services"),
        "{error}"
    );
    // With more time, the server comes back within it.
    let (cluster, namespace, session) = (
        lab.cluster.clone(),
        lab.namespace.clone(),
        spec.session.clone(),
    );
    let ending = tokio::spawn(async move {
        tear_down(
            &cluster,
            &namespace,
            &session,
            Duration::from_secs(60),
            |_| (),
        )
        .await
    });
    tokio::task::block_in_place(|| server.resume());
    assert_eq!(soon(ending).await.unwrap().unwrap().len(), 1);
}
