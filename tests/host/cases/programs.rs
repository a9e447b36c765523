//! The hooks on bcc: buffers, losses, attach points, the filter in the kernel, memory.

use std::path::Path;

use super::Case;
use crate::agent::{Event, Spec};
use crate::harness::{Agent, installed, lines};

pub(crate) const CASES: &[Case] = &[
    ("the_stand_in_is_called_like_the_installed_bcc", fidelity),
    ("a_tool_is_attached_before_its_first_event", attached_first),
    ("losses_in_the_kernel_are_counted_by_buffer", lost_samples),
    ("rings_are_made_larger_on_demand", ring_size),
    ("biosnoop_falls_back_and_says_so", fallback),
    (
        "biosnoop_of_newer_releases_falls_back_too",
        fallback_of_newer_tools,
    ),
    (
        "a_tracepoint_that_a_release_misreads_is_avoided",
        misread_tracepoint,
    ),
    ("the_filter_goes_into_the_program", filter),
    ("a_refused_filter_is_left_out", refused_filter),
    (
        "an_event_that_breaks_its_callback_is_counted",
        broken_callback,
    ),
];

fn fidelity() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/standin/fidelity.py");
    let output = std::process::Command::new("/usr/bin/python3")
        .arg(script)
        .output()
        .expect("python3");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

pub(super) struct Journal(tempfile::TempDir);

