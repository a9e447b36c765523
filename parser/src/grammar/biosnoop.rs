//! biosnoop.
//!
//! ```text
//! %-11.6f %-14.14s %-7s %-9s %-1s %-10s %-7s %7.2f      no blank before LAT(ms)
//!   ... %-7s%-1s %7.2f %7.2f                            -P (BCC 0.26) adds P, -Q adds QUE(ms)
//! %-14.9f %-14.14s %-6s %-7s %-2s %-9s %-7s %7.2f       BCC 0.8 and 0.9
//!
//! TIME(s)     COMM           PID     DISK      T SECTOR     BYTES  LAT(ms)
//! 0.000000    jbd2/sda1-8    312     sda       W 12345678   4096      0.52
//! ```
//!
//! PID is 6 and DISK 7 wide up to BCC 0.24, where DISK may be empty.

mod touching;

use crate::columns::{Columns, Unit};
use crate::error::Fault;
use crate::grammar::Layout;
use crate::header::Header;
use crate::number;
use crate::record::{self, Clock, Direction, Record};

/// Strides of the columns up to BYTES, and which others there are.
#[derive(Clone, Debug)]
pub(crate) struct Biosnoop {
    time: usize,
    /// BCC 0.8 and 0.9: nanoseconds, and a blank after BYTES.
    oldest: bool,
    comm: usize,
    pid: usize,
    disk: usize,
    rw: usize,
    sector: usize,
    bytes: usize,
    pattern: bool,
    queue: bool,
}

struct Start<'a> {
    time_s: f64,
    comm: &'a [u8],
    pid: u32,
    rest: Columns<'a>,
}

/// The cells from BYTES on.
struct End {
    bytes: u64,
    pattern: Option<char>,
    que_ms: Option<f64>,
    lat_ms: f64,
}

impl Biosnoop {
    fn start<'a>(&self, line: &'a [u8]) -> Result<Start<'a>, Fault> {
        let mut columns = Columns::new(line);
        Ok(Start {
            time_s: columns.seconds_apart(self.time, if self.oldest { 9 } else { 6 })?,
            comm: columns.text("COMM", self.comm - 1, Unit::Chars)?,
            pid: columns.number("PID", self.pid)?,
            rest: columns,
        })
    }

    fn end(&self, mut columns: Columns<'_>, sector: Sector) -> Result<End, Fault> {
        let milliseconds = if self.queue { "QUE(ms)" } else { "LAT(ms)" };
        let (bytes, pattern, first_ms) = if self.oldest {
            let bytes = columns.number("BYTES", self.bytes)?;
            (bytes.into(), None, columns.decimals(milliseconds, 2, "")?)
        } else if self.pattern {
            let bytes = columns.number_touching("BYTES", self.bytes)?;
            let pattern = pattern(&mut columns)?;
            (bytes, Some(pattern), columns.decimals(milliseconds, 2, "")?)
        } else if columns.rest().get(columns.digits().len()) == Some(&b'.') {
            let (bytes, ms, rest) = touching::part(columns, self.bytes, sector)?;
            columns = rest;
            (bytes, None, ms)
        } else {
            let bytes = columns.number_touching("BYTES", self.bytes)?;
            (bytes, None, columns.decimals(milliseconds, 2, "")?)
        };
        let (que_ms, lat_ms) = if self.queue {
            (Some(first_ms), columns.decimals("LAT(ms)", 2, "")?)
        } else {
            (None, first_ms)
        };
        columns.end("LAT(ms)")?;
        Ok(End {
            bytes,
            pattern,
            que_ms,
            lat_ms,
        })
    }
}

/// Where a request begins, as far as the text tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sector {
    /// On a sector of its disk: it moves data there, in whole sectors.
    OnDisk,
    /// Nowhere, or at 0, which tools also print for nowhere.
    Unknown,
}

/// SECTOR, and what it says of the request. -1 is the kernel's mark of a request without a place,
/// which newer tools print without a sign.
fn sector(columns: &mut Columns<'_>, stride: usize) -> Result<(i64, Sector), Fault> {
    let before = *columns;
    let number = match columns.word("SECTOR", stride)? {
        b"-1" => Some(-1),
        digits => number::unsigned(digits).and_then(|number| match number {
            u64::MAX => Some(-1),
            number => number.try_into().ok(),
        }),
    };
    match number {
        Some(number @ 1..) => Ok((number, Sector::OnDisk)),
        Some(number) => Ok((number, Sector::Unknown)),
        None => Err(before.fault("SECTOR", "a decimal number below 2^63, or -1")),
    }
}

fn direction(columns: &mut Columns<'_>, stride: usize) -> Result<Direction, Fault> {
    let before = *columns;
    match columns.word("T", stride)? {
        b"R" => Ok(Direction::R),
        b"W" => Ok(Direction::W),
        _ => Err(before.fault("T", "R or W")),
    }
}

fn pattern(columns: &mut Columns<'_>) -> Result<char, Fault> {
    let before = *columns;
    match columns.token("P")? {
        b"S" => Ok('S'),
        b"R" => Ok('R'),
        b"?" => Ok('?'),
        _ => Err(before.fault("P", "S, R or ?")),
    }
}

impl Layout for Biosnoop {
    fn from_header(header: &mut Header<'_>) -> Result<Self, Fault> {
        let time = header.column("TIME(s)")?;
        let layout = Self {
            time,
            // Nanoseconds need a cell of 14.
            oldest: time > 12,
            comm: header.column("COMM")?,
            pid: header.column("PID")?,
            disk: header.column("DISK")?,
            rw: header.column("T")?,
            sector: header.column("SECTOR")?,
            bytes: header.column("BYTES")?,
            pattern: header.optional("P").is_some(),
            queue: header.optional("QUE(ms)").is_some(),
        };
        header.column("LAT(ms)")?;
        Ok(layout)
    }

    fn pid(&self, line: &[u8]) -> Result<Option<u32>, Fault> {
        self.start(line).map(|start| Some(start.pid))
    }

    fn record(&self, line: &[u8]) -> Result<(Record, Option<Clock>), Fault> {
        let Start {
            time_s,
            comm,
            pid,
            rest: mut columns,
        } = self.start(line)?;
        let disk = columns.word("DISK", self.disk)?;
        let rw = direction(&mut columns, self.rw)?;
        let (sector, place) = sector(&mut columns, self.sector)?;
        let End {
            bytes,
            pattern,
            que_ms,
            lat_ms,
        } = self.end(columns, place)?;
        let record = record::Biosnoop {
            time_s,
            comm: comm.into(),
            pid,
            disk: disk.into(),
            rw,
            sector,
            bytes,
            pattern,
            que_ms,
            lat_ms,
        };
        Ok((Record::Biosnoop(record), None))
    }
}
