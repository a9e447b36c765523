//! Processes in PID namespaces of their own, for the tests to trace.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A process in a PID namespace of its own, ended with the value.
pub(crate) struct Contained {
    unshare: Child,
    /// The process's number on the host.
    pub(crate) pid: u32,
}

impl Contained {
    /// Starts an idle one.
    pub(crate) fn start() -> Self {
        // The shell says that it is there and waits for its standard input to close.
        let mut unshare = Command::new("unshare")
            .args([
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                "echo up; read end",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare of util-linux");
        let mut line = String::new();
        let stdout = unshare.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert_eq!(line, "up\n", "a PID namespace needs root");
        let parent = unshare.id();
        let children = format!("/proc/{parent}/task/{parent}/children");
        let children = std::fs::read_to_string(children).expect("the children");
        let pid = children.trim().parse().expect("one child");
        Self { unshare, pid }
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        // Its end of file ends the shell; killing unshare ends what is left (--kill-child).
        drop(self.unshare.stdin.take());
        self.unshare.kill().ok();
        self.unshare.wait().ok();
    }
}
