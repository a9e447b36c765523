//! What becomes of a pod while it is traced.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::container::Container;
use crate::feed::Feed;
use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::lab::{container, running};
use crate::replay::tcpconnect;
use crate::scene::{leftovers, tools, with_web};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_is_started_again_is_traced_again() {
    let (lab, first) = with_web().await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let mut hub = Hub::start(trace(&lab, &["web", "--probes", "tcpconnect"]));
    let feeding = feed.line(tcpconnect(first.pid, "first", 80));
    hub.until("PNAME:first").await;
    drop(feeding);
    let second = Container::start();
    lab.set_status("web", running(&second.api_id())).await;
    let _feeding = feed.line(tcpconnect(second.pid, "second", 80));
    hub.until("PNAME:second").await;
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    for words in [
        format!(
            "the container app of {}/web has been restarted",
            lab.namespace
        ),
        format!("tracing container:{}", second.id),
        "complete: every record".to_owned(),
    ] {
        assert!(ended.said.contains(&words), "{words:?} in {}", ended.said);
    }
    assert_eq!(leftovers(&lab).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_finishes_ends_the_session_well() {
    let (lab, web) = with_web().await;
    let tools = tools(&[tcpconnect(web.pid, "curl", 80)]);
    let _kubelet = Kubelet::start(&lab, tools.path());
    let mut hub = Hub::start(trace(&lab, &["web", "--probes", "tcpconnect"]));
    hub.until("PNAME:curl").await;
    let state = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    let statuses = [container("app", Some(&web.api_id()), state)];
    lab.set_status(
        "web",
        json!({"phase": "Succeeded", "containerStatuses": statuses}),
    )
    .await;
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let words = format!("the pod {}/web has finished (Succeeded)", lab.namespace);
    assert!(ended.said.contains(&words), "{}", ended.said);
    assert_eq!(leftovers(&lab).await, [""; 0]);
}
