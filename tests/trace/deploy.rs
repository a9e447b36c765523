//! From a pod's name to its processes' events, and back to nothing.

use nix::sys::signal::Signal;

use crate::container::Container;
use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::replay::tcpconnect;
use crate::scene::{leftovers, node, tools, with_web};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pods_lines_are_shown_and_nothing_stays() {
    let (lab, container) = with_web().await;
    let other = Container::start();
    let tools = tools(&[
        tcpconnect(other.pid, "other", 81),
        tcpconnect(container.pid, "curl", 80),
    ]);
    let _kubelet = Kubelet::start(&lab, tools.path());
    let own = [
        "web",
        "--probes",
        "tcpconnect",
        "--hub-address",
        "127.0.0.1",
    ];
    let mut hub = Hub::start(trace(&lab, &own));
    hub.until("PNAME:curl").await;
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(ended.shown, "", "the neighbour's line");
    let node = node(&lab);
    for words in [
        format!("tracing {}/web (app) on the node {node}", lab.namespace),
        format!("{node}: scheduled"),
        format!("{node}: running"),
        "tcpconnect: attached".to_owned(),
        "complete: every record that was published is shown, 1 in all".to_owned(),
    ] {
        assert!(ended.said.contains(&words), "{words:?} in {}", ended.said);
    }
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}

/// What a script wants: so many lines, and not a word as long as all goes well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_session_ends_by_itself_after_so_many_lines() {
    let (lab, container) = with_web().await;
    let lines = ["curl", "wget", "nc"].map(|comm| tcpconnect(container.pid, comm, 80));
    let tools = tools(&lines);
    let _kubelet = Kubelet::start(&lab, tools.path());
    let arguments = [
        "-p",
        "web",
        "--probes=tcpconnect",
        "-q",
        "-ocolumns",
        "--max-entries=2",
    ];
    let ended = Hub::start(trace(&lab, &arguments)).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    // What runs the test's container is in its cgroup, and worth a note.
    let note = "1 of its processes live in the host's PID namespace";
    let said: Vec<_> = ended.said.lines().collect();
    assert!(said.iter().all(|line| line.contains(note)), "{said:#?}");
    let shown: Vec<_> = ended.shown.lines().collect();
    let [header, first, second] = shown[..] else {
        panic!("{shown:#?}");
    };
    assert!(header.starts_with("TIME "), "{header}");
    for (line, comm) in [(first, " curl "), (second, " wget ")] {
        let pod = format!(" {}/web ", lab.namespace);
        assert!(line.contains(&pod) && line.contains(comm), "{line}");
    }
    assert_eq!(leftovers(&lab).await, [""; 0]);
}
