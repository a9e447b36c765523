//! What is printed arrives: whole, once, in order, as the events and lines that it was.

use super::Case;
use crate::agent::{Event, Spec};
use crate::harness::{Agent, eventually, installed, lines, tool};

pub(crate) const CASES: &[Case] = &[
    (
        "installed_tools_print_what_they_print_without_the_host",
        same_as_without_the_host,
    ),
    ("a_hostile_name_is_one_event", hostile_names),
    ("the_first_event_is_whole", first_event),
    ("cachetop_rows_are_lines", cachetop),
    ("plain_output_is_lines", plain_lines),
    ("odd_writes_survive", odd_writes),
    ("a_long_line_is_cut_and_flagged", long_lines),
    ("stray_output_of_c_code_is_kept_apart", stray_output),
    ("a_stalled_agent_loses_counted_events_only", stalled_agent),
    ("the_last_line_of_a_burst_waits_for_nothing", end_of_burst),
    ("plain_output_waits_and_is_never_dropped", throughput),
];

/// Tools whose output does not depend on the clock, with the options that the agent uses.
const STEADY: &[(&str, &[&str])] = &[
    ("tcptracer", &["-t"]),
    ("tcpconnect", &["-t"]),
    ("biosnoop", &[]),
];

fn run_to_end(spec: &Spec, settings: &[(&str, &str)]) -> Vec<Event> {
    let with_end = [settings, &[("XTRACER_STANDIN_END", "stop")]].concat();
    Agent::start(spec, &with_end).all()
}

fn same_as_without_the_host() {
    for (name, argv) in STEADY {
        let events = run_to_end(&installed(name, argv), &[]);
        let mut printed: Vec<u8> = Vec::new();
        for (line, _) in lines(&events) {
            printed.extend(line);
            printed.push(b'\n');
        }
        let script =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/standin/run_tool.py");
        let alone = std::process::Command::new("/usr/bin/python3")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(script)
            .arg(format!("/usr/sbin/{name}-bpfcc"))
            .args(*argv)
            .output()
            .expect("python3");
        assert!(
            alone.status.success(),
            "{}",
            String::from_utf8_lossy(&alone.stderr)
        );
        assert_eq!(
            String::from_utf8_lossy(&printed),
            String::from_utf8_lossy(&alone.stdout),
            "{name}"
        );
    }
}

fn hostile_names() {
    // Each tool of the seven that has a line mode: eleven acts and, where the kernel has no name for a
    // process, a twelfth, each exactly one event with its name in it.
    let tools: &[(&str, &[&str])] = &[
        ("tcptracer", &["-t"]),
        ("tcpconnect", &["-t"]),
        ("tcpaccept", &["-T", "-t"]),
        ("tcplife", &["-s", "-T", "-t"]),
        ("execsnoop", &["-T", "-t"]),
        ("biosnoop", &[]),
    ];
    for (name, argv) in tools {
        let events = run_to_end(&installed(name, argv), &[]);
        let events: Vec<_> = lines(&events)
            .into_iter()
            .filter(|(_, event)| *event)
            .map(|(line, _)| line)
            .collect();
        assert_eq!(events.len(), 12, "{name}: {:?}", texts(&events));
        let find = |part: &[u8]| {
            events
                .iter()
                .filter(|event| event.windows(part.len()).any(|w| w == part))
                .count()
        };
        assert_eq!(find(b"a\nb"), 1, "{name}");
        assert_eq!(find(b"\x1b[31mred"), 1, "{name}");
        assert_eq!(find(b"x\n1 C 666"), 1, "{name}");
        // Tools that print bytes keep those that are no UTF-8, tools that print text replace them.
        let bytes = ["tcpconnect", "tcpaccept", "execsnoop"].contains(name);
        let odd: &[u8] = if bytes {
            b"caf\xc3\xa9 \xff\xfe"
        } else {
            "café \u{fffd}\u{fffd}".as_bytes()
        };
        assert_eq!(find(odd), 1, "{name}: {:?}", texts(&events));
    }
}