impl Journal {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(super) fn path(&self) -> String {
        self.0.path().join("journal").to_string_lossy().into_owned()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(self.path())
            .expect("a journal")
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

pub(super) fn run(spec: &Spec, journal: &Journal, settings: &[(&str, &str)]) -> Vec<Event> {
    let path = journal.path();
    let ours = [
        ("XTRACER_STANDIN_END", "stop"),
        ("XTRACER_STANDIN_JOURNAL", &path),
    ];
    Agent::start(spec, &[&ours, settings].concat()).all()
}

/// cachetop knows no last event: it is stopped after its first row.
pub(super) fn interrupted(spec: &Spec, journal: &Journal, settings: &[(&str, &str)]) -> Vec<Event> {
    let path = journal.path();
    let ours = [("XTRACER_STANDIN_JOURNAL", path.as_str())];
    let mut agent = Agent::start(spec, &[&ours, settings].concat());
    agent.until("a row", |event| matches!(event, Event::Line { .. }));
    agent.stop();
    agent.all()
}

fn attached_first() {
    let journal = Journal::new();
    let events = run(&installed("tcplife", &["-s", "-T", "-t"]), &journal, &[]);
    let attached = events
        .iter()
        .position(|event| *event == Event::Attached)
        .expect("attached");
    let first = events.iter().position(|event| {
        matches!(
            event,
            Event::Line {
                in_callback: true,
                ..
            }
        )
    });
    assert!(attached < first.expect("an event"), "{events:?}");
    // LLVM's memory goes once, after everything is in place; the probes go at the end.
    let done = journal.lines();
    assert_eq!(
        done.iter()
            .filter(|line| *line == "free_bcc_memory")
            .count(),
        1,
        "{done:?}"
    );
    let freed = done.iter().position(|line| line == "free_bcc_memory");
    assert!(
        freed > done.iter().rposition(|line| line.starts_with("open ")),
        "{done:?}"
    );
    assert_eq!(done.last().map(String::as_str), Some("cleanup"), "{done:?}");
}

fn lost_samples() {
    let folder = tempfile::tempdir().expect("a folder");
    let acts = write(
        folder.path(),
        r#"[{"pid": 1, "comm": "one"}, {"control": "lost", "count": 5}, {"pid": 2, "comm": "two"},
            {"control": "lost", "count": 7}]"#,
    );
    let events = run(
        &installed("tcptracer", &[]),
        &Journal::new(),
        &[("XTRACER_STANDIN_EVENTS", &acts)],
    );
    let lost: Vec<_> = events
        .iter()
        .filter(|event| matches!(event, Event::Lost { .. }))
        .collect();
    let buffer = || "tcp_ipv4_event".to_owned();
    let expected = [
        Event::Lost {
            buffer: buffer(),
            count: 5,
        },
        Event::Lost {
            buffer: buffer(),
            count: 7,
        },
    ];
    assert_eq!(lost, expected.iter().collect::<Vec<_>>(), "{events:?}");
    assert_eq!(lines(&events).iter().filter(|(_, event)| *event).count(), 2);
}

fn write(folder: &Path, text: &str) -> String {
    let path = folder.join("acts.json");
    std::fs::write(&path, text).expect("a file");
    path.to_string_lossy().into_owned()
}

fn ring_size() {
    for (name, asked, expected) in [
        ("tcptracer", None, 8),
        ("tcptracer", Some(256), 256),
        ("biosnoop", Some(16), 64),
    ] {
        let journal = Journal::new();
        run(
            &Spec {
                page_cnt: asked,
                ..installed(name, &[])
            },
            &journal,
            &[],
        );
        let opened: Vec<_> = journal
            .lines()
            .into_iter()
            .filter(|line| line.starts_with("open "))
            .collect();
        assert!(!opened.is_empty());
        let wanted = format!(" page_cnt={expected} lost_cb=1");
        assert!(
            opened.iter().all(|line| line.ends_with(&wanted)),
            "{name}: {opened:?}"
        );
    }
}

const ACCOUNTING: &str =
    "blk_account_io_start,__blk_account_io_start,blk_account_io_done,__blk_account_io_done";

fn fallback() {
    let journal = Journal::new();
    let events = run(
        &installed("biosnoop", &[]),
        &journal,
        &[("XTRACER_STANDIN_REFUSE", ACCOUNTING)],
    );
    assert_fell_back(&events, &journal);
}

/// As tools of 0.31 and later look for their attach points.
const NEWER_BIOSNOOP: &str = "
from bcc import BPF
b = BPF(text='int trace_req_completion;')
for target, handler in (('start', 'trace_pid_start'), ('done', 'trace_req_completion')):
    if BPF.tracepoint_exists('block', 'block_io_' + target):
        b.attach_tracepoint(tp='block:block_io_' + target, fn_name=handler + '_tp')
    elif BPF.get_kprobe_functions(b'blk_account_io_' + target.encode()):
        b.attach_kprobe(event='blk_account_io_' + target, fn_name=handler)
    else:
        print('ERROR: nothing found'); exit()
b['events'].open_perf_buffer(lambda cpu, data, size: print('an event'))
while 1:
    try: b.perf_buffer_poll()
    except KeyboardInterrupt: exit()
";

/// Tools of 0.31 and later search the kernel's functions first and leave when nothing is there.
fn fallback_of_newer_tools() {
    let (_folder, tools_dirs) = crate::harness::tool("biosnoop", NEWER_BIOSNOOP);
    let spec = Spec {
        name: "biosnoop".into(),
        tools_dirs,
        ..Spec::default()
    };
    let without = [
        ("XTRACER_STANDIN_REFUSE", ACCOUNTING),
        ("XTRACER_STANDIN_FUNCTIONS", "blk_mq_start_request"),
    ];
    let journal = Journal::new();
    let events = run(&spec, &journal, &without);
    assert_fell_back(&events, &journal);
    // A kernel with the tracepoints needs no help.
    let with = [("XTRACER_STANDIN_TRACEPOINTS", TRACEPOINTS)];
    let events = run(&spec, &Journal::new(), &[&without[..], &with].concat());
    assert!(
        !events.iter().any(|event| matches!(event, Event::Note(_))),
        "{events:?}"
    );
}

/// Releases 0.29 to 0.35 lose writes on kernels whose tracepoint has a field that they do not know.
fn misread_tracepoint() {
    let tracefs = tempfile::tempdir().expect("a folder");
    for event in ["block_io_start", "block_io_done"] {
        let folder = tracefs.path().join("events/block").join(event);
        std::fs::create_dir_all(&folder).expect("a folder");
        let format =
            "\tfield:unsigned int bytes;\tsize:4;\n\tfield:unsigned short ioprio;\tsize:2;\n";
        std::fs::write(folder.join("format"), format).expect("a file");
    }
    let tracefs = tracefs.path().to_string_lossy().into_owned();
    let (_folder, tools_dirs) = crate::harness::tool("biosnoop", NEWER_BIOSNOOP);
    let spec = Spec {
        name: "biosnoop".into(),
        tools_dirs,
        ..Spec::default()
    };
    for (release, misreads) in [("0.31.0", true), ("0.36.1", false), ("strange", false)] {
        let journal = Journal::new();
        let settings = [
            ("XTRACER_STANDIN_VERSION", release),
            ("XTRACER_STANDIN_TRACEFS", &tracefs),
            ("XTRACER_STANDIN_REFUSE", ACCOUNTING),
            ("XTRACER_STANDIN_FUNCTIONS", "blk_mq_start_request"),
            ("XTRACER_STANDIN_TRACEPOINTS", TRACEPOINTS),
        ];
        let events = run(&spec, &journal, &settings);
        if misreads {
            assert_fell_back(&events, &journal);
            let told = events
                .iter()
                .any(|event| matches!(event, Event::Note(text) if text.contains("ioprio")));
            assert!(told, "{events:?}");
        } else {
            assert!(
                !events.iter().any(|event| matches!(event, Event::Note(_))),
                "{events:?}"
            );
        }
    }
}

const TRACEPOINTS: &str = "block:block_io_start,block:block_io_done";

fn assert_fell_back(events: &[Event], journal: &Journal) {
    let done = journal.lines();
    for attach in [
        "attach kprobe blk_mq_start_request trace_pid_start",
        "attach kprobe blk_mq_complete_request_remote trace_req_completion",
        "attach kprobe blk_update_request trace_req_completion",
        "attach kprobe blk_mq_end_request trace_req_completion",
    ] {
        assert!(done.iter().any(|line| line == attach), "{attach}: {done:?}");
    }
    for target in ["blk_mq_start_request", "blk_mq_end_request"] {
        let told = events
            .iter()
            .any(|event| matches!(event, Event::Note(text) if text.contains(target)));
        assert!(told, "{target}: {events:?}");
    }
    assert_eq!(
        lines(events).iter().filter(|(_, event)| *event).count(),
        12,
        "{events:?}"
    );
}

fn filter() {
    for (name, has) in [
        ("execsnoop", 1),
        ("tcptracer", 1),
        ("tcpconnect", 1),
        ("tcpaccept", 1),
        ("tcplife", 1),
        ("biosnoop", 1),
        ("cachetop", 1),
    ] {
        let (folder, journal) = (tempfile::tempdir().expect("a folder"), Journal::new());
        let map = folder.path().join("pidns");
        std::fs::write(&map, "").expect("a file in the place of a map");
        let mut spec = installed(name, &[]);
        spec.filter_map = Some(map);
        let events = if name == "cachetop" {
            interrupted(&spec, &journal, &[])
        } else {
            run(&spec, &journal, &[])
        };
        assert!(
            journal.lines().contains(&format!("compile filter={has}")),
            "{name}: {:?}",
            journal.lines()
        );
        assert_eq!(events.last(), Some(&Event::Stopped), "{events:?}");
    }
    let journal = Journal::new();
    let spec = Spec {
        filter_map: Some("/nowhere/map".into()),
        ..installed("execsnoop", &[])
    };
    let events = run(&spec, &journal, &[]);
    assert!(journal.lines().contains(&"compile filter=0".to_owned()));
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Note(text) if text.contains("/nowhere/map")))
    );
}

