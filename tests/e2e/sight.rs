//! Attached is not seeing. The installed tools over the stand-in for bcc: it reports as much of the
//! agent's own known events as a case lets it, and nothing else.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::nats_server::NatsServer;
use crate::pid_namespace::Contained;
use crate::plain_nats::PlainNats;
use crate::session::hub;

/// `x-tracer local` with the installed tools, which see `canary`.
pub(crate) fn tracer(target: &Contained, probes: &str, canary: &str) -> Command {
    let standin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/standin");
    let mut command = hub();
    command
        .args(["local", "--timeout", "60s", "--probes", probes, "--pid"])
        .arg(target.pid.to_string())
        .env("XTRACER_BCC_PATH", standin)
        .env("XTRACER_STANDIN_CANARY", canary)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The same without `CAP_SYS_ADMIN`, which root's programs do not get back.
fn without_sys_admin(command: &Command) -> Command {
    let mut limited = Command::new("setpriv");
    limited
        .args(["--bounding-set", "-sys_admin"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            limited.env(name, value);
        }
    }
    limited
}

/// Runs it until it says `word`, then Ctrl-C: (exit status, standard output, what it said).
fn until(mut command: Command, word: &str) -> (Option<i32>, String, String) {
    let acts = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(acts.path(), "[]").expect("a file");
    let mut hub = command
        .env("XTRACER_STANDIN_EVENTS", acts.path())
        .spawn()
        .expect("x-tracer");
    let mut stderr = BufReader::new(hub.stderr.take().expect("a pipe"));
    let mut said = String::new();
    while !said.lines().any(|line| line.contains(word)) {
        let count = stderr.read_line(&mut said).expect("text");
        assert!(count > 0, "it never said {word:?}: {said}");
    }
    let pid = Pid::from_raw(i32::try_from(hub.id()).expect("a PID"));
    kill(pid, Signal::SIGINT).expect("a signal");
    stderr.read_to_string(&mut said).expect("text");
    let mut shown = String::new();
    let mut stdout = hub.stdout.take().expect("a pipe");
    stdout.read_to_string(&mut shown).expect("text");
    (hub.wait().expect("an end").code(), shown, said)
}

#[test]
fn probes_that_report_a_known_event_see_and_nobody_is_shown_it() {
    let target = Contained::start();
    let command = tracer(&target, "tcp,execsnoop", "connect,accept,close,ipv6");
    let (status, shown, said) = until(command, "probes proven to see");
    assert!(said.contains("probes proven to see 5/5"), "{said}");
    assert_eq!(shown, "", "{said}");
    assert!(said.contains("complete: every record"), "{said}");
    assert_eq!(status, Some(0), "{said}");
}

#[test]
fn a_probe_that_reports_nothing_is_blind_and_that_is_an_exit_status() {
    let target = Contained::start();
    let (status, _, said) = until(tracer(&target, "tcpaccept", ""), "probes proven to see");
    let blind = "tcpaccept: blind: attached, but it reported nothing of a TCP session";
    assert!(said.contains(blind), "{said}");
    assert!(said.contains("tcpaccept: what to do: bcc 0.36"), "{said}");
    assert!(said.contains("probes proven to see 0/1"), "{said}");
    assert!(said.contains("incomplete: tcpaccept: blind"), "{said}");
    assert_eq!(status, Some(5), "{said}");
}

#[test]
fn a_blind_probe_that_can_be_healed_is_healed_and_says_so() {
    let target = Contained::start();
    let mut command = tracer(&target, "tcpaccept", "connect,accept,close,ipv6");
    command.env("XTRACER_STANDIN_NEEDS", "newsk->sk_protocol != IPPROTO_TCP");
    let (status, shown, said) = until(command, "probes proven to see");
    assert!(
        said.contains("it is started again in a way that may mend this"),
        "{said}"
    );
    assert!(
        said.contains("tcpaccept: healed: the tool works out"),
        "{said}"
    );
    assert!(said.contains("probes proven to see 1/1"), "{said}");
    assert!(said.contains("; sees; healed"), "{said}");
    assert!(said.contains("complete: every record"), "{said}");
    assert_eq!((status, shown.as_str()), (Some(0), ""), "{said}");
}

#[test]
fn a_kind_of_event_that_never_comes_makes_a_probe_suspect() {
    let target = Contained::start();
    let command = tracer(&target, "tcptracer", "connect,close,ipv6");
    let (status, _, said) = until(command, "probes proven to see");
    assert!(said.contains("tcptracer: suspect: "), "{said}");
    assert!(said.contains("but not all: accepts"), "{said}");
    assert!(
        said.contains("incomplete: tcptracer: did not see accepts"),
        "{said}"
    );
    assert_eq!(status, Some(0), "{said}");
}

#[test]
fn without_the_right_to_prove_it_one_line_says_so_of_all_probes() {
    let target = Contained::start();
    let server = NatsServer::start();
    let mut reader = PlainNats::connect(server.port, None);
    reader.subscribe("xtracer.v1.*.*.status");
    let mut command = tracer(&target, "tcpconnect,execsnoop", "");
    command.args(["--nats", &server.url()]);
    let (status, _, said) = until(without_sys_admin(&command), "probes proven to see");
    let calm = "x-tracer: unproven whether the probes see: cannot make a PID namespace";
    assert!(said.contains(calm), "{said}");
    assert_eq!(said.matches("unproven whether").count(), 1, "{said}");
    assert_eq!(said.matches("mount namespace").count(), 1, "{said}");
    assert!(!said.contains("what to do"), "{said}");
    assert!(said.contains("probes proven to see 0/2"), "{said}");
    assert!(said.contains("complete: every record"), "{said}");
    assert_eq!(status, Some(0), "{said}");
    let mut unproven = BTreeSet::new();
    while unproven.len() < 2 {
        let status: Value = serde_json::from_slice(&reader.next().payload).unwrap();
        if status["sight"]["verdict"] == "unproven" {
            unproven.insert(status["probe"].to_string());
        }
    }
}
