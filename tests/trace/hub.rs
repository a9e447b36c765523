//! One run of the hub.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::lab::Lab;

/// Longest time that anything may take; only so that a bug ends a test.
const PATIENCE: Duration = Duration::from_secs(120);

/// The hub's program.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_x-tracer"))
}

/// The agent's, which stands beside it.
pub(crate) fn agent() -> PathBuf {
    let agent = program().with_file_name("x-agent");
    assert!(
        agent.exists(),
        "the agent is not built: cargo build -p x-agent, or run the tests with --workspace"
    );
    agent
}

/// `x-tracer` in a lab: as its administrator, agents in its namespace.
pub(crate) fn x_tracer(lab: &Lab) -> Command {
    let mut command = Command::new(program());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("KUBECONFIG", &lab.kubeconfig)
        .env("USER", "tester")
        .env("XTRACER_AGENT_NAMESPACE", &lab.namespace)
        .env("XTRACER_HUB_ADDRESS", "127.0.0.1")
        .stdin(Stdio::null());
    command
}

/// `x-tracer trace` for pods of a lab's namespace.
pub(crate) fn trace(lab: &Lab, arguments: &[&str]) -> Command {
    let mut command = x_tracer(lab);
    command
        .args(["trace", "-n", &lab.namespace])
        .args(arguments);
    command
}

/// A hub that runs. Killed when dropped.
pub(crate) struct Hub {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// What it said on standard error.
    pub(crate) said: String,
    /// What it had not yet shown on standard output when it was asked last.
    pub(crate) shown: String,
}

impl Hub {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("x-tracer");
        let lines = child.stdout.take().map(BufReader::new);
        Self { child, lines }
    }

    /// Its next line, empty at the end.
    pub(crate) async fn line(&mut self) -> String {
        let mut lines = self.lines.take().expect("not at its end");
        let (lines, line) = blocking(move || {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            (lines, line)
        })
        .await;
        self.lines = Some(lines);
        line
    }

    /// Reads lines up to one that holds these words. At an end before it, what it said is the failure.
    pub(crate) async fn until(&mut self, words: &str) {
        loop {
            let line = self.line().await;
            if line.contains(words) {
                return;
            }
            if line.is_empty() {
                self.fail(words);
            }
        }
    }

    /// It has ended, and should not have: what it said is the failure.
    fn fail(&mut self, before: &str) -> ! {
        let mut stderr = self.child.stderr.take().unwrap();
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        panic!("it ended before {before:?}: {said}");
    }

    /// Its next record (`-o json`) of a process of this name.
    pub(crate) async fn record(&mut self, comm: &str) -> Value {
        loop {
            let line = self.line().await;
            if line.is_empty() {
                self.fail(comm);
            }
            let record: Value = serde_json::from_str(&line).unwrap();
            if record["comm"] == comm {
                return record;
            }
        }
    }

    /// Reads standard error up to a line that holds these words.
    pub(crate) async fn said_until(&mut self, words: &str) {
        let (mut stderr, words) = (self.child.stderr.take().unwrap(), words.to_owned());
        let stderr = blocking(move || {
            let mut said = Vec::new();
            // Byte by byte: what is behind the line is for others.
            while !String::from_utf8_lossy(&said).contains(&words) {
                let mut byte = [0];
                stderr.read_exact(&mut byte).unwrap();
                said.push(byte[0]);
            }
            stderr
        })
        .await;
        self.child.stderr = Some(stderr);
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        let (mut stdout, stderr) = (self.lines.take().unwrap(), self.child.stderr.take());
        let shown = blocking(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        let said = blocking(move || {
            let mut text = String::new();
            stderr.unwrap().read_to_string(&mut text).unwrap();
            text
        });
        let (shown, said) = tokio::join!(shown, said);
        let code = blocking(move || self.child.wait().unwrap().code()).await;
        Ended { code, said, shown }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(work))
        .await
        .expect("it does not come to its end")
        .unwrap()
}