fn texts(lines: &[Vec<u8>]) -> Vec<String> {
    lines
        .iter()
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect()
}

fn first_event() {
    // `print` and `printb` into a pipe mix the heads into the first event; here they must not.
    let events = run_to_end(&installed("tcpaccept", &["-T", "-t"]), &[]);
    let lines = lines(&events);
    assert_eq!(
        texts(&[lines[0].0.clone()])[0],
        "TIME     TIME(s)  PID     COMM         IP RADDR            RPORT LADDR            LPORT"
    );
    assert!(!lines[0].1);
    let first = String::from_utf8(lines[1].0.clone()).expect("plain text");
    assert!(
        first[9..].starts_with("0.000    20656   iperf3       4  10.244.1.17"),
        "{first}"
    );
    assert!(lines[1].1);
}

fn cachetop() {
    let mut agent = Agent::start(&installed("cachetop", &["1"]), &[]);
    agent.until("attached", |event| *event == Event::Attached);
    let row = |event: &Event| {
        matches!(
            event,
            Event::Line {
                in_callback: true,
                ..
            }
        )
    };
    agent.until("row", row);
    agent.stop();
    let events = agent.all();
    let lines = lines(&events);
    let title = String::from_utf8(lines[0].0.clone()).expect("plain text");
    assert!(
        title[8..].starts_with(" Buffers MB: ")
            && title.ends_with("Sort: HITS / Order: descending"),
        "{title}"
    );
    assert!(
        lines[1]
            .0
            .starts_with(b"PID      UID      CMD              HITS ")
    );
    assert!(!lines[0].1 && !lines[1].1);
    let picture: Vec<_> = lines[2..]
        .iter()
        .take_while(|(_, event)| *event)
        .map(|(line, _)| line.clone())
        .collect();
    assert_eq!(picture.len(), 6, "{:?}", texts(&picture));
    assert!(
        picture[2].starts_with(b"       8 root     a\nb "),
        "{:?}",
        texts(&picture)
    );
    assert_eq!(events.last(), Some(&Event::Stopped));
}

fn plain_lines() {
    let text = "import sys\nprint('one')\nsys.stdout.write('tw')\nprint('o')\nprint(end='last')\n";
    let (_folder, tools_dirs) = tool("recorded", text);
    let events = Agent::start(
        &Spec {
            name: "recorded".into(),
            tools_dirs,
            ..Spec::default()
        },
        &[],
    )
    .all();
    let expected = [b"one".to_vec(), b"two".to_vec(), b"last".to_vec()].map(|line| (line, false));
    assert_eq!(lines(&events), expected);
    assert_eq!(
        events[1],
        Event::Attached,
        "a tool without BPF is at work when it prints"
    );
    assert_eq!(events.last(), Some(&Event::Stopped), "{events:?}");
}

fn odd_writes() {
    let text = r"
import sys, io
sys.stdout.write('\udcff\n')                 # a byte that Python could not decode
sys.stdout.buffer.write(bytearray(b'\xfe\n'))
sys.stdout.buffer.write(memoryview(b'view\n'))
sys.stdout.write(b'bytes\n')
sys.stdout.writelines(['a\n', 'b\n'])
print('\ud800')                              # half a pair, which no encoding has
assert not sys.stdout.isatty() and sys.stdout.encoding == 'utf-8'
try: sys.stdout.write(5)
except TypeError: print('no numbers')
sys.stdout.flush(); sys.stdout.reconfigure(line_buffering=True); sys.stdout.close()
print('after close')
";
    let (_folder, tools_dirs) = tool("odd", text);
    let events = Agent::start(
        &Spec {
            name: "odd".into(),
            tools_dirs,
            ..Spec::default()
        },
        &[],
    )
    .all();
    let seen: Vec<_> = lines(&events).into_iter().map(|(line, _)| line).collect();
    let expected: [&[u8]; 9] = [
        b"\xff",
        b"\xfe",
        b"view",
        b"bytes",
        b"a",
        b"b",
        b"?",
        b"no numbers",
        b"after close",
    ];
    assert_eq!(seen, expected, "{events:?}");
}

