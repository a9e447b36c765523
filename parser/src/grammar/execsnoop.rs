//! execsnoop.
//!
//! ```text
//! %-16s %-7d %-7s %3d %s                  after %-9s (clock, -T), %-8.3f (-t) and %-6d (UID, -U)
//! %-16s %-7d %-16s %-7s %-4d %3d %s       parent's name with -M (BCC 0.31), CPU with -C (BCC 0.30)
//!
//! TIME     TIME(s) PCOMM            PID     PPID    RET ARGS
//! 03:47:28 0.001   iperf3           5564    406       0 /usr/bin/iperf3 -c localhost -p 6001
//! ```
//!
//! PID and PPID are 6 wide up to BCC 0.24. PPID is `?` when the tool finds no parent,
//! and missing in the oldest outputs. ARGS is the rest of the line, to the byte.

use crate::columns::{Columns, Unit};
use crate::error::Fault;
use crate::grammar::{Layout, UID_DIGITS, only_one};
use crate::header::Header;
use crate::number;
use crate::record::{self, Clock, Record};

/// Strides of the columns up to CPU.
#[derive(Clone, Debug)]
pub(crate) struct Execsnoop {
    clock: bool,
    time: Option<usize>,
    uid: Option<usize>,
    comm: usize,
    pid: usize,
    parent_comm: Option<usize>,
    ppid: Option<usize>,
    cpu: Option<usize>,
}

struct Start<'a> {
    clock: Option<Clock>,
    time_s: Option<f64>,
    uid: Option<u32>,
    comm: &'a [u8],
    pid: u32,
    rest: Columns<'a>,
}

struct End<'a> {
    parent_comm: Option<&'a [u8]>,
    ppid: Option<u32>,
    cpu: Option<u32>,
    ret: i32,
    args: &'a [u8],
}

impl Execsnoop {
    fn start<'a>(&self, line: &'a [u8]) -> Result<Start<'a>, Fault> {
        let mut columns = Columns::new(line);
        let clock = self.clock.then(|| columns.clock()).transpose()?;
        let time_s = match self.time {
            None => None,
            Some(stride) => Some(columns.seconds_touching(stride)?),
        };
        let uid = match self.uid {
            None => None,
            Some(stride) if columns.digits().len() < stride => Some(columns.number("UID", stride)?),
            Some(stride) => {
                let (uid, rest) = self.part_uid(columns, stride)?;
                columns = rest;
                Some(uid)
            }
        };
        let (comm, pid) = self.process(&mut columns)?;
        Ok(Start {
            clock,
            time_s,
            uid,
            comm,
            pid,
            rest: columns,
        })
    }

    fn process<'a>(&self, columns: &mut Columns<'a>) -> Result<(&'a [u8], u32), Fault> {
        let comm = columns.text("COMM", self.comm - 1, Unit::Bytes)?;
        Ok((comm, columns.number("PID", self.pid)?))
    }

    /// A UID that fills its cell touches COMM, which may begin with a digit. Where it ends, PID's place tells: every
    /// split is tried with the whole line, and must be the only one that fits.
    fn part_uid<'a>(
        &self,
        columns: Columns<'a>,
        stride: usize,
    ) -> Result<(u32, Columns<'a>), Fault> {
        let most = columns.digits().len().min(UID_DIGITS);
        only_one((stride..=most).filter_map(|length| {
            let mut columns = columns;
            let uid = columns.number_of("UID", length).ok()?.try_into().ok()?;
            let comm = columns;
            self.process(&mut columns).ok()?;
            self.end(columns).ok()?;
            Some((uid, comm))
        }))
        .ok_or_else(|| columns.fault("UID", "digits that can be parted from COMM in one way"))
    }

    fn end<'a>(&self, mut columns: Columns<'a>) -> Result<End<'a>, Fault> {
        let parent_comm = match self.parent_comm {
            None => None,
            Some(stride) => Some(columns.text("PCOMM", stride - 1, Unit::Bytes)?),
        };
        let ppid = match self.ppid {
            None => None,
            Some(stride) => ppid(&mut columns, stride)?,
        };
        let cpu = match self.cpu {
            None => None,
            Some(stride) => Some(columns.number("CPU", stride)?),
        };
        let before = columns;
        let ret = i32::try_from(columns.signed_right("RET", 3)?)
            .map_err(|_| before.fault("RET", "a number of 32 bits"))?;
        Ok(End {
            parent_comm,
            ppid,
            cpu,
            ret,
            args: columns.rest(),
        })
    }
}

fn ppid(columns: &mut Columns<'_>, stride: usize) -> Result<Option<u32>, Fault> {
    let before = *columns;
    match columns.word("PPID", stride)? {
        b"?" => Ok(None),
        digits => number::unsigned32(digits)
            .map(Some)
            .ok_or_else(|| before.fault("PPID", "a decimal number below 2^32, or ?")),
    }
}

impl Layout for Execsnoop {
    fn from_header(header: &mut Header<'_>) -> Result<Self, Fault> {
        let layout = Self {
            clock: header.optional("TIME").is_some(),
            time: header.optional("TIME(s)"),
            uid: header.optional("UID"),
            // The first name is the process's own under either title.
            comm: match header.optional("PCOMM") {
                Some(stride) => stride,
                None => header.column("COMM")?,
            },
            pid: header.column("PID")?,
            parent_comm: header.optional("PCOMM"),
            ppid: header.optional("PPID"),
            cpu: header.optional("CPU"),
        };
        header.columns(&["RET", "ARGS"])?;
        Ok(layout)
    }

    fn pid(&self, line: &[u8]) -> Result<Option<u32>, Fault> {
        self.start(line).map(|start| Some(start.pid))
    }

    fn record(&self, line: &[u8]) -> Result<(Record, Option<Clock>), Fault> {
        let Start {
            clock,
            time_s,
            uid,
            comm,
            pid,
            rest,
        } = self.start(line)?;
        let End {
            parent_comm,
            ppid,
            cpu,
            ret,
            args,
        } = self.end(rest)?;
        let record = record::Execsnoop {
            time_s,
            uid,
            comm: comm.into(),
            pid,
            parent_comm: parent_comm.map(Into::into),
            ppid,
            cpu,
            ret,
            args: args.into(),
        };
        Ok((Record::Execsnoop(record), clock))
    }
}
