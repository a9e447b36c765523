//! What the agent asks of its canary, and what the canary answers.

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

/// What really happened, by the kernel's own account where it keeps one: only that can be missed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// There was an IPv6 session, too.
    pub(crate) ipv6: bool,
    /// A block device was written to.
    pub(crate) wrote: bool,
    /// A block device was read.
    pub(crate) read: bool,
    /// Pages that were not in the cache were read through it.
    pub(crate) missed: bool,
    /// Pages that were in the cache were read through it.
    pub(crate) hit: bool,
    /// Buffers were marked dirty.
    pub(crate) dirtied: bool,
    /// Why some of it was not done.
    pub(crate) lacking: Option<String>,
}
