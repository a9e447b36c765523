//! What a case holds: an agent process, its events one by one, and places for tools.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::agent::{Event, Spec};

/// Longer than anything here may take on a busy machine of two cores.
const PATIENCE: Duration = Duration::from_secs(120);

/// An agent that runs one probe.
pub(crate) struct Agent {
    pub(crate) process: Child,
    events: Receiver<Event>,
    seen: Vec<Event>,
}

impl Agent {
    /// Starts it with the stand-in for bcc and these settings of the stand-in.
    pub(crate) fn start(spec: &Spec, settings: &[(&str, &str)]) -> Self {
        let standin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/standin");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .arg("--as-agent")
            .arg(serde_json::to_string(spec).expect("JSON"))
            .env("XTRACER_BCC_PATH", standin)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        for (name, value) in settings {
            command.env(name, value);
        }
        let mut process = command.spawn().expect("an agent");
        let (sender, events) = channel();
        let lines = BufReader::new(process.stdout.take().expect("a pipe"));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("an event");
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self {
            process,
            events,
            seen: Vec::new(),
        }
    }

    /// Receives events until one matches.
    pub(crate) fn until(&mut self, what: &str, matches: impl Fn(&Event) -> bool) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .events
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(event) => {
                    self.seen.push(event.clone());
                    if matches(&event) {
                        return event;
                    }
                }
                Err(error) => panic!("no {what}: {error}; seen: {:#?}", self.seen),
            }
        }
    }

    /// Says a word to it: `go`, `stop`.
    pub(crate) fn tell(&mut self, word: &str) {
        let stdin = self.process.stdin.as_mut().expect("not closed yet");
        stdin
            .write_all(format!("{word}\n").as_bytes())
            .expect("it listens");
    }

    /// Asks it to stop its probe and to end.
    pub(crate) fn stop(&mut self) {
        drop(self.process.stdin.take());
    }

    /// Everything there was, once the agent has ended by itself or after [`Agent::stop`].
    pub(crate) fn all(mut self) -> Vec<Event> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .events
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(event) => self.seen.push(event),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("the agent goes on; seen: {:#?}", self.seen)
                }
            }
        }
        assert!(
            self.process.wait().expect("a child").success(),
            "seen: {:#?}",
            self.seen
        );
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // A case that failed leaves nothing behind; one that passed has ended it already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The lines among the events: (bytes, whether one callback printed it).
pub(crate) fn lines(events: &[Event]) -> Vec<(Vec<u8>, bool)> {
    let line = |event: &Event| match event {
        Event::Line {
            bytes, in_callback, ..
        } => Some((bytes.clone(), *in_callback)),
        _ => None,
    };
    events.iter().filter_map(line).collect()
}

/// A folder with one Python tool of that name.
pub(crate) fn tool(name: &str, text: &str) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join(name),
        format!("#!/usr/bin/python3\n{text}"),
    )
    .expect("a file");
    let dirs = vec![folder.path().to_owned()];
    (folder, dirs)
}

/// A probe of an installed tool.
pub(crate) fn installed(name: &str, argv: &[&str]) -> Spec {
    Spec {
        name: name.to_owned(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        ..Spec::default()
    }
}

/// Processes below `pid`, at any depth.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .expect("proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, parent(pid)?)))
        .collect();
    let mut found = vec![pid];
    let mut at = 0;
    while at < found.len() {
        let children = parents
            .iter()
            .filter(|(_, parent)| *parent == found[at])
            .map(|(pid, _)| *pid);
        found.extend(children.collect::<Vec<_>>());
        at += 1;
    }
    found.split_off(1)
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.1.parse().ok()
}

/// True while the process exists and is no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

fn stat(pid: u32) -> Option<(String, String)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = text[text.rfind(')')? + 1..]
        .split_whitespace()
        .map(str::to_owned);
    Some((words.next()?, words.next()?))
}

/// Waits until `done`, looking again and again: for what sends no event.
pub(crate) fn eventually(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