fn long_lines() {
    let (_folder, tools_dirs) = tool(
        "long",
        "print('x' * 100000)\nprint('y' * 300000)\nprint('z')\n",
    );
    let events = Agent::start(
        &Spec {
            name: "long".into(),
            tools_dirs,
            ..Spec::default()
        },
        &[],
    )
    .all();
    let shape: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Line { bytes, cut, .. } => Some((bytes.len(), *cut)),
            _ => None,
        })
        .collect();
    assert_eq!(
        shape,
        [
            (100_000, false),
            (x_agent::probe::LINE_CAP, true),
            (1, false)
        ]
    );
}

fn stray_output() {
    let text = r#"
import os, sys
os.write(1, b"from C on 1\n"); os.write(2, b"from C on 2\n")
print("Python's warning", file=sys.stderr)
print("an event")
"#;
    let (_folder, tools_dirs) = tool("stray", text);
    let events = Agent::start(
        &Spec {
            name: "stray".into(),
            tools_dirs,
            ..Spec::default()
        },
        &[],
    )
    .all();
    assert_eq!(lines(&events), [(b"an event".to_vec(), false)]);
    for said in ["from C on 1", "from C on 2", "Python's warning"] {
        assert!(
            events.contains(&Event::Said(said.into())),
            "{said}: {events:?}"
        );
    }
}

fn stalled_agent() {
    // 12 acts 3,000 times, over 3 MB, into an agent that looks away until all of them have happened.
    let spec = Spec {
        hold: true,
        count_only: true,
        ..installed("tcptracer", &["-t"])
    };
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("journal").to_string_lossy().into_owned();
    let settings = [
        ("XTRACER_STANDIN_REPEAT", "3000"),
        ("XTRACER_STANDIN_END", "stop"),
        ("XTRACER_STANDIN_JOURNAL", &journal),
    ];
    let mut agent = Agent::start(&spec, &settings);
    eventually("all acts are done", || {
        std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("done"))
    });
    agent.tell("go");
    let events = agent.all();
    let (lines, dropped) = counted(&events);
    // Two lines are the preamble and the head.
    assert_eq!(lines + dropped, 36_000 + 2, "{events:?}");
    assert!(dropped > 0, "the case wants a stall: {events:?}");
}

fn counted(events: &[Event]) -> (u64, u64) {
    let count = events.iter().find_map(|event| match event {
        Event::Counted { lines, dropped, .. } => Some((*lines, *dropped)),
        _ => None,
    });
    count.unwrap_or_else(|| panic!("no count: {events:?}"))
}

fn end_of_burst() {
    // Lines of a burst travel together; nothing tells the host that this one was the last.
    let text = "import time\nfor n in range(1000): print(n)\ntime.sleep(3600)\n";
    let (_folder, tools_dirs) = tool("burst", text);
    let spec = Spec {
        name: "burst".into(),
        tools_dirs,
        ..Spec::default()
    };
    let mut agent = Agent::start(&spec, &[]);
    agent.until(
        "last line",
        |event| matches!(event, Event::Line { bytes, .. } if bytes == b"999"),
    );
    agent.stop();
    let lines: Vec<_> = lines(&agent.all())
        .into_iter()
        .map(|(line, _)| line)
        .collect();
    let expected: Vec<_> = (0..1000).map(|n| n.to_string().into_bytes()).collect();
    assert_eq!(lines, expected);
}

fn throughput() {
    let text = "
line = '0.000    20656   iperf3       4  127.0.0.1        10.244.1.17      6001  '
for _ in range(500_000):
    print(line)
";
    let (_folder, tools_dirs) = tool("flood", text);
    let spec = Spec {
        name: "flood".into(),
        tools_dirs,
        count_only: true,
        ..Spec::default()
    };
    let events = Agent::start(&spec, &[]).all();
    assert_eq!(counted(&events), (500_000, 0));
}
