//! The agent's side of the probes: start tools, read what they say, restart them, say why one failed.
//!
//! - [`warm`]: the client of the warm parent; [`control`] is what travels between them.
//! - [`tool`]: where a tool's file is.
//! - [`frame`]: what a tool's process sends; [`said`]: what it and its C libraries print besides.
//! - [`run`]: one process of a tool, start to end; [`skipped`]: what the kernel says it did not run of it.
//! - [`postmortem`]: why it ended; [`failure`]: that in words, with a remedy; [`restart`]: whether to
//!   try again.
//! - [`supervisor`]: a probe for as long as the agent wants it, as a stream of [`ProbeEvent`]s.
//! - [`foreground`]: the same for a person at a terminal.

pub(crate) mod control;
mod failure;
pub mod foreground;
pub(crate) mod frame;
mod headers;
mod postmortem;
mod printable;
mod restart;
mod rights;
mod run;
mod said;
mod skipped;
mod supervisor;
mod tool;
mod warm;

use std::path::PathBuf;
use std::time::Duration;

pub use failure::FailureKind;
pub use frame::LINE_CAP;
pub use supervisor::{Probe, ProbeSpec};
pub use tool::{ToolError, find_tool};
pub(crate) use warm::threads;
pub use warm::{Warm, WarmError, WarmInfo, WarmParent};

/// What happens to one probe, in order.
#[derive(Debug)]
pub enum ProbeEvent {
    /// The tool's file was found and a process is being started for it.
    Starting {
        /// The file that runs.
        tool_path: PathBuf,
        /// Its arguments, without the program's name.
        argv: Vec<String>,
    },
    /// The tool's programs are in the kernel and it waits for events; a tool without BPF has printed.
    Attached {
        /// Time from the start of its process.
        took: Duration,
        /// It has programs in the kernel; a tool without has only printed.
        loaded: bool,
    },
    /// One event, or one line that was printed outside an event.
    Line {
        /// The text without its last newline; an event may hold others. Any bytes.
        bytes: Vec<u8>,
        /// It was printed by one event callback: the whole of it is one event. Otherwise one line.
        in_callback: bool,
        /// It was longer than [`LINE_CAP`] and lacks its end.
        cut: bool,
    },
    /// The kernel dropped samples, because a ring was full.
    Lost {
        /// The tool's name for the ring.
        buffer: String,
        /// Samples.
        count: u64,
    },
    /// Events were dropped on their way to the agent: it did not read, or the tool's callback failed.
    Dropped {
        /// Events.
        count: u64,
    },
    /// The kernel skipped runs of the tool's programs, because another one ran on that CPU. Each may
    /// have been an event.
    Skipped {
        /// Runs.
        count: u64,
    },
    /// Something a person should know, e.g. that another attach point was used.
    Note(String),
    /// If this should be dead, by its name in the tool's terms, it can be healed ([`Probe::heal`]).
    Healable(String),
    /// The tool runs healed, for this reason.
    Healed(String),
    /// A line that the tool, its Python or its C libraries printed for people. Not escaped. Lines that
    /// nobody takes in time are left out here, but not in a failure's `said`.
    Said(String),
    /// The tool is not running any more, against our will.
    Failed {
        /// What kind of failure, for decisions.
        kind: FailureKind,
        /// What happened, one sentence. Not escaped: the tool's own words may be in it.
        reason: String,
        /// The last lines that it printed for people. Not escaped.
        said: Vec<String>,
        /// What to do about it.
        remedy: String,
        /// It is started again after this time; `None`: never.
        retry_in: Option<Duration>,
    },
    /// The tool came to its end by itself, or was asked to: the last event of a probe.
    Stopped,
}
