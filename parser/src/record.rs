//! What the tools report, typed: one struct a tool, units in the field names.
//!
//! A field is optional where some release or option of the tool does not print it.

mod block;
mod cache;
mod clock;
mod exec;
mod tcp;

use serde::Serialize;

pub use block::{Biosnoop, Direction};
pub use cache::{Cachestat, Cachetop};
pub use clock::Clock;
pub use exec::Execsnoop;
pub use tcp::{TcpEvent, Tcpaccept, Tcpconnect, Tcplife, Tcptracer};

use crate::{Probe, Text};

/// The one list of texts by record, for a shared and for a unique reference (`$reference`).
macro_rules! visit_texts {
    ($record:expr, $visit:ident, $($reference:tt)+) => {
        match $record {
            Record::Tcptracer(record) => $visit("comm", $($reference)+ record.comm),
            Record::Tcpconnect(record) => {
                $visit("comm", $($reference)+ record.comm);
                if let Some(query) = $($reference)+ record.query {
                    $visit("query", query);
                }
            }
            Record::Tcpaccept(record) => $visit("comm", $($reference)+ record.comm),
            Record::Tcplife(record) => $visit("comm", $($reference)+ record.comm),
            Record::Execsnoop(record) => {
                $visit("comm", $($reference)+ record.comm);
                if let Some(parent_comm) = $($reference)+ record.parent_comm {
                    $visit("parent_comm", parent_comm);
                }
                $visit("args", $($reference)+ record.args);
            }
            Record::Biosnoop(record) => {
                $visit("comm", $($reference)+ record.comm);
                $visit("disk", $($reference)+ record.disk);
            }
            Record::Cachetop(record) => {
                $visit("user", $($reference)+ record.user);
                $visit("comm", $($reference)+ record.comm);
            }
            Record::Cachestat(_) => {}
        }
    };
}

/// One line of a tool.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Record {
    /// A connection opened, accepted or closed.
    Tcptracer(Tcptracer),
    /// A connection attempt.
    Tcpconnect(Tcpconnect),
    /// A connection accepted.
    Tcpaccept(Tcpaccept),
    /// A session that ended.
    Tcplife(Tcplife),
    /// A program executed.
    Execsnoop(Execsnoop),
    /// A block request completed.
    Biosnoop(Biosnoop),
    /// A process's page cache use in one interval.
    Cachetop(Cachetop),
    /// The node's page cache use in one interval.
    Cachestat(Cachestat),
}

impl Record {
    /// The tool that reported it.
    #[must_use]
    pub fn probe(&self) -> Probe {
        match self {
            Self::Tcptracer(_) => Probe::Tcptracer,
            Self::Tcpconnect(_) => Probe::Tcpconnect,
            Self::Tcpaccept(_) => Probe::Tcpaccept,
            Self::Tcplife(_) => Probe::Tcplife,
            Self::Execsnoop(_) => Probe::Execsnoop,
            Self::Biosnoop(_) => Probe::Biosnoop,
            Self::Cachetop(_) => Probe::Cachetop,
            Self::Cachestat(_) => Probe::Cachestat,
        }
    }

    /// The process, as the host's PID namespace numbers it; none for cachestat.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Tcptracer(record) => Some(record.pid),
            Self::Tcpconnect(record) => Some(record.pid),
            Self::Tcpaccept(record) => Some(record.pid),
            Self::Tcplife(record) => Some(record.pid),
            Self::Execsnoop(record) => Some(record.pid),
            Self::Biosnoop(record) => Some(record.pid),
            Self::Cachetop(record) => Some(record.pid),
            Self::Cachestat(_) => None,
        }
    }

    /// The process's name; none for cachestat.
    #[must_use]
    pub fn comm(&self) -> Option<&Text> {
        match self {
            Self::Tcptracer(record) => Some(&record.comm),
            Self::Tcpconnect(record) => Some(&record.comm),
            Self::Tcpaccept(record) => Some(&record.comm),
            Self::Tcplife(record) => Some(&record.comm),
            Self::Execsnoop(record) => Some(&record.comm),
            Self::Biosnoop(record) => Some(&record.comm),
            Self::Cachetop(record) => Some(&record.comm),
            Self::Cachestat(_) => None,
        }
    }

    /// Shows every text that a stranger may have chosen, under its JSON name.
    pub(crate) fn texts(&self, mut visit: impl FnMut(&'static str, &Text)) {
        visit_texts!(self, visit, &);
    }

    /// As [`Self::texts`], to change them.
    pub(crate) fn texts_mut(&mut self, mut visit: impl FnMut(&'static str, &mut Text)) {
        visit_texts!(self, visit, &mut);
    }
}
