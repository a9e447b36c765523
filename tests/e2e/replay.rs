//! Recorded output as tools: Python files in a folder of their own.

use std::fmt::Write as _;
use std::path::Path;

use tempfile::TempDir;

/// A folder for `--tools-dir`.
pub(crate) struct Tools(TempDir);

impl Tools {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    /// Adds a tool that runs this Python text.
    pub(crate) fn script(self, name: &str, python: &str) -> Self {
        std::fs::write(
            self.0.path().join(name),
            format!("#!/usr/bin/python3\n{python}"),
        )
        .expect("a file");
        self
    }

    /// Adds a tool that prints these lines and ends.
    pub(crate) fn lines(self, name: &str, lines: &[String]) -> Self {
        let mut python = String::from("import sys\nout = sys.stdout.buffer.write\n");
        for line in lines {
            write!(python, "out(b'").expect("a string");
            for byte in line.bytes() {
                write!(python, "\\x{byte:02x}").expect("a string");
            }
            python.push_str("\\n')\n");
        }
        self.script(name, &python)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// tcpconnect's header, as `-t` prints it from BCC 0.25 on.
pub(crate) const TCPCONNECT_HEADER: &str =
    "TIME(s)  PID     COMM         IP SADDR            DADDR            DPORT ";

/// A row under that header. The tool pads the name to 12 bytes, not characters.
pub(crate) fn tcpconnect(pid: u32, comm: &str, port: u16) -> String {
    let padding = " ".repeat(12 - comm.len());
    format!("0.000    {pid:<7} {comm}{padding} 4  127.0.0.1        10.244.1.17      {port:<6} ")
}
