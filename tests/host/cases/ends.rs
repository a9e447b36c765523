//! Tools that cannot be started, or end against our will: the reason, the remedy, what happens next.

use super::Case;
use crate::agent::{Event, Spec};
use crate::harness::{Agent, installed, lines, tool};

pub(crate) const CASES: &[Case] = &[
    ("a_missing_tool_names_places_and_package", missing_tool),
    ("a_compiled_tool_of_the_same_name_is_refused", not_python),
    ("bcc_that_is_missing_names_its_package", missing_bcc),
    ("missing_headers_are_recognised", missing_headers),
    ("missing_privileges_are_recognised", missing_privileges),
    ("an_attach_point_that_is_gone_is_named", cannot_attach),
    ("arguments_that_the_tool_does_not_know_are_reported", usage),
    ("a_tool_that_finds_nothing_to_trace_has_failed", left_early),
    ("a_crash_shows_the_signal_and_the_last_words", crash),
    ("a_tool_that_crashes_is_started_again", restarted),
    ("an_exception_shows_its_last_line", exception),
    ("an_exit_from_a_callback_ends_the_tool", exit_in_callback),
];

struct Failed {
    kind: String,
    reason: String,
    said: Vec<String>,
    remedy: String,
}

fn failure(events: &[Event]) -> Failed {
    let Some(Event::Failed {
        kind,
        reason,
        said,
        remedy,
        retry_ms: None,
    }) = events.last().cloned()
    else {
        panic!("no final failure: {events:#?}");
    };
    Failed {
        kind,
        reason,
        said,
        remedy,
    }
}

/// Restarts are on: none of these failures may be tried again.
fn fail(spec: Spec, settings: &[(&str, &str)]) -> Failed {
    failure(
        &Agent::start(
            &Spec {
                restart: true,
                ..spec
            },
            settings,
        )
        .all(),
    )
}

fn missing_tool() {
    let failed = fail(installed("zzsnoop", &[]), &[]);
    assert_eq!(failed.kind, "MissingTool");
    assert!(
        failed.reason.contains("/usr/sbin/zzsnoop-bpfcc"),
        "{}",
        failed.reason
    );
    assert!(
        failed.remedy.contains("bpfcc-tools") && failed.remedy.contains("--tools-dir"),
        "{}",
        failed.remedy
    );
}

fn not_python() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy("/bin/true", folder.path().join("zzsnoop")).expect("a compiled program");
    let spec = Spec {
        tools_dirs: vec![folder.path().to_owned()],
        ..installed("zzsnoop", &[])
    };
    let failed = fail(spec, &[]);
    assert_eq!(failed.kind, "NotPython");
    assert!(failed.reason.contains("compiled"), "{}", failed.reason);
}

fn missing_bcc() {
    // A folder whose bcc cannot be imported hides the installed one, as if there were none.
    let hidden = tempfile::tempdir().expect("a folder");
    std::fs::write(
        hidden.path().join("bcc.py"),
        "raise ModuleNotFoundError(\"No module named 'bcc'\", name='bcc')\n",
    )
    .expect("a file");
    let path = hidden.path().to_string_lossy().into_owned();
    let failed = fail(installed("tcptracer", &[]), &[("XTRACER_BCC_PATH", &path)]);
    assert_eq!(failed.kind, "MissingBcc", "{}", failed.reason);
    assert!(failed.remedy.contains("python3-bpfcc"), "{}", failed.remedy);
    // A tool that needs no bcc does not miss it.
    let (_folder, tools_dirs) = tool("recorded", "print('one')\n");
    let spec = Spec {
        name: "recorded".into(),
        tools_dirs,
        ..Spec::default()
    };
    let events = Agent::start(&spec, &[("XTRACER_BCC_PATH", &path)]).all();
    assert_eq!(lines(&events), [(b"one".to_vec(), false)]);
}

fn missing_headers() {
    let failed = fail(
        installed("tcptracer", &[]),
        &[("XTRACER_STANDIN_COMPILE", "headers")],
    );
    assert_eq!(failed.kind, "Headers", "{}", failed.reason);
    assert!(
        failed.remedy.contains("linux-headers-"),
        "{}",
        failed.remedy
    );
    assert!(
        failed
            .said
            .iter()
            .any(|line| line.starts_with("Unable to find kernel headers")),
        "{:?}",
        failed.said
    );
}

