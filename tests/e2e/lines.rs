//! What comes out is what went in: nothing of others, nothing lost, nothing forged.

use serde_json::Value;

use crate::pid_namespace::Contained;
use crate::replay::{TCPCONNECT_HEADER, Tools, tcpconnect};
use crate::session::{good, local};

#[test]
fn only_the_targets_lines_are_shown() {
    let (target, other) = (Contained::start(), Contained::start());
    let tools = Tools::new().lines(
        "tcpconnect",
        &[
            "Tracing connect ... Hit Ctrl-C to end".to_owned(),
            TCPCONNECT_HEADER.to_owned(),
            tcpconnect(target.pid, "curl", 80),
            tcpconnect(other.pid, "other", 81),
            tcpconnect(1, "host", 82),
            tcpconnect(target.pid, "tmux: server", 83),
        ],
    );
    let output = good(local(target.pid, tools.path(), &["--probes", "tcpconnect"]));
    let shown = String::from_utf8(output.stdout).expect("text");
    let pid = target.pid;
    let line = |shown: &str, comm: &str, port: u16| {
        assert!(
            shown.starts_with("{Probe:tcpconnect |Sys_Time: "),
            "{shown}"
        );
        let rest = &shown["{Probe:tcpconnect |Sys_Time: 00:00:00".len()..];
        assert_eq!(
            rest,
            format!(
                " |T: 0.000 | PID:{pid} | PNAME:{comm} | IP:4 | SADDR:127.0.0.1 | DADDR:10.244.1.17 | DPORT:{port} "
            )
        );
    };
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines.len(), 2, "{shown}");
    line(lines[0], "curl", 80);
    line(lines[1], "tmux: server", 83);
    let summary = String::from_utf8_lossy(&output.stderr);
    assert!(
        summary.contains(
            "printed 4 = outside 2 + unattributed 0 + unparsed 0 + dropped 0 + published 2"
        ),
        "{summary}"
    );
    assert!(summary.contains("complete"), "{summary}");
}

#[test]
fn names_of_strangers_neither_split_nor_reach_the_terminal() {
    let target = Contained::start();
    let tools = Tools::new().lines(
        "tcpconnect",
        &[
            TCPCONNECT_HEADER.to_owned(),
            tcpconnect(target.pid, "\u{1b}[2J\u{202e}x", 80),
        ],
    );
    let output = good(local(target.pid, tools.path(), &["--probes", "tcpconnect"]));
    let shown = String::from_utf8(output.stdout).expect("text");
    assert_eq!(shown.lines().count(), 1);
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");

    let output = good(local(
        target.pid,
        tools.path(),
        &["--probes", "tcpconnect", "-o", "json"],
    ));
    let record: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(record["comm"], "\u{1b}[2J\u{202e}x");
    assert_eq!(record["pid"], target.pid);
    assert_eq!(record["pid_ns"], 1);
    assert_eq!(record["seq"], 1);
}

#[test]
fn a_flood_of_recorded_lines_arrives_whole_and_in_order() {
    const LINES: u64 = 200_000;
    let target = Contained::start();
    let tools = Tools::new().script(
        "tcpconnect",
        &format!(
            "print({TCPCONNECT_HEADER:?})\nfor i in range({LINES}):\n    \
             print('0.000    {:<7} %-12d 4  127.0.0.1        10.244.1.17      80     ' % i)\n",
            target.pid
        ),
    );
    let output = good(local(
        target.pid,
        tools.path(),
        &["--probes", "tcpconnect", "-o", "json"],
    ));
    let mut expected = 0;
    for line in output
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let record: Value = serde_json::from_slice(line).expect("a record a line");
        assert_eq!(record["comm"], expected.to_string());
        expected += 1;
        assert_eq!(record["seq"], expected);
    }
    assert_eq!(expected, LINES);
}

#[test]
fn a_line_that_no_tool_prints_is_counted_and_the_rest_goes_on() {
    let target = Contained::start();
    let tools = Tools::new().lines(
        "tcpconnect",
        &[
            TCPCONNECT_HEADER.to_owned(),
            tcpconnect(target.pid, "one", 80),
            "0.000    what is this?".to_owned(),
            tcpconnect(target.pid, "two", 81),
        ],
    );
    let output = good(local(target.pid, tools.path(), &["--probes", "tcpconnect"]));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    let summary = String::from_utf8_lossy(&output.stderr);
    assert!(summary.contains("unparsed 1"), "{summary}");
}
