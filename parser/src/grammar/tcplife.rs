//! tcplife.
//!
//! ```text
//! %-5d %-10.10s %s%-15s %-5d %-15s %-5d %5d %5d %.2f        the first %s is empty
//! %-5d %-16.16s %-2s %-26s %-5s %-26s %-5d %6d %6d %.2f     -w; addresses 39 wide from BCC 0.29 on
//! %d,%s,%s,%s,%s,%s,%d,%d,%d,%.2f                           -s
//!
//! TIME     TIME(s)   PID   COMM       LADDR           LPORT RADDR           RPORT TX_KB RX_KB MS
//! 03:46:12 2.500000  6769  averylongc 127.0.0.1       6001  127.0.0.1       45126     0 39755 1234.57
//! ```
//!
//! Before it `%-8s ` (clock, `-T`) and `%-9.6f ` (seconds, `-t`), with `-s` `%s,` and `%.6f,`.
//! Nothing in the CSV is quoted. No other cell can hold a comma, so COMM is what the others leave.

mod csv;

use std::net::IpAddr;

use crate::columns::{Columns, Unit};
use crate::error::Fault;
use crate::grammar::{Layout, tcp};
use crate::header::Header;
use crate::number;
use crate::record::{self, Clock, Record};

use csv::Csv;

/// Decimals of `TIME(s)`.
const DECIMALS: usize = 6;

/// How the cells are parted.
#[derive(Clone, Debug)]
pub(crate) enum Tcplife {
    Cells(Cells),
    Csv(Csv),
}

/// Strides of the columns up to COMM, and whether IP follows.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    clock: bool,
    time: Option<usize>,
    pid: usize,
    comm: usize,
    ip: bool,
}

struct Start<'a> {
    clock: Option<Clock>,
    time_s: Option<f64>,
    pid: u32,
    rest: Columns<'a>,
}

impl Cells {
    fn start<'a>(&self, line: &'a [u8]) -> Result<Start<'a>, Fault> {
        let mut columns = Columns::new(line);
        let clock = self.clock.then(|| columns.clock()).transpose()?;
        let time_s = match self.time {
            None => None,
            Some(stride) => Some(columns.seconds_apart(stride, DECIMALS)?),
        };
        Ok(Start {
            clock,
            time_s,
            pid: columns.number("PID", self.pid)?,
            rest: columns,
        })
    }

    fn record(&self, line: &[u8]) -> Result<(record::Tcplife, Option<Clock>), Fault> {
        let Start {
            clock,
            time_s,
            pid,
            rest: mut columns,
        } = self.start(line)?;
        let comm = columns.text("COMM", self.comm - 1, Unit::Chars)?;
        let ip = self.ip.then(|| tcp::version(&mut columns)).transpose()?;
        let laddr = match ip {
            Some(ip) => tcp::address(&mut columns, "LADDR", ip)?,
            None => any_address(&mut columns)?,
        };
        let record = record::Tcplife {
            time_s,
            pid,
            ip,
            laddr,
            lport: tcp::port(&mut columns, "LPORT")?,
            raddr: tcp::address(&mut columns, "RADDR", tcp::ip(laddr))?,
            rport: tcp::port(&mut columns, "RPORT")?,
            tx_kb: tcp::count(&mut columns, "TX_KB")?,
            rx_kb: tcp::count(&mut columns, "RX_KB")?,
            duration_ms: columns.decimals("MS", 2, "")?,
            comm: comm.into(),
        };
        columns.end("MS")?;
        Ok((record, clock))
    }
}

/// LADDR where no IP column says its version: it must begin right behind COMM.
fn any_address(columns: &mut Columns<'_>) -> Result<IpAddr, Fault> {
    let before = *columns;
    number::address(columns.token("LADDR")?)
        .ok_or_else(|| before.fault("LADDR", "an address right behind COMM"))
}

impl Layout for Tcplife {
    fn from_header(header: &mut Header<'_>) -> Result<Self, Fault> {
        if let Some(csv) = Csv::from_header(header)? {
            return Ok(Self::Csv(csv));
        }
        let clock = header.optional("TIME").is_some();
        let time = header.optional("TIME(s)");
        let pid = header.column("PID")?;
        let comm = header.column("COMM")?;
        let ip = header.optional("IP").is_some();
        header.columns(&["LADDR", "LPORT", "RADDR", "RPORT", "TX_KB", "RX_KB", "MS"])?;
        Ok(Self::Cells(Cells {
            clock,
            time,
            pid,
            comm,
            ip,
        }))
    }

    fn pid(&self, line: &[u8]) -> Result<Option<u32>, Fault> {
        match self {
            Self::Cells(cells) => cells.start(line).map(|start| Some(start.pid)),
            Self::Csv(csv) => csv.pid(line).map(Some),
        }
    }

    fn record(&self, line: &[u8]) -> Result<(Record, Option<Clock>), Fault> {
        let (record, clock) = match self {
            Self::Cells(cells) => cells.record(line)?,
            Self::Csv(csv) => csv.record(line)?,
        };
        Ok((Record::Tcplife(record), clock))
    }
}
