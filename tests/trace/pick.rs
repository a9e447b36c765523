//! `x-tracer trace` without a name, at a terminal: the list of pods.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::hub::{blocking, trace};
use crate::kubelet::Kubelet;
use crate::lab::Lab;
use crate::replay::tcpconnect;
use crate::scene::{leftovers, node, tools, with_web};
use crate::terminal::Terminal;

/// The last line of the list.
const HELP: &str = "type to filter";

/// The hub at a terminal without colours.
fn picker(lab: &Lab, arguments: &[&str]) -> Terminal {
    let mut command = trace(lab, arguments);
    command.env("NO_COLOR", "1");
    Terminal::start_whole(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_is_found_by_typing_and_traced() {
    let (lab, container) = with_web().await;
    lab.pod("pending", json!({}), json!({})).await;
    let tools = tools(&[tcpconnect(container.pid, "curl", 80)]);
    let _kubelet = Kubelet::start(&lab, tools.path());
    let row = format!("1 : web      1/1  Running  {}", node(&lab));
    let chosen = format!("Choose pod: {}/web", lab.namespace);
    let mut terminal = picker(&lab, &["--probes", "tcpconnect"]);
    let traced = blocking(move || {
        terminal.until_all(&["0 : pending  0/1  Pending  <none>", &row, HELP]);
        // It can't be traced: that is said, and asked again.
        terminal.type_in("0\r");
        terminal.until_all(&["it is on no node yet", &row, HELP]);
        // Up from the first is the last. What is typed then leaves nothing, and after that one.
        terminal.type_in("\x1b[A");
        terminal.until("> 1 : web");
        terminal.type_in("pend x");
        terminal.until("Choose pod: pend x");
        terminal.type_in("\x7f\x7f\x7f\x7f\x7f\x7fWE\r");
        terminal.until(&chosen);
        terminal.until("DPORT:80 \n");
        terminal.signal(Signal::SIGINT);
        let code = terminal.wait();
        assert_eq!(code, Some(0), "{}", terminal.shown);
        assert!(terminal.is_cooked());
        container
    });
    drop(traced.await);
    assert_eq!(leftovers(&lab).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_the_list_leaves_nothing_behind() {
    let (lab, _web) = with_web().await;
    for (typed, signal, code) in [
        ("\x1b", None, 130),
        ("web\x03", None, 130),
        ("", Some(Signal::SIGTERM), 1),
    ] {
        let mut terminal = picker(&lab, &[]);
        blocking(move || {
            terminal.until(HELP);
            terminal.type_in(typed);
            if let Some(signal) = signal {
                assert!(!terminal.is_cooked());
                terminal.signal(signal);
            }
            assert_eq!(terminal.wait(), Some(code), "{typed:?}: {}", terminal.shown);
            assert!(terminal.is_cooked(), "{typed:?}");
        })
        .await;
    }
    assert_eq!(leftovers(&lab).await, [""; 0]);
}
