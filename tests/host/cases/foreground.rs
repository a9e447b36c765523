//! `x-agent probe`: what a person sees.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Case;

pub(crate) const CASES: &[Case] = &[
    ("probe_prints_an_event_a_line_and_the_rest_apart", prints),
    ("probe_fails_with_a_remedy", fails),
    ("probe_ends_on_a_signal", ends),
];

fn probe(words: &[&str]) -> Command {
    let standin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/standin");
    let mut command = Command::new(env!("CARGO_BIN_EXE_x-agent"));
    command
        .arg("probe")
        .args(words)
        .env("XTRACER_BCC_PATH", standin)
        .env_remove("XTRACER_TOOLS_DIR")
        .stdin(Stdio::null());
    command
}

fn prints() {
    let output = probe(&["tcptracer", "--", "-t"])
        .env("XTRACER_STANDIN_END", "stop")
        .output()
        .expect("x-agent");
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<_> = output
        .stdout
        .split_inclusive(|byte| *byte == b'\n')
        .collect();
    // A preamble, the head, and twelve events, two of them with a newline in a name.
    assert_eq!(
        lines.len(),
        14,
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("  8      a\\nb "), "{text}");
    let said = String::from_utf8_lossy(&output.stderr);
    for part in [
        "runs /usr/sbin/tcptracer-bpfcc -t",
        "attached after ",
        "stopped",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

fn fails() {
    let output = probe(&["tcptracer"])
        .env("XTRACER_STANDIN_COMPILE", "headers")
        .output()
        .expect("x-agent");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("what to do: install the headers"), "{said}");
}

fn ends() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut process = probe(&["tcptracer"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("x-agent");
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let event = lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains("iperf3"));
        assert!(event.is_some());
        let pid = Pid::from_raw(process.id().try_into().expect("a pid"));
        kill(pid, signal).expect("it runs");
        // Reads to the end, so that the last events find a reader.
        lines.for_each(drop);
        assert!(process.wait().expect("a child").success(), "{signal}");
    }
}
