//! The processes around the hub: the server and the agent that it starts, and what is left of them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::nats_server::NatsServer;
use crate::pid_namespace::Contained;
use crate::plain_nats::PlainNats;
use crate::replay::{TCPCONNECT_HEADER, Tools, tcpconnect};
use crate::session::{good, local};

/// A tool that prints one line of the target and then does this in Python.
fn tool(pid: u32, then: &str) -> Tools {
    let line = tcpconnect(pid, "curl", 80);
    Tools::new().script(
        "tcpconnect",
        &format!("import signal, time\nprint({TCPCONNECT_HEADER:?})\nprint({line:?})\n{then}\n"),
    )
}

/// A session that has shown its first line.
struct Session {
    hub: Child,
    _target: Contained,
    _tools: Tools,
}

impl Session {
    fn start(arguments: &[&str]) -> Self {
        Self::with(arguments, "signal.pause()")
    }

    fn with(arguments: &[&str], then: &str) -> Self {
        let target = Contained::start();
        let tools = tool(target.pid, then);
        let mut command = local(target.pid, tools.path(), &["--probes", "tcpconnect"]);
        let mut hub = command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(hub.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(
            line.contains("PNAME:curl") || line.contains("\"comm\":\"curl\""),
            "{line}"
        );
        Self {
            hub,
            _target: target,
            _tools: tools,
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.hub.id()).unwrap()), signal).unwrap();
    }

    /// Its exit status and standard error.
    fn end(&mut self) -> (Option<i32>, String) {
        let status = self.hub.wait().unwrap();
        let mut said = String::new();
        self.hub
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        (status.code(), said)
    }

    /// Its child of this name.
    fn child(&self, name: &str) -> u32 {
        child(self.hub.id(), name)
    }
}

/// A process' one child of this name.
pub(crate) fn child(parent: u32, name: &str) -> u32 {
    let mut found = Vec::new();
    // A child belongs to the thread that started it.
    for thread in fs::read_dir(format!("/proc/{parent}/task")).unwrap() {
        let children = thread.unwrap().path().join("children");
        let children = fs::read_to_string(children).unwrap();
        found.extend(
            children
                .split_whitespace()
                .map(|pid| pid.parse::<u32>().unwrap()),
        );
    }
    found.retain(|pid| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
    });
    assert_eq!(found.len(), 1, "children named {name}");
    found[0]
}

fn command_line(pid: u32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    String::from_utf8_lossy(&words).replace('\0', " ")
}

/// Whether a process is there and not dead; init may take its time to collect the dead.
fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    !(stat.is_empty() || state.starts_with(['Z', 'X']))
}

/// Waits for a process that nobody here can wait(2) for. The kernel tells of its end through a
/// descriptor of it, which the standard library has not; a test may look again instead.
fn wait_until_dead(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while lives(pid) {
        assert!(
            Instant::now() < deadline,
            "{pid} still lives: {}",
            command_line(pid)
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn its_own_server_is_private_and_leaves_nothing() {
    let mut session = Session::start(&[]);
    let (server, agent) = (session.child("nats-server"), session.child("x-agent"));
    let words = command_line(server);
    let config = PathBuf::from(words.split_whitespace().last().unwrap());
    let folder = config.parent().unwrap().to_owned();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&config), mode(&folder)), (0o600, 0o700));
    let text = fs::read_to_string(&config).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&settings["host"], &settings["port"]),
        (&"127.0.0.1".into(), &(-1).into()),
        "{settings}"
    );
    let users = settings["authorization"]["users"].as_array().unwrap();
    assert_eq!(
        users.len(),
        2,
        "the hub and the agent of this node: {settings}"
    );
    let passwords: Vec<_> = users
        .iter()
        .map(|user| user["password"].as_str().unwrap())
        .collect();
    for pid in [session.hub.id(), server, agent] {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        for password in &passwords {
            assert!(password.len() >= 32, "{password}");
            assert!(!command_line(pid).contains(password));
            assert!(!environment.contains(password));
        }
    }
    session.signal(Signal::SIGINT);
    let (code, said) = session.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("complete: every record that was published is shown, 1 in all"),
        "{said}"
    );
    assert!(!folder.exists() && !lives(server) && !lives(agent));
}

