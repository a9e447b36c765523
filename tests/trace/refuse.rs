//! What can't be done, as a user meets it: a line that names the thing, and a status that a script can test.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::hub::{Hub, trace};
use crate::lab::Lab;
use crate::scene::{leftovers, node, with_web};

async fn refused(lab: &Lab, arguments: &[&str]) -> (Option<i32>, String) {
    let ended = Hub::start(trace(lab, arguments)).end().await;
    assert_eq!(ended.shown, "", "{}", ended.said);
    (ended.code, ended.said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_has_its_words_and_its_status() {
    let (lab, _web) = with_web().await;
    let node = node(&lab);
    lab.pod(
        "host",
        json!({}),
        json!({"nodeName": node, "hostPID": true}),
    )
    .await;
    lab.pod("pending", json!({}), json!({})).await;
    let stranger = lab.server().kubeconfig("stranger", "token: expired");
    let nobody = lab.server().kubeconfig("nobody", "token: admin-token");
    let (stranger, nobody) = (stranger.to_str().unwrap(), nobody.to_str().unwrap());
    for (arguments, code, words) in [
        (&["nowhere"][..], 3, "there is no pod \"nowhere\""),
        (&["deploy/nowhere"], 3, "there is no deployment \"nowhere\""),
        (&["-l", "app=nothing"], 3, "no pod matches -l app=nothing"),
        (&["web", "-c", "other"], 3, "it has no container \"other\""),
        (&["host"], 3, "it uses the node's PID namespace (hostPID)"),
        (&["pending"], 3, "it is on no node yet"),
        (
            &["web", "--kubeconfig", stranger],
            4,
            "does not accept the credentials",
        ),
        (
            &["web", "--kubeconfig", nobody, "--as", "nobody"],
            4,
            "forbidden",
        ),
        (&["web", "--context", "other"], 2, "no context \"other\""),
        (
            &["web", "--agent-namespace", "nowhere"],
            1,
            "the namespace nowhere does not exist",
        ),
    ] {
        let (status, said) = refused(&lab, arguments).await;
        assert_eq!(status, Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert_eq!(leftovers(&lab).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_prints_what_it_would_make_and_makes_nothing() {
    let (lab, web) = with_web().await;
    let rings = "--perf-pages=tcplife=64,biosnoop=256";
    // Zero is no limit, as kubectl has it.
    let arguments = [
        "--podname=web",
        "--request-timeout=0",
        "--dry-run=client",
        "-oyaml",
        rings,
    ];
    let ended = Hub::start(trace(&lab, &arguments)).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    for words in [
        "kind: Pod",
        "kind: Secret",
        "x-agent:debian13",
        "masterIp",
        "name: XTRACER_PERF_PAGES\n      value: tcplife=64,biosnoop=256",
        &web.id,
    ] {
        assert!(ended.shown.contains(words), "{words} in {}", ended.shown);
    }
    assert_eq!(leftovers(&lab).await, [""; 0]);
}

/// Nobody runs the agent here: the hub waits for it, and then for its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_interrupt_leaves_at_once_and_says_what_stays() {
    let (lab, _web) = with_web().await;
    let bound = json!({"finalizers": ["x-tracer.test/held"]});
    let mut hub = Hub::start(trace(&lab, &["web", "--probes", "tcpconnect"]));
    hub.said_until(": created").await;
    let agent = leftovers(&lab).await.remove(0);
    // It can't go before the test lets it.
    lab.pods()
        .patch(
            &agent,
            &kube::api::PatchParams::default(),
            &kube::api::Patch::Merge(json!({"metadata": bound})),
        )
        .await
        .unwrap();
    hub.signal(Signal::SIGINT);
    hub.said_until("removing the agents").await;
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(
        ended
            .said
            .contains("left at once, asked a second time; pods of the session"),
        "{}",
        ended.said
    );
    assert!(ended.said.contains("kubectl delete pods"), "{}", ended.said);
}
