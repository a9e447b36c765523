//! tcptracer.
//!
//! ```text
//! %-2s %-6d %-16s %-2d %-16s %-16s %-6d %-6d          after %-9.3f with -t
//! %-12s %-6d %-16s %-2d %-16s %-16s %-6d %-6d %-8d    -v, after %-14d with -t; no NETNS with -N
//!
//! TIME(s)  T  PID    COMM             IP SADDR            DADDR            SPORT  DPORT
//! 0.000    C  20656  iperf3           4  127.0.0.1        127.0.0.1        42334  6001
//! ```

use crate::columns::{Columns, Unit};
use crate::error::Fault;
use crate::grammar::{Layout, tcp};
use crate::header::Header;
use crate::number;
use crate::record::{self, Clock, Record, TcpEvent};

/// Strides of the columns up to COMM, and what follows.
#[derive(Clone, Debug)]
pub(crate) struct Tcptracer {
    time: Option<Time>,
    event: usize,
    pid: usize,
    comm: usize,
    netns: bool,
}

#[derive(Clone, Debug)]
enum Time {
    Seconds(usize),
    Nanoseconds(usize),
}

struct Start<'a> {
    time_s: Option<f64>,
    event: TcpEvent,
    pid: u32,
    rest: Columns<'a>,
}

impl Tcptracer {
    fn start<'a>(&self, line: &'a [u8]) -> Result<Start<'a>, Fault> {
        let mut columns = Columns::new(line);
        let time_s = match self.time {
            None => None,
            Some(Time::Seconds(stride)) => Some(columns.seconds_touching(stride)?),
            Some(Time::Nanoseconds(stride)) => Some(nanoseconds(&mut columns, stride)?),
        };
        Ok(Start {
            time_s,
            event: event(&mut columns, self.event)?,
            pid: columns.number("PID", self.pid)?,
            rest: columns,
        })
    }
}

/// `TIME(ns)`: digits, which a letter of TYPE may follow at once. A tool that reads its rings one after the other
/// can print a time before its first.
fn nanoseconds(columns: &mut Columns<'_>, stride: usize) -> Result<f64, Fault> {
    let before = *columns;
    let rest = columns.rest();
    let sign = usize::from(rest.first() == Some(&b'-'));
    let digits = number::digit_run(&rest[sign..]);
    let value = number::unsigned(&rest[sign..sign + digits])
        .ok_or_else(|| before.fault("TIME(ns)", "whole nanoseconds"))?;
    columns.pass("TIME(ns)", sign + digits, stride)?;
    #[expect(clippy::cast_precision_loss, reason = "exact for the first 104 days")]
    let seconds = value as f64 / 1e9;
    Ok(if sign == 1 { -seconds } else { seconds })
}

fn event(columns: &mut Columns<'_>, stride: usize) -> Result<TcpEvent, Fault> {
    let before = *columns;
    match columns.word("T", stride)? {
        b"C" | b"connect" => Ok(TcpEvent::Connect),
        b"A" | b"accept" => Ok(TcpEvent::Accept),
        b"X" | b"close" => Ok(TcpEvent::Close),
        b"U" | b"unknown" => Ok(TcpEvent::Unknown),
        _ => Err(before.fault("T", "C, A, X, U or the words for them")),
    }
}

impl Layout for Tcptracer {
    fn from_header(header: &mut Header<'_>) -> Result<Self, Fault> {
        let time = match header.optional("TIME(s)") {
            Some(stride) => Some(Time::Seconds(stride)),
            None => header.optional("TIME(ns)").map(Time::Nanoseconds),
        };
        let event = match header.optional("TYPE") {
            Some(stride) => stride,
            None => header.column("T")?,
        };
        let pid = header.column("PID")?;
        let comm = header.column("COMM")?;
        header.columns(&["IP", "SADDR", "DADDR", "SPORT", "DPORT"])?;
        let netns = header.optional("NETNS").is_some();
        Ok(Self {
            time,
            event,
            pid,
            comm,
            netns,
        })
    }

    fn pid(&self, line: &[u8]) -> Result<Option<u32>, Fault> {
        self.start(line).map(|start| Some(start.pid))
    }

    fn record(&self, line: &[u8]) -> Result<(Record, Option<Clock>), Fault> {
        let Start {
            time_s,
            event,
            pid,
            rest: mut columns,
        } = self.start(line)?;
        let comm = columns.text("COMM", self.comm - 1, Unit::Chars)?;
        let ip = tcp::version(&mut columns)?;
        let record = record::Tcptracer {
            time_s,
            event,
            pid,
            ip,
            saddr: tcp::bracketed(&mut columns, "SADDR", ip)?,
            daddr: tcp::bracketed(&mut columns, "DADDR", ip)?,
            sport: tcp::port(&mut columns, "SPORT")?,
            dport: tcp::port(&mut columns, "DPORT")?,
            netns: self
                .netns
                .then(|| tcp::count(&mut columns, "NETNS"))
                .transpose()?,
            comm: comm.into(),
        };
        columns.end("DPORT")?;
        Ok((Record::Tcptracer(record), None))
    }
}
