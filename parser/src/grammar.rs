//! One grammar a tool: from its header line to a layout, from a layout and a line to a record.
//!
//! Every process name stands in a cell of fixed width (tcplife's CSV apart), so that a name can
//! hold anything and move nothing: what is before it is read from the left, its width comes from
//! the header, and what is behind it must begin right there and be of its type.

mod biosnoop;
mod cachestat;
mod cachetop;
mod execsnoop;
mod tcp;
mod tcpaccept;
mod tcpconnect;
mod tcplife;
mod tcptracer;

use crate::Probe;
use crate::error::Fault;
use crate::header::Header;
use crate::record::{Clock, Record};

pub(crate) use cachetop::title_clock;

/// What one run of one tool prints.
pub(crate) trait Layout: Sized {
    /// Takes the titles that the tool can print and their widths.
    fn from_header(header: &mut Header<'_>) -> Result<Self, Fault>;

    /// The PID alone, read as [`Self::record`] reads it.
    fn pid(&self, line: &[u8]) -> Result<Option<u32>, Fault>;

    /// The whole line.
    fn record(&self, line: &[u8]) -> Result<(Record, Option<Clock>), Fault>;
}

/// A layout of one of the tools.
#[derive(Clone, Debug)]
pub(crate) enum Grammar {
    Tcptracer(tcptracer::Tcptracer),
    Tcpconnect(tcpconnect::Tcpconnect),
    Tcpaccept(tcpaccept::Tcpaccept),
    Tcplife(tcplife::Tcplife),
    Execsnoop(execsnoop::Execsnoop),
    Biosnoop(biosnoop::Biosnoop),
    Cachetop(cachetop::Cachetop),
    Cachestat(cachestat::Cachestat),
}

impl Grammar {
    /// Reads a header line, all of it.
    pub(crate) fn from_header(probe: Probe, line: &[u8]) -> Result<Self, Fault> {
        let header = &mut Header::new(line);
        let grammar = match probe {
            Probe::Tcptracer => Self::Tcptracer(Layout::from_header(header)?),
            Probe::Tcpconnect => Self::Tcpconnect(Layout::from_header(header)?),
            Probe::Tcpaccept => Self::Tcpaccept(Layout::from_header(header)?),
            Probe::Tcplife => Self::Tcplife(Layout::from_header(header)?),
            Probe::Execsnoop => Self::Execsnoop(Layout::from_header(header)?),
            Probe::Biosnoop => Self::Biosnoop(Layout::from_header(header)?),
            Probe::Cachetop => Self::Cachetop(Layout::from_header(header)?),
            Probe::Cachestat => Self::Cachestat(Layout::from_header(header)?),
        };
        header.end()?;
        Ok(grammar)
    }

    pub(crate) fn pid(&self, line: &[u8]) -> Result<Option<u32>, Fault> {
        match self {
            Self::Tcptracer(layout) => layout.pid(line),
            Self::Tcpconnect(layout) => layout.pid(line),
            Self::Tcpaccept(layout) => layout.pid(line),
            Self::Tcplife(layout) => layout.pid(line),
            Self::Execsnoop(layout) => layout.pid(line),
            Self::Biosnoop(layout) => layout.pid(line),
            Self::Cachetop(layout) => layout.pid(line),
            Self::Cachestat(layout) => layout.pid(line),
        }
    }

    pub(crate) fn record(&self, line: &[u8]) -> Result<(Record, Option<Clock>), Fault> {
        match self {
            Self::Tcptracer(layout) => layout.record(line),
            Self::Tcpconnect(layout) => layout.record(line),
            Self::Tcpaccept(layout) => layout.record(line),
            Self::Tcplife(layout) => layout.record(line),
            Self::Execsnoop(layout) => layout.record(line),
            Self::Biosnoop(layout) => layout.record(line),
            Self::Cachetop(layout) => layout.record(line),
            Self::Cachestat(layout) => layout.record(line),
        }
    }
}

/// The titles that a tool's header line can begin with.
pub(crate) fn first_titles(probe: Probe) -> &'static [&'static str] {
    match probe {
        Probe::Tcptracer => &["TIME(s)", "TIME(ns)", "T", "TYPE"],
        // LADDR: the table of option -c, which counts and reports no event.
        Probe::Tcpconnect => &["TIME(s)", "UID", "PID", "LADDR"],
        Probe::Tcpaccept | Probe::Tcplife => &["TIME", "TIME(s)", "PID"],
        Probe::Execsnoop => &["TIME", "TIME(s)", "UID", "PCOMM", "COMM"],
        Probe::Biosnoop => &["TIME(s)"],
        Probe::Cachetop => &["PID"],
        Probe::Cachestat => &["TIME", "HITS", "TOTAL"],
    }
}

/// Above the largest PID that Linux hands out (`PID_MAX_LIMIT`). It only decides where digits that
/// touch are parted.
const PID_MAX: u32 = 4 << 20;

/// Digits of the largest UID.
const UID_DIGITS: usize = 10;

/// The only reading of a text, or the number of readings that it has.
fn only_one<T>(mut readings: impl Iterator<Item = T>) -> Option<T> {
    let first = readings.next()?;
    readings.next().is_none().then_some(first)
}
