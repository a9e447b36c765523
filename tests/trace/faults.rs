//! An API server that dies, comes back, says nothing or knows us no more, while a pod is traced.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::api_server::ADMIN;
use crate::container::Container;
use crate::feed::Feed;
use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::lab::{client_of, running};
use crate::replay::tcpconnect;
use crate::scene::{leftovers, with_web, with_web_alone};

const WEB: [&str; 3] = ["web", "--probes", "tcpconnect"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tracing_outlives_the_api_server_and_the_end_waits_for_it() {
    let (mut server, mut lab, first) = with_web_alone().await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let mut hub = Hub::start(trace(&lab, &WEB));
    let feeding = feed.line(tcpconnect(first.pid, "before", 80));
    hub.until("PNAME:before").await;
    drop(feeding);

    server.kill();
    hub.said_until("pods can't be followed now, and are traced meanwhile: the API server")
        .await;
    let feeding = feed.line(tcpconnect(first.pid, "meanwhile", 80));
    hub.until("PNAME:meanwhile").await;
    drop(feeding);

    tokio::task::block_in_place(|| server.resume());
    lab.client = client_of(&server).await;
    let second = Container::start();
    lab.set_status("web", running(&second.api_id())).await;
    hub.said_until("pods are followed again").await;
    let _feeding = feed.line(tcpconnect(second.pid, "after", 80));
    hub.until("PNAME:after").await;

    server.kill();
    hub.signal(Signal::SIGINT);
    hub.said_until("removing the agents").await;
    tokio::task::block_in_place(|| server.resume());
    lab.client = client_of(&server).await;
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let complete = ended.said.contains("complete: every record");
    assert!(complete, "{}", ended.said);
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_removed_in_time_is_named() {
    let (mut server, lab, web) = with_web_alone().await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let mut hub = Hub::start(trace(&lab, &WEB));
    let _feeding = feed.line(tcpconnect(web.pid, "curl", 80));
    hub.until("PNAME:curl").await;
    let agent = leftovers(&lab).await.remove(0);
    server.kill();
    hub.signal(Signal::SIGTERM);
    // Why it takes its time is told while it does.
    hub.said_until("nothing can be removed now, and it is tried again: the API server")
        .await;
    hub.signal(Signal::SIGTERM);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    let session = agent.split('-').nth(2).unwrap();
    let command = format!(
        "kubectl delete pods,secrets,services -n {} -l x-tracer/session={session}",
        lab.namespace
    );
    assert!(ended.said.contains(&command), "{}", ended.said);
}

/// It has taken the connection and does not answer: neither the watch, nor a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_api_server_holds_nothing_up_but_the_end() {
    let (server, lab, web) = with_web_alone().await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let mut command = trace(&lab, &WEB);
    command.args(["--request-timeout", "1s"]);
    let mut hub = Hub::start(command);
    let feeding = feed.line(tcpconnect(web.pid, "before", 80));
    hub.until("PNAME:before").await;
    drop(feeding);
    server.freeze();
    let _feeding = feed.line(tcpconnect(web.pid, "meanwhile", 80));
    hub.until("PNAME:meanwhile").await;
    hub.signal(Signal::SIGINT);
    hub.said_until("did not answer within 1 s").await;
    server.thaw();
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_login_ends_no_tracing_and_is_named_at_the_end() {
    let (mut server, mut lab, web) = with_web_alone().await;
    server.kill();
    server.accept(&[ADMIN, "of-today"]);
    tokio::task::block_in_place(|| server.resume());
    lab.client = client_of(&server).await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let mut command = trace(&lab, &WEB);
    command.env("KUBECONFIG", server.kubeconfig("user", "token: of-today"));
    let mut hub = Hub::start(command);
    let feeding = feed.line(tcpconnect(web.pid, "before", 80));
    hub.until("PNAME:before").await;
    drop(feeding);

    server.kill();
    server.accept(&[ADMIN]);
    tokio::task::block_in_place(|| server.resume());
    lab.client = client_of(&server).await;
    hub.said_until("pods can't be followed now, and are traced meanwhile: ")
        .await;
    let _feeding = feed.line(tcpconnect(web.pid, "meanwhile", 80));
    hub.until("PNAME:meanwhile").await;
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(4), "{}", ended.said);
    for words in [
        "does not accept the credentials",
        "this stays in the namespace",
        "kubectl delete pods,secrets,services -n",
    ] {
        assert!(ended.said.contains(words), "{words:?} in {}", ended.said);
    }
}

/// Clusters where policy has the last word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_names_the_policy_and_leaves_nothing() {
    let (mut lab, _web) = with_web().await;
    let guarded = format!("{}-guarded", lab.namespace);
    let labels = json!({"pod-security.kubernetes.io/enforce": "baseline"});
    lab.create_namespace(&guarded, labels).await;
    let mut command = trace(&lab, &WEB);
    command.args(["--agent-namespace", &guarded]);
    let ended = Hub::start(command).end().await;
    assert_eq!(ended.code, Some(4), "{}", ended.said);
    for words in [
        "enforces a pod security standard",
        "hostPID=true",
        "--agent-namespace",
    ] {
        assert!(ended.said.contains(words), "{words:?} in {}", ended.said);
    }
    lab.namespace = guarded;
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}
