//! execsnoop.

use serde::{Deserialize, Serialize};

use crate::Text;

/// A line of execsnoop: a program executed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Execsnoop {
    /// Seconds since the tool started, by the wall clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_s: Option<f64>,
    /// User ID (option `-U`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Process name after the exec (before it, when the exec failed). The tool's column is
    /// `PCOMM` up to BCC 0.30 and `COMM` from 0.31 on; it never was the parent's.
    pub comm: Text,
    /// Process, in the host's numbering.
    pub pid: u32,
    /// Parent's process name (option `-M`, BCC 0.31).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_comm: Option<Text>,
    /// Parent process; none where the tool prints `?`.
    pub ppid: Option<u32>,
    /// CPU on which the exec happened (option `-C`, BCC 0.30).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Result of the system call: 0, or a negative errno (option `-x`).
    pub ret: i32,
    /// Path and arguments, joined by blanks; the tool shows a newline as `\n`.
    pub args: Text,
}
