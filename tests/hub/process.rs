//! A running hub, and what it has said so far.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything may take: longer than a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running hub; killed when dropped.
pub(crate) struct Hub {
    /// Its process.
    pub(crate) child: Child,
    stdout: Option<Lines>,
    stderr: Lines,
}

/// How it ended, and all that it said.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

impl End {
    /// The one line of standard error that holds this text.
    pub(crate) fn said(&self, text: &str) -> &str {
        let lines: Vec<_> = self
            .stderr
            .iter()
            .filter(|line| line.contains(text))
            .collect();
        assert_eq!(lines.len(), 1, "lines with `{text}` in {:#?}", self.stderr);
        lines[0]
    }
}

/// The hub's program with these arguments, its environment that of the test without what would
/// change its mind.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_x-tracer"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("XTRACER_") {
            command.env_remove(name);
        }
    }
    command
}

impl Hub {
    /// Starts it.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(command(arguments).stdout(Stdio::piped()))
    }

    /// Starts a command made by [`command`].
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the hub starts");
        let stdout = child.stdout.take().map(Lines::read);
        let stderr = Lines::read(child.stderr.take().expect("it is piped"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// Waits until a line of standard error holds this text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.stderr.wait_for(text);
    }

    /// Waits until it has printed this many lines.
    pub(crate) fn wait_for_lines(&mut self, count: usize) {
        self.stdout
            .as_mut()
            .expect("its output is piped")
            .wait_for_count(count);
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a PID"));
        kill(pid, signal).expect("it runs");
    }

    /// Sends it the signal of Ctrl-C and waits for its end.
    pub(crate) fn interrupt(self) -> End {
        self.signal(Signal::SIGINT);
        self.end()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> End {
        self.stderr.wait_for_end();
        let stdout = self.stdout.take().map(|mut lines| {
            lines.wait_for_end();
            lines.seen
        });
        let status: ExitStatus = self.child.wait().expect("it ends");
        End {
            code: status.code(),
            stdout: stdout.unwrap_or_default(),
            stderr: std::mem::take(&mut self.stderr.seen),
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> End {
    Hub::start(arguments).end()
}

/// The lines of a stream, as they come.
struct Lines {
    coming: Receiver<String>,
    seen: Vec<String>,
    ended: bool,
}

impl Lines {
    fn read(stream: impl Read + Send + 'static) -> Self {
        let (sender, coming) = channel();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                let text = String::from_utf8(std::mem::take(&mut line));
                if sender.send(text.expect("the hub writes UTF-8")).is_err() {
                    return;
                }
            }
        });
        Self {
            coming,
            seen: Vec::new(),
            ended: false,
        }
    }

    fn wait(&mut self, enough: impl Fn(&[String]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !enough(&self.seen) {
            match self
                .coming
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => {
                    self.ended = true;
                    return;
                }
                Err(RecvTimeoutError::Timeout) => panic!("in vain; so far: {:#?}", self.seen),
            }
        }
    }

    fn wait_for(&mut self, text: &str) {
        self.wait(|seen| seen.iter().any(|line| line.contains(text)));
        assert!(!self.ended, "`{text}` was never said: {:#?}", self.seen);
    }

    fn wait_for_count(&mut self, count: usize) {
        self.wait(|seen| seen.len() >= count);
        assert!(!self.ended, "ended after {:#?}", self.seen);
    }

    fn wait_for_end(&mut self) {
        self.wait(|_| false);
    }
}
