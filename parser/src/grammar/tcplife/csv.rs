//! tcplife's comma-separated form: the one in which COMM is neither cut nor padded.

use super::DECIMALS;
use crate::error::Fault;
use crate::grammar::tcp;
use crate::header::Header;
use crate::number;
use crate::record::{Clock, Tcplife};

const TITLES: &[u8] = b"PID,COMM,IP,LADDR,LPORT,RADDR,RPORT,TX_KB,RX_KB,MS";

/// Characters of the longest process name.
const LONGEST_COMM: usize = 15;

/// Which cells stand before PID.
#[derive(Clone, Debug)]
pub(crate) struct Csv {
    clock: bool,
    time: bool,
}

struct Start<'a> {
    clock: Option<Clock>,
    time_s: Option<f64>,
    pid: u32,
    /// COMM and what follows.
    rest: &'a [u8],
}

/// The cells of a line, taken from either end.
struct Fields<'a> {
    line: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    fn new(line: &'a [u8], start: usize) -> Self {
        let end = line.len();
        Self { line, start, end }
    }

    fn left(&self) -> &'a [u8] {
        &self.line[self.start..self.end]
    }

    /// The next cell from the left, read by `read`.
    fn first<T>(
        &mut self,
        column: &'static str,
        expected: &'static str,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, Fault> {
        let left = self.left();
        let comma = memchr::memchr(b',', left);
        let value = comma.and_then(|comma| read(&left[..comma]));
        match (comma, value) {
            (Some(comma), Some(value)) => {
                self.start += comma + 1;
                Ok(value)
            }
            _ => Err(Fault {
                column,
                at: self.start,
                expected,
            }),
        }
    }

    /// The next cell from the right, read by `read`.
    fn last<T>(
        &mut self,
        column: &'static str,
        expected: &'static str,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, Fault> {
        let left = self.left();
        let comma = memchr::memrchr(b',', left);
        let at = self.start + comma.map_or(0, |comma| comma + 1);
        let value = comma.and_then(|_| read(&self.line[at..self.end]));
        match (comma, value) {
            (Some(_), Some(value)) => {
                self.end = at - 1;
                Ok(value)
            }
            _ => Err(Fault {
                column,
                at,
                expected,
            }),
        }
    }
}

impl Csv {
    /// The form, if the header line has commas.
    pub(super) fn from_header(header: &mut Header<'_>) -> Result<Option<Self>, Fault> {
        let line = header.peek();
        if !line.contains(&b',') {
            return Ok(None);
        }
        let strip = |line: &mut &[u8], title: &[u8]| {
            let rest = line.strip_prefix(title);
            *line = rest.unwrap_or(line);
            rest.is_some()
        };
        let mut titles = line;
        let clock = strip(&mut titles, b"TIME,");
        let time = strip(&mut titles, b"TIME(s),");
        if titles != TITLES {
            return Err(Fault {
                column: "header",
                at: line.len() - titles.len(),
                expected: "PID,COMM,IP,LADDR,LPORT,RADDR,RPORT,TX_KB,RX_KB,MS",
            });
        }
        header.skip(line.len());
        Ok(Some(Self { clock, time }))
    }

    fn start<'a>(&self, line: &'a [u8]) -> Result<Start<'a>, Fault> {
        let fields = &mut Fields::new(line, 0);
        Ok(Start {
            clock: self
                .clock
                .then(|| fields.first("TIME", "HH:MM:SS", Clock::from_bytes))
                .transpose()?,
            time_s: self
                .time
                .then(|| {
                    fields.first("TIME(s)", "seconds with six decimals", |cell| {
                        whole(cell, number::fixed(cell, DECIMALS))
                    })
                })
                .transpose()?,
            pid: fields.first("PID", "a decimal number below 2^32", number::unsigned32)?,
            rest: fields.left(),
        })
    }

    pub(super) fn pid(&self, line: &[u8]) -> Result<u32, Fault> {
        self.start(line).map(|start| start.pid)
    }

    pub(super) fn record(&self, line: &[u8]) -> Result<(Tcplife, Option<Clock>), Fault> {
        let Start {
            clock,
            time_s,
            pid,
            rest,
        } = self.start(line)?;
        let port = |cell: &[u8]| number::unsigned(cell)?.try_into().ok();
        let fields = &mut Fields::new(line, line.len() - rest.len());
        let duration_ms = fields.last("MS", "a number with two decimals", |cell| {
            whole(cell, number::fixed(cell, 2))
        })?;
        let rx_kb = fields.last("RX_KB", "a decimal number", number::unsigned)?;
        let tx_kb = fields.last("TX_KB", "a decimal number", number::unsigned)?;
        let rport = fields.last("RPORT", "a port number", port)?;
        let raddr = fields.last("RADDR", "an address", number::address)?;
        let lport = fields.last("LPORT", "a port number", port)?;
        let laddr = fields.last("LADDR", "an address of RADDR's IP version", |cell| {
            number::address(cell).filter(|laddr| laddr.is_ipv4() == raddr.is_ipv4())
        })?;
        let ip = fields.last("IP", "4 or 6, as the addresses are", |cell| {
            let ip = tcp::ip(laddr);
            (cell == [b'0' + ip]).then_some(ip)
        })?;
        let comm = fields.left();
        // No character is shorter than a byte, so that most names need no counting.
        if comm.len() > LONGEST_COMM && bstr::ByteSlice::chars(comm).count() > LONGEST_COMM {
            return Err(Fault {
                column: "COMM",
                at: fields.start,
                expected: "a name of at most 15 characters",
            });
        }
        let record = Tcplife {
            time_s,
            pid,
            comm: comm.into(),
            ip: Some(ip),
            laddr,
            lport,
            raddr,
            rport,
            tx_kb,
            rx_kb,
            duration_ms,
        };
        Ok((record, clock))
    }
}

/// The value of a number that is all of its cell.
fn whole(cell: &[u8], number: Option<number::Fixed>) -> Option<f64> {
    number
        .filter(|number| number.length == cell.len())
        .map(|number| number.value)
}
