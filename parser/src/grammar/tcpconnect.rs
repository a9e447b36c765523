//! tcpconnect.
//!
//! ```text
//! %-7d %-12.12s %-2d %-16s %-16s %-6d %s          after %-9.3f with -t and %-6d with -U
//! %-7d %-12.12s %-2d %-16s %-6d %-16s %-6d %s     -L (BCC 0.19)
//!
//! TIME(s)  UID   PID     COMM         IP SADDR            LPORT  DADDR            DPORT
//! 0.000    1000  20656   iperf3       4  127.0.0.1        6001   10.244.1.17      42336
//! ```
//!
//! PID is 6 wide up to BCC 0.24. The last cell is `QUERY` of option `-d` (BCC 0.17) and empty
//! without it.

use std::net::IpAddr;

use crate::columns::{Columns, Unit};
use crate::error::Fault;
use crate::grammar::{Layout, PID_MAX, UID_DIGITS, only_one, tcp};
use crate::header::Header;
use crate::record::{self, Clock, Record};

/// Strides of the columns up to COMM and of DPORT, and which others there are.
#[derive(Clone, Debug)]
pub(crate) struct Tcpconnect {
    time: Option<usize>,
    uid: Option<usize>,
    pid: usize,
    comm: usize,
    lport: bool,
    query: Option<usize>,
}

struct Start<'a> {
    time_s: Option<f64>,
    uid: Option<u32>,
    pid: u32,
    rest: Columns<'a>,
}

struct End<'a> {
    comm: &'a [u8],
    ip: u8,
    saddr: IpAddr,
    lport: Option<u16>,
    daddr: IpAddr,
    dport: u16,
    query: Option<&'a [u8]>,
}

impl Tcpconnect {
    fn start<'a>(&self, line: &'a [u8]) -> Result<Start<'a>, Fault> {
        let mut columns = Columns::new(line);
        let time_s = match self.time {
            None => None,
            Some(stride) => Some(columns.seconds_touching(stride)?),
        };
        let (uid, pid) = match self.uid {
            None => (None, columns.number("PID", self.pid)?),
            Some(stride) if columns.digits().len() < stride => {
                let uid = columns.number("UID", stride)?;
                (Some(uid), columns.number("PID", self.pid)?)
            }
            Some(stride) => {
                let (uid, pid, rest) = self.part_uid(columns, stride)?;
                columns = rest;
                (Some(uid), pid)
            }
        };
        Ok(Start {
            time_s,
            uid,
            pid,
            rest: columns,
        })
    }

    /// A UID that fills its cell touches PID. Where it ends, COMM's place tells: every split is tried with the whole
    /// line, and must be the only one that fits.
    fn part_uid<'a>(
        &self,
        columns: Columns<'a>,
        stride: usize,
    ) -> Result<(u32, u32, Columns<'a>), Fault> {
        only_one((stride..=UID_DIGITS).filter_map(|length| {
            let mut columns = columns;
            let uid = columns.number_of("UID", length).ok()?.try_into().ok()?;
            let pid = columns.number("PID", self.pid).ok()?;
            self.end(columns).ok()?;
            (pid < PID_MAX).then_some((uid, pid, columns))
        }))
        .ok_or_else(|| columns.fault("UID", "digits that can be parted from PID's in one way"))
    }

    fn end<'a>(&self, mut columns: Columns<'a>) -> Result<End<'a>, Fault> {
        let comm = columns.text("COMM", self.comm - 1, Unit::Bytes)?;
        let ip = tcp::version(&mut columns)?;
        let saddr = tcp::address(&mut columns, "SADDR", ip)?;
        let lport = self
            .lport
            .then(|| tcp::port(&mut columns, "LPORT"))
            .transpose()?;
        let daddr = tcp::address(&mut columns, "DADDR", ip)?;
        let (dport, query) = if let Some(stride) = self.query {
            let dport = tcp::port_cell(&mut columns, "DPORT", stride)?;
            (dport, Some(columns.rest()))
        } else {
            let dport = tcp::port(&mut columns, "DPORT")?;
            columns.end("DPORT")?;
            (dport, None)
        };
        Ok(End {
            comm,
            ip,
            saddr,
            lport,
            daddr,
            dport,
            query,
        })
    }
}

impl Layout for Tcpconnect {
    fn from_header(header: &mut Header<'_>) -> Result<Self, Fault> {
        let time = header.optional("TIME(s)");
        let uid = header.optional("UID");
        let pid = header.column("PID")?;
        let comm = header.column("COMM")?;
        header.columns(&["IP", "SADDR"])?;
        let lport = header.optional("LPORT").is_some();
        header.column("DADDR")?;
        let dport = header.column("DPORT")?;
        let query = header.optional("QUERY").map(|_| dport);
        Ok(Self {
            time,
            uid,
            pid,
            comm,
            lport,
            query,
        })
    }

    fn pid(&self, line: &[u8]) -> Result<Option<u32>, Fault> {
        self.start(line).map(|start| Some(start.pid))
    }

    fn record(&self, line: &[u8]) -> Result<(Record, Option<Clock>), Fault> {
        let Start {
            time_s,
            uid,
            pid,
            rest,
        } = self.start(line)?;
        let End {
            comm,
            ip,
            saddr,
            lport,
            daddr,
            dport,
            query,
        } = self.end(rest)?;
        let record = record::Tcpconnect {
            time_s,
            uid,
            pid,
            comm: comm.into(),
            ip,
            saddr,
            lport,
            daddr,
            dport,
            query: query.map(Into::into),
        };
        Ok((Record::Tcpconnect(record), None))
    }
}