fn refused_filter() {
    let (folder, journal) = (tempfile::tempdir().expect("a folder"), Journal::new());
    let map = folder.path().join("pidns");
    std::fs::write(&map, "").expect("a file in the place of a map");
    let spec = Spec {
        filter_map: Some(map),
        ..installed("execsnoop", &[])
    };
    let events = run(
        &spec,
        &journal,
        &[("XTRACER_STANDIN_COMPILE", "fail-filter")],
    );
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Note(text) if text.contains("filter"))),
        "{events:?}"
    );
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Failed { .. })),
        "{events:?}"
    );
    assert_eq!(
        lines(&events).iter().filter(|(_, event)| *event).count(),
        12
    );
}

fn broken_callback() {
    let folder = tempfile::tempdir().expect("a folder");
    let acts = write(
        folder.path(),
        r#"[{"pid": 1, "comm": "one"}, {"control": "broken"}, {"control": "broken"}, {"pid": 2, "comm": "two"}]"#,
    );
    let events = run(
        &installed("tcptracer", &["-t"]),
        &Journal::new(),
        &[("XTRACER_STANDIN_EVENTS", &acts)],
    );
    let notes: Vec<_> = events
        .iter()
        .filter(|event| matches!(event, Event::Note(_)))
        .collect();
    assert_eq!(notes.len(), 2, "{events:?}");
    assert!(format!("{notes:?}").contains("AttributeError"), "{notes:?}");
    assert_eq!(
        lines(&events).iter().filter(|(_, event)| *event).count(),
        2,
        "{events:?}"
    );
}
