//! Two hubs on one cluster.

use nix::sys::signal::Signal;

use crate::feed::Feed;
use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::replay::tcpconnect;
use crate::scene::{leftovers, with_web};

/// The session of a hub's next record with this name.
async fn session(hub: &mut Hub, comm: &str) -> String {
    let record = hub.record(comm).await;
    record["session"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hubs_trace_one_pod_and_neither_meets_the_other() {
    let (lab, web) = with_web().await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools());
    let arguments = ["web", "--probes", "tcpconnect", "-o", "json"];
    let (mut one, mut other) = (
        Hub::start(trace(&lab, &arguments)),
        Hub::start(trace(&lab, &arguments)),
    );
    let feeding = feed.line(tcpconnect(web.pid, "both", 80));
    let of_one = session(&mut one, "both").await;
    let of_other = session(&mut other, "both").await;
    assert_ne!(of_one, of_other);
    drop(feeding);
    let both = leftovers(&lab).await;
    assert_eq!(both.len(), 4, "a pod and a Secret of each: {both:?}");

    one.signal(Signal::SIGINT);
    let ended = one.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(!ended.shown.contains(&of_other), "{}", ended.shown);
    let rest = leftovers(&lab).await;
    assert!(
        rest.len() == 2 && rest.iter().all(|name| name.contains(&of_other)),
        "{rest:?}"
    );

    let _feeding = feed.line(tcpconnect(web.pid, "alone", 80));
    assert_eq!(session(&mut other, "alone").await, of_other);
    other.signal(Signal::SIGINT);
    let ended = other.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let complete = ended.said.contains("complete: every record");
    assert!(complete, "{}", ended.said);
    assert!(!ended.shown.contains(&of_one), "{}", ended.shown);
    assert_eq!(leftovers(&lab).await, [""; 0]);
}
