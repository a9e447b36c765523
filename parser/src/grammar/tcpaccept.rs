//! tcpaccept.
//!
//! ```text
//! %-7d %-12.12s %-2d %-16s %-5d %-16s %-5d     after %-9s (clock) with -T and %-9.3f with -t
//! %-6d %-12.12s %-2d %-16s %-16s %-4d          BCC 0.8 and 0.9: no RPORT
//!
//! TIME     TIME(s)  PID     COMM         IP RADDR            RPORT LADDR            LPORT
//! 03:47:28 0.000    20656   iperf3       4  10.244.1.17      42336 127.0.0.1        6001
//! ```

use crate::columns::{Columns, Unit};
use crate::error::Fault;
use crate::grammar::{Layout, tcp};
use crate::header::Header;
use crate::record::{self, Clock, Record};

/// Strides of the columns up to COMM, and which others there are.
#[derive(Clone, Debug)]
pub(crate) struct Tcpaccept {
    clock: bool,
    time: Option<usize>,
    pid: usize,
    comm: usize,
    rport: bool,
}

struct Start<'a> {
    clock: Option<Clock>,
    time_s: Option<f64>,
    pid: u32,
    rest: Columns<'a>,
}

impl Tcpaccept {
    fn start<'a>(&self, line: &'a [u8]) -> Result<Start<'a>, Fault> {
        let mut columns = Columns::new(line);
        let clock = self.clock.then(|| columns.clock()).transpose()?;
        let time_s = match self.time {
            None => None,
            Some(stride) => Some(columns.seconds_touching(stride)?),
        };
        Ok(Start {
            clock,
            time_s,
            pid: columns.number("PID", self.pid)?,
            rest: columns,
        })
    }
}

impl Layout for Tcpaccept {
    fn from_header(header: &mut Header<'_>) -> Result<Self, Fault> {
        let clock = header.optional("TIME").is_some();
        let time = header.optional("TIME(s)");
        let pid = header.column("PID")?;
        let comm = header.column("COMM")?;
        header.columns(&["IP", "RADDR"])?;
        let rport = header.optional("RPORT").is_some();
        header.columns(&["LADDR", "LPORT"])?;
        Ok(Self {
            clock,
            time,
            pid,
            comm,
            rport,
        })
    }

    fn pid(&self, line: &[u8]) -> Result<Option<u32>, Fault> {
        self.start(line).map(|start| Some(start.pid))
    }

    fn record(&self, line: &[u8]) -> Result<(Record, Option<Clock>), Fault> {
        let Start {
            clock,
            time_s,
            pid,
            rest: mut columns,
        } = self.start(line)?;
        let comm = columns.text("COMM", self.comm - 1, Unit::Bytes)?;
        let ip = tcp::version(&mut columns)?;
        let record = record::Tcpaccept {
            time_s,
            pid,
            ip,
            raddr: tcp::address(&mut columns, "RADDR", ip)?,
            rport: self
                .rport
                .then(|| tcp::port(&mut columns, "RPORT"))
                .transpose()?,
            laddr: tcp::address(&mut columns, "LADDR", ip)?,
            lport: tcp::port(&mut columns, "LPORT")?,
            comm: comm.into(),
        };
        columns.end("LPORT")?;
        Ok((Record::Tcpaccept(record), clock))
    }
}
