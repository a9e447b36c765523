//! A user at a pseudo-terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;

/// Longest time that anything may take; only so that a bug ends a test.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program whose standard input and output, or all three, are a terminal. Killed when dropped.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    screen: mpsc::Receiver<Vec<u8>>,
    /// All that it has shown so far, a terminal's `\r\n` as `\n`.
    pub(crate) shown: String,
}

impl Terminal {
    /// Standard error is a pipe.
    pub(crate) fn start(command: Command) -> Self {
        Self::with(command, false)
    }

    /// Nothing is a pipe.
    pub(crate) fn start_whole(command: Command) -> Self {
        Self::with(command, true)
    }

    fn with(mut command: Command, whole: bool) -> Self {
        let size = Winsize {
            ws_row: 24,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&size, None).expect("a pseudo-terminal");
        let slave = || Stdio::from(pair.slave.try_clone().expect("its other end"));
        let child = command
            .stdin(slave())
            .stdout(slave())
            .stderr(if whole { slave() } else { Stdio::piped() })
            .spawn()
            .expect("x-tracer");
        drop(command);
        let keyboard = File::from(pair.master);
        let mut master = keyboard.try_clone().expect("the terminal");
        let (show, screen) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end of its last program is an error here, not an end of file.
            while let Ok(read @ 1..) = master.read(&mut buffer) {
                if show.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            keyboard,
            screen,
            shown: String::new(),
        }
    }

    /// Waits until what is new on the screen holds this.
    pub(crate) fn until(&mut self, words: &str) {
        self.until_all(&[words]);
    }

    /// Waits until what is new on the screen holds all of these.
    pub(crate) fn until_all(&mut self, words: &[&str]) {
        let start = self.shown.len();
        while let Some(missing) = words
            .iter()
            .find(|word| !self.shown[start..].contains(**word))
        {
            let chunk = self.screen.recv_timeout(PATIENCE);
            let chunk = chunk.unwrap_or_else(|_| panic!("no {missing:?} in {:?}", self.shown));
            self.shown
                .push_str(&String::from_utf8(chunk).unwrap().replace("\r\n", "\n"));
        }
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Its exit status and what it said on standard error, if that is no terminal.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        if let Some(stderr) = self.child.stderr.as_mut() {
            stderr.read_to_string(&mut said).unwrap();
        }
        (self.child.wait().unwrap().code(), said)
    }

    /// Whether lines are edited and shown as they are typed, as a shell wants it.
    pub(crate) fn is_cooked(&self) -> bool {
        let flags = tcgetattr(&self.keyboard).unwrap().local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    /// Waits for its end on a terminal that outlives it.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
