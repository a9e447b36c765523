//! Processes: they stop when asked, die with the agent, and leave nothing behind.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Case;
use crate::agent::{Event, Spec};
use crate::harness::{Agent, descendants, eventually, installed, is_alive, lines, tool};

pub(crate) const CASES: &[Case] = &[
    ("an_idle_tool_stops_at_once", stop_idle),
    ("a_busy_tool_stops_and_keeps_what_it_printed", stop_busy),
    ("a_tool_that_compiles_is_killed", stop_deaf),
    ("a_tool_that_waits_for_a_slow_agent_stops", stop_blocked),
    (
        "a_signal_inside_a_callback_ends_the_tool_after_it",
        signal_in_callback,
    ),
    ("a_dead_agent_takes_its_hosts_along", agent_killed),
    ("a_dead_warm_parent_is_reported", warm_parent_killed),
    ("hosts_have_one_thread_and_few_descriptors", frugal),
];

fn stop_idle() {
    for (name, argv) in [
        ("tcptracer", &["-t"][..]),
        ("cachestat", &["-T", "1"]),
        ("cachetop", &["1"]),
    ] {
        let mut agent = Agent::start(&installed(name, argv), &[]);
        agent.until("attached", |event| *event == Event::Attached);
        let asked = Instant::now();
        agent.stop();
        let events = agent.all();
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{name} took {:?}",
            asked.elapsed()
        );
        assert_eq!(events.last(), Some(&Event::Stopped), "{name}: {events:?}");
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::Failed { .. })),
            "{name}: {events:?}"
        );
    }
}

fn stop_busy() {
    let spec = Spec {
        count_only: true,
        ..installed("tcplife", &["-s", "-T", "-t"])
    };
    let mut agent = Agent::start(&spec, &[("XTRACER_STANDIN_REPEAT", "100000000")]);
    agent.until("attached", |event| *event == Event::Attached);
    let asked = Instant::now();
    agent.stop();
    let events = agent.all();
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Failed { .. })),
        "{events:?}"
    );
}

fn stop_deaf() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("journal").to_string_lossy().into_owned();
    let settings = [
        ("XTRACER_STANDIN_COMPILE", "slow:60"),
        ("XTRACER_STANDIN_JOURNAL", &journal),
    ];
    let mut agent = Agent::start(&installed("tcptracer", &[]), &settings);
    eventually("it compiles", || {
        std::fs::read_to_string(&journal).is_ok_and(|text| text.starts_with("compile"))
    });
    let asked = Instant::now();
    agent.stop();
    let events = agent.all();
    let took = asked.elapsed();
    assert!(
        took > Duration::from_secs(2) && took < Duration::from_secs(8),
        "{took:?}"
    );
    assert_eq!(events.last(), Some(&Event::Stopped), "{events:?}");
}

fn stop_blocked() {
    // The tool waits in a write for an agent that does not read: the signal has to reach it there.
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("mark").to_string_lossy().into_owned();
    let text = format!(
        "for n in range(1 << 62):\n print('x' * 1000)\n if n == 4096: open('{mark}', 'w')\n"
    );
    let (_folder, tools_dirs) = tool("flood", &text);
    let spec = Spec {
        name: "flood".into(),
        tools_dirs,
        hold: true,
        count_only: true,
        ..Spec::default()
    };
    let mut agent = Agent::start(&spec, &[]);
    eventually("the queue is full", || std::path::Path::new(&mark).exists());
    let host = descendants(agent.process.id())[1];
    agent.tell("stop");
    eventually("the tool is gone", || !is_alive(host));
    agent.stop();
    let events = agent.all();
    assert_eq!(events.last(), Some(&Event::Stopped), "{events:?}");
}

fn signal_in_callback() {
    let text = "
import os, signal
from bcc import BPF
b = BPF(text='')
def event(cpu, data, size):
    print('first half, ', end='')
    os.kill(os.getpid(), signal.SIGTERM)
    print('second half')
b['ipv4_events'].open_perf_buffer(event)
b['ipv6_events'].open_perf_buffer(event)
while 1:
    try: b.perf_buffer_poll()
    except KeyboardInterrupt: exit()
";
    let (_folder, tools_dirs) = tool("signalled", text);
    let events = Agent::start(
        &Spec {
            name: "signalled".into(),
            tools_dirs,
            ..Spec::default()
        },
        &[],
    )
    .all();
    let lines = lines(&events);
    assert!(
        !lines.is_empty()
            && lines
                .iter()
                .all(|line| line == &(b"first half, second half".to_vec(), true))
    );
    assert_eq!(events.last(), Some(&Event::Stopped), "{events:?}");
}

fn agent_killed() {
    let mut agent = Agent::start(&installed("tcptracer", &["-t"]), &[]);
    agent.until("attached", |event| *event == Event::Attached);
    let hosts = descendants(agent.process.id());
    assert_eq!(hosts.len(), 2, "the warm parent and one host: {hosts:?}");
    agent.process.kill().expect("SIGKILL");
    eventually("the hosts are gone", || {
        !hosts.iter().any(|pid| is_alive(*pid))
    });
}

fn warm_parent_killed() {
    let mut agent = Agent::start(
        &Spec {
            restart: true,
            ..installed("tcptracer", &["-t"])
        },
        &[],
    );
    agent.until("attached", |event| *event == Event::Attached);
    let hosts = descendants(agent.process.id());
    let warm = hosts[0];
    kill(
        Pid::from_raw(warm.try_into().expect("a pid")),
        Signal::SIGKILL,
    )
    .expect("SIGKILL");
    let events = agent.all();
    let last = events.last();
    assert!(
        matches!(last, Some(Event::Failed { kind, retry_ms: None, .. }) if kind == "WarmParent"),
        "{last:?}"
    );
    eventually("the hosts are gone", || {
        !hosts.iter().any(|pid| is_alive(*pid))
    });
}

fn frugal() {
    let mut agent = Agent::start(&installed("tcptracer", &["-t"]), &[]);
    agent.until("attached", |event| *event == Event::Attached);
    let hosts = descendants(agent.process.id());
    for pid in &hosts {
        assert_eq!(
            std::fs::read_dir(format!("/proc/{pid}/task"))
                .expect("proc")
                .count(),
            1
        );
    }
    // Standard input, output, error, and the frames.
    let open: Vec<_> = std::fs::read_dir(format!("/proc/{}/fd", hosts[1]))
        .expect("proc")
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .collect();
    assert_eq!(open.len(), 4, "{open:?}");
}
