//! What the agent asks of its canary, and what the canary answers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A known event, or a handful that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Act {
    /// A TCP session with itself on each loopback address: connect, accept, data, close.
    Talk,
    /// Become the same program anew.
    Exec,
    /// A file's pages written and read past the page cache, then read through it, cold and warm.
    File,
}

/// One act to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Comes back with the answer.
    pub(crate) id: u64,
    pub(crate) act: Act,
}

/// What was done; the greeting of a new process has the number of the act that led to it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    /// An act of which nothing could be done has a reason instead.
    pub(crate) done: Result<Facts, String>,
}

/// What really happened beyond the act's own name, by the kernel's account where it keeps one: only
/// that can be missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Fact {
    /// There was an IPv6 session, too.
    Ipv6,
    /// A block device was written to.
    Wrote,
    /// A block device was read.
    Read,
    /// Pages that were not in the cache were read through it, and then once more.
    Missed,
    /// Buffers were marked dirty.
    Dirtied,
}

/// All of it.
pub(crate) type Facts = BTreeSet<Fact>;