#[test]
fn nothing_outlives_a_killed_hub() {
    let mut session = Session::start(&[]);
    let (server, agent) = (session.child("nats-server"), session.child("x-agent"));
    session.signal(Signal::SIGKILL);
    session.hub.wait().unwrap();
    wait_until_dead(server);
    wait_until_dead(agent);
}

#[test]
fn a_killed_server_ends_the_session_with_a_reason() {
    let mut session = Session::start(&[]);
    let (server, agent) = (session.child("nats-server"), session.child("x-agent"));
    kill(
        Pid::from_raw(i32::try_from(server).unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    let (code, said) = session.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nats-server ended by itself"), "{said}");
    assert!(!lives(agent), "{said}");
}

#[test]
fn a_server_of_the_users_serves_others_too() {
    let token = "t0ken";
    let server = NatsServer::with_config(&format!("authorization {{ token: \"{token}\" }}"));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{token}\n")).unwrap();
    let mut plain = PlainNats::connect(server.port, Some(token));
    plain.subscribe("xtracer.v1.>");
    let url = server.url();
    let arguments = [
        "--nats",
        &url,
        "--token-file",
        file.path().to_str().unwrap(),
        "-o",
        "json",
    ];
    let mut session = Session::start(&arguments);
    let record = loop {
        let message = plain.next();
        if !message.subject.ends_with(".status") {
            break message;
        }
    };
    assert!(
        record.subject.ends_with(".tcpconnect"),
        "{}",
        record.subject
    );
    let record: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
    assert_eq!(
        (&record["comm"], &record["seq"]),
        (&"curl".into(), &1.into())
    );
    session.signal(Signal::SIGTERM);
    let (code, said) = session.end();
    assert_eq!(code, Some(0), "{said}");
    // The server is the user's and goes on.
    PlainNats::connect(server.port, Some(token));
}

#[test]
fn a_stranger_on_the_same_server_is_refused_and_counted() {
    let server = NatsServer::start();
    let mut plain = PlainNats::connect(server.port, None);
    plain.subscribe("xtracer.v1.>");
    let url = server.url();
    let mut session = Session::start(&["--nats", &url]);
    let record = loop {
        let message = plain.next();
        if !message.subject.ends_with(".status") {
            break message;
        }
    };
    let mut forged: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
    forged["pod"] = "another".into();
    let mut stranger = PlainNats::connect(server.port, None);
    stranger.publish(&record.subject, forged.to_string().as_bytes());
    stranger.publish(&record.subject, b"\x1b[2J");
    // The same record once more is no forgery, and not shown twice.
    stranger.publish(&record.subject, &record.payload);
    session.signal(Signal::SIGINT);
    let (code, said) = session.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 messages refused"), "{said}");
    assert!(said.contains("shown 1; missing 0; came twice 1"), "{said}");
}

#[test]
fn a_wrong_token_is_status_4() {
    let server = NatsServer::with_config("authorization { token: \"right\" }");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "wrong").unwrap();
    let target = Contained::start();
    let tools = tool(target.pid, "");
    let url = server.url();
    let token = file.path().to_str().unwrap();
    let mut hub = local(
        target.pid,
        tools.path(),
        &["--nats", &url, "--token-file", token],
    );
    let output = hub.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
}

#[test]
fn a_probe_that_is_given_up_is_a_loss_for_strict() {
    let target = Contained::start();
    let tools = tool(target.pid, "").script("tcplife", "raise ImportError('no such thing')\n");
    let both = ["--probes", "tcpconnect,tcplife"];
    let output = good(local(target.pid, tools.path(), &both));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("probes attached 1/2"), "{said}");
    assert!(said.contains("incomplete: tcplife: given up"), "{said}");
    let mut strict = local(target.pid, tools.path(), &both);
    let output = strict.arg("--strict").output().unwrap();
    assert_eq!(output.status.code(), Some(6));
}

#[test]
fn time_that_is_over_before_anything_attached_is_no_good_end() {
    let target = Contained::start();
    let tools = Tools::new().script("tcpconnect", "import signal\nsignal.pause()\n");
    let target = target.pid.to_string();
    let output = crate::session::hub()
        .args([
            "local",
            "--pid",
            &target,
            "--probes",
            "tcpconnect",
            "--timeout",
            "2s",
        ])
        .arg("--tools-dir")
        .arg(tools.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("give a longer --timeout"), "{said}");
}