fn missing_privileges() {
    let failed = fail(
        installed("tcptracer", &[]),
        &[("XTRACER_STANDIN_COMPILE", "root")],
    );
    assert_eq!(failed.kind, "Privileges", "{}", failed.reason);
}

fn cannot_attach() {
    let failed = fail(
        installed("tcptracer", &[]),
        &[("XTRACER_STANDIN_REFUSE", "tcp_set_state")],
    );
    assert_eq!(failed.kind, "CannotAttach", "{}", failed.reason);
    assert!(failed.reason.contains("tcp_set_state"), "{}", failed.reason);
}

fn usage() {
    let failed = fail(installed("tcptracer", &["--no-such-option"]), &[]);
    assert_eq!(failed.kind, "Usage", "{}", failed.reason);
    assert!(
        failed
            .said
            .iter()
            .any(|line| line.contains("--no-such-option")),
        "{:?}",
        failed.said
    );
}

fn left_early() {
    let text = "from bcc import BPF\nb = BPF(text='')\nprint('ERROR: nothing found')\nexit()\n";
    let (_folder, tools_dirs) = tool("early", text);
    let failed = fail(
        Spec {
            name: "early".into(),
            tools_dirs,
            ..Spec::default()
        },
        &[],
    );
    assert_eq!(failed.kind, "LeftEarly", "{}", failed.reason);
    assert_eq!(failed.said, ["ERROR: nothing found"]);
}

fn crash() {
    let text =
        "import os\nfor n in range(30): os.write(2, b'word %d\\n' % n)\nos.kill(os.getpid(), 11)\n";
    let (_folder, tools_dirs) = tool("dies", text);
    let events = Agent::start(
        &Spec {
            name: "dies".into(),
            tools_dirs,
            ..Spec::default()
        },
        &[],
    )
    .all();
    let failed = failure(&events);
    assert_eq!(failed.kind, "Crashed");
    assert!(failed.reason.contains("SIGSEGV"), "{}", failed.reason);
    assert_eq!(
        (failed.said.len(), failed.said[19].as_str()),
        (20, "word 29")
    );
}

fn restarted() {
    // The first life dies, the second one works.
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("mark").to_string_lossy().into_owned();
    let text = format!(
        "import os\nif os.path.exists({mark:?}): print('alive')\nelse:\n open({mark:?}, 'w')\n os.kill(os.getpid(), 9)\n"
    );
    let (_folder, tools_dirs) = tool("phoenix", &text);
    let spec = Spec {
        name: "phoenix".into(),
        tools_dirs,
        restart: true,
        ..Spec::default()
    };
    let events = Agent::start(&spec, &[]).all();
    let failed = events
        .iter()
        .find(|event| matches!(event, Event::Failed { .. }));
    assert!(
        matches!(
            failed,
            Some(Event::Failed {
                retry_ms: Some(1000),
                ..
            })
        ),
        "{events:?}"
    );
    assert_eq!(
        events
            .iter()
            .filter(|event| matches!(event, Event::Starting { .. }))
            .count(),
        2
    );
    assert_eq!(lines(&events), [(b"alive".to_vec(), false)]);
    assert_eq!(events.last(), Some(&Event::Stopped));
}

fn exception() {
    let (_folder, tools_dirs) = tool("raises", "print('before')\nnobody = {}['\\x1b[2J']\n");
    let failed = failure(
        &Agent::start(
            &Spec {
                name: "raises".into(),
                tools_dirs,
                ..Spec::default()
            },
            &[],
        )
        .all(),
    );
    assert_eq!(failed.kind, "Crashed");
    assert!(
        failed.reason.contains("KeyError") && failed.reason.contains("nobody = {}"),
        "{}",
        failed.reason
    );
}

fn exit_in_callback() {
    // ctypes swallows it; bcc before 0.24 ends this way when it cannot make an event's class.
    let text = "
from bcc import BPF
b = BPF(text='')
def event(cpu, data, size): exit('cannot go on')
b['ipv4_events'].open_perf_buffer(event)
b['ipv6_events'].open_perf_buffer(event)
while 1: b.perf_buffer_poll()
";
    let (_folder, tools_dirs) = tool("leaves", text);
    let failed = failure(
        &Agent::start(
            &Spec {
                name: "leaves".into(),
                tools_dirs,
                ..Spec::default()
            },
            &[],
        )
        .all(),
    );
    assert!(
        failed.reason.contains("status 1: cannot go on"),
        "{}",
        failed.reason
    );
}
