//! Processes in PID namespaces of their own, for the tests to trace.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// An idle process, in a PID namespace of its own unless its test says otherwise; ended with the value.
pub(crate) struct Contained {
    parent: Child,
    /// The process's number on the host.
    pub(crate) pid: u32,
}

/// What the process does: it says that it is there and waits for its standard input to close.
pub(crate) const IDLE: &str = "echo up; read end";

impl Contained {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--kill-child", "sh", "-c", IDLE]);
        Self::below(unshare)
    }

    /// Runs a command whose one child is idle.
    pub(crate) fn below(mut command: Command) -> Self {
        let mut parent = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell, or unshare of util-linux");
        let mut line = String::new();
        let stdout = parent.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert_eq!(line, "up\n", "a PID namespace and a cgroup need root");
        let number = parent.id();
        let children = format!("/proc/{number}/task/{number}/children");
        let children = std::fs::read_to_string(children).expect("the children");
        let pid = children.trim().parse().expect("one child");
        Self { parent, pid }
    }

    /// Ends it.
    pub(crate) fn end(&mut self) {
        // Its end of file ends the process; killing unshare ends what is left (--kill-child).
        drop(self.parent.stdin.take());
        self.parent.kill().ok();
        self.parent.wait().ok();
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.end();
    }
}
