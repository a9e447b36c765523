//! biosnoop.

use serde::{Deserialize, Serialize};

use crate::Text;

/// Which way the data went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// A read, or whatever is no write.
    R,
    /// A write.
    W,
}

/// A line of biosnoop: a block request completed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Biosnoop {
    /// Seconds since the first event that the tool processed.
    pub time_s: f64,
    /// Name of the process that submitted the request, cut to 14 characters; `?` when unknown.
    pub comm: Text,
    /// That process, in the host's numbering; 0 when unknown.
    pub pid: u32,
    /// Disk; empty (before BCC 0.25) or `<unknown>` when the tool does not know it.
    pub disk: Text,
    /// Read or write.
    pub rw: Direction,
    /// First sector, in units of 512 bytes; -1 where an old tool does not know it.
    pub sector: i64,
    /// Length in bytes.
    pub bytes: u64,
    /// `S` sequential, `R` random, `?` unknown (option `-P`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<char>,
    /// Milliseconds in the queue (option `-Q`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub que_ms: Option<f64>,
    /// Milliseconds from issue to completion.
    pub lat_ms: f64,
}
