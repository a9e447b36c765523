//! How a session ends: well, or with a reason and a status that a script can test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pid_namespace::Contained;
use crate::replay::{TCPCONNECT_HEADER, Tools, tcpconnect};
use crate::session::{hub, local};

/// A tool that prints a line of the target and then waits for a signal.
fn waiting(pid: u32) -> Tools {
    let line = tcpconnect(pid, "curl", 80);
    Tools::new().script(
        "tcpconnect",
        &format!("import signal\nprint({TCPCONNECT_HEADER:?})\nprint({line:?})\nsignal.pause()\n"),
    )
}

/// The processes whose command line holds all of these words.
fn processes(words: &[&str]) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if words.iter().all(|word| command.contains(word)) {
            found.push(pid);
        }
    }
    found
}

#[test]
fn a_signal_ends_it_well_and_nothing_stays() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let target = Contained::start();
        let tools = waiting(target.pid);
        let mut hub = local(target.pid, tools.path(), &["--probes", "tcpconnect"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("x-tracer");
        let mut line = String::new();
        BufReader::new(hub.stdout.as_mut().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        assert!(line.contains("PNAME:curl"), "{line}");
        kill(
            Pid::from_raw(i32::try_from(hub.id()).expect("a PID")),
            signal,
        )
        .expect("a signal");
        let status = hub.wait().expect("an end");
        let mut said = String::new();
        hub.stderr
            .take()
            .expect("a pipe")
            .read_to_string(&mut said)
            .expect("text");
        assert_eq!(status.code(), Some(0), "{signal}: {said}");
        let target = format!("pid:{}", target.pid);
        assert_eq!(processes(&["x-agent", &target]), [0; 0], "{signal}: {said}");
    }
}

#[test]
fn a_killed_agent_takes_its_tools_along_and_the_hub_says_so() {
    let target = Contained::start();
    let tools = waiting(target.pid);
    let mut hub = local(target.pid, tools.path(), &["--probes", "tcpconnect"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("x-tracer");
    let mut line = String::new();
    BufReader::new(hub.stdout.as_mut().expect("a pipe"))
        .read_line(&mut line)
        .expect("a line");
    let name = format!("pid:{}", target.pid);
    let agents = processes(&["x-agent", &name]);
    assert!(
        agents.len() >= 2,
        "an agent and its tool's host: {agents:?}"
    );
    let agent = agents.iter().min().expect("the eldest");
    kill(
        Pid::from_raw(i32::try_from(*agent).expect("a PID")),
        Signal::SIGKILL,
    )
    .expect("a signal");
    let status = hub.wait().expect("an end");
    let mut said = String::new();
    hub.stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut said)
        .expect("text");
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("agent"), "{said}");
    assert_eq!(processes(&["x-agent", &name]), [0; 0], "{said}");
}

#[test]
fn a_reader_who_leaves_is_a_good_end() {
    let target = Contained::start();
    let tools = Tools::new().script(
        "tcpconnect",
        &format!(
            "print({TCPCONNECT_HEADER:?})\nwhile True: print({:?})\n",
            tcpconnect(target.pid, "curl", 80)
        ),
    );
    let mut hub = local(target.pid, tools.path(), &["--probes", "tcpconnect"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("x-tracer");
    {
        let mut line = String::new();
        let mut stdout = BufReader::new(hub.stdout.take().expect("a pipe"));
        stdout.read_line(&mut line).expect("a line");
    }
    let output = hub.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn what_is_missing_is_named() {
    let target = Contained::start();
    let ended = |mut command: Command| {
        let output = command.output().expect("x-tracer");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let mut stranger = hub();
    stranger.args(["local", "--pid", "4194304"]);
    let (code, said) = ended(stranger);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("there is no process 4194304"), "{said}");

    let mut ourselves = hub();
    ourselves.args(["local", "--pid", &std::process::id().to_string()]);
    let (code, said) = ended(ourselves);
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("no PID namespace of its own"), "{said}");

    let broken = Tools::new().script("tcpconnect", "raise SystemExit('no kprobes today')\n");
    let (code, said) = ended(local(
        target.pid,
        broken.path(),
        &["--probes", "tcpconnect"],
    ));
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("no kprobes today"), "{said}");
}

#[test]
fn the_agent_obeys_the_originals_environment() {
    let agent = |settings: &[(&str, &str)]| {
        let agent = std::path::Path::new(env!("CARGO_BIN_EXE_x-tracer")).with_file_name("x-agent");
        let output = Command::new(agent)
            .env_clear()
            .envs(settings.iter().copied())
            .output()
            .expect("x-agent");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let id = "19fb910a711f5eabf2cad6569a01db3702752e2f8155059654130711b8bf2c8f";
    let (code, said) = agent(&[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("containerId"), "{said}");
    let (code, said) = agent(&[
        ("containerId", id),
        ("masterIp", "127.0.0.1"),
        ("tools", "tcplife,tcptop"),
    ]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("unknown probe `tcptop`"), "{said}");
    let (code, said) = agent(&[
        ("containerId", id),
        ("masterIp", "127.0.0.1"),
        ("tools", "biosnoop,tcptracer"),
    ]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("no process of this machine is in that container"),
        "{said}"
    );
}
