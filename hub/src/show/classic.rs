//! The original x-tracer's lines, made from the record alone.
//!
//! Blanks, the open brace, the typing error `LADDRR` and the blank before the newline are the
//! original's, so that what reads its lines reads ours. Three things are mended: cachetop's
//! percentages stand where they were meant to, execsnoop's ARGS are all of them, and a stranger's
//! text can't end the line. It can still hold ` | `: whoever parses wants the JSON form.

use std::fmt;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use probeparser::record::Direction;
use probeparser::{Clock, Record, Text};

use super::sanitize;

/// Appends the line, newline included. What a record lacks is shown as `-`: the clock of recorded
/// output whose tool prints none, columns that an option or a release of a tool leaves out.
pub fn line(out: &mut Vec<u8>, clock: Option<Clock>, record: &Record) {
    let probe = record.probe();
    let clock = Cell(clock);
    let written = match record {
        Record::Tcptracer(r) => writeln!(
            out,
            "{{Probe:{probe} |Sys_Time: {clock} |T: {} | PID:{} | PNAME:{} |IP->{} | SADDR:{} | DADDR:{} | SPORT:{} | DPORT:{} ",
            Seconds(r.time_s),
            r.pid,
            Shown(&r.comm),
            r.ip,
            Bracketed(r.saddr),
            Bracketed(r.daddr),
            r.sport,
            r.dport,
        ),
        Record::Tcpconnect(r) => writeln!(
            out,
            "{{Probe:{probe} |Sys_Time: {clock} |T: {} | PID:{} | PNAME:{} | IP:{} | SADDR:{} | DADDR:{} | DPORT:{} ",
            Seconds(r.time_s),
            r.pid,
            Shown(&r.comm),
            r.ip,
            Address(r.saddr),
            Address(r.daddr),
            r.dport,
        ),
        Record::Tcpaccept(r) => writeln!(
            out,
            "{{Probe:{probe} |Sys_Time: {clock} |T: {} | PID:{} | PNAME:{} | IP:{} | RADDR:{} | RPORT:{} | LADDR:{} | LPORT:{} ",
            Seconds(r.time_s),
            r.pid,
            Shown(&r.comm),
            r.ip,
            Address(r.raddr),
            Cell(r.rport),
            Address(r.laddr),
            r.lport,
        ),
        Record::Tcplife(r) => writeln!(
            out,
            "{{Probe:{probe} |Sys_Time: {clock} |PID:{} | PNAME:{} | LADDRR:{} | LPORT:{} | RADDR:{} | RPORT:{} | TX_KB:{} | RX_KB:{} | MS: {:.2} ",
            r.pid,
            Shown(&r.comm),
            Address(r.laddr),
            r.lport,
            Address(r.raddr),
            r.rport,
            r.tx_kb,
            r.rx_kb,
            r.duration_ms,
        ),
        Record::Execsnoop(r) => writeln!(
            out,
            "{{Probe:{probe} |Sys_Time: {clock} | T:{} | PNAME: {} | PID:{} | PPID:{} | RET:{} | ARGS:{} ",
            Seconds(r.time_s),
            Shown(&r.comm),
            r.pid,
            Parent(r.ppid),
            r.ret,
            Shown(&r.args),
        ),
        Record::Biosnoop(r) => writeln!(
            out,
            "{{Probe:{probe} |Sys_Time: {clock} |T: {:.6} |PNAME: {} | PID:{} | DISK:{} | R/W:{} | SECTOR:{} |BYTES: {} | Lat(ms): {:.2} | ",
            r.time_s,
            Shown(&r.comm),
            r.pid,
            Shown(&r.disk),
            match r.rw {
                Direction::R => 'R',
                Direction::W => 'W',
            },
            r.sector,
            r.bytes,
            r.lat_ms,
        ),
        Record::Cachetop(r) => writeln!(
            out,
            "{{Probe:{probe} |Sys_Time: {clock} | PID:{} | UID:{} | CMD:{} | HITS:{} | MISS:{} | DIRTIES: {}| READ_HIT%:{:.1}% | W_HIT%: {:.1}% | ",
            r.pid,
            Shown(&r.user),
            Shown(&r.comm),
            r.hits,
            r.misses,
            r.dirties,
            r.read_hit_pct,
            r.write_hit_pct,
        ),
        // The original had no line for the whole node's cache; this one follows cachetop's.
        Record::Cachestat(r) => writeln!(
            out,
            "{{Probe:{probe} |Sys_Time: {clock} | HITS:{} | MISS:{} | DIRTIES: {}| HIT_RATIO%:{} | BUFFERS_MB:{} | CACHED_MB:{} | ",
            r.hits,
            r.misses,
            r.dirties,
            Cell(r.hit_ratio_pct.map(|ratio| format!("{ratio:.2}%"))),
            r.buffers_mb,
            r.cached_mb,
        ),
    };
    written.expect("a vector takes every write");
}

/// A value, or `-` where there is none.
struct Cell<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Cell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// Seconds with the three decimals of the TCP tools and execsnoop.
struct Seconds(Option<f64>);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(seconds) => write!(f, "{seconds:.3}"),
            None => f.write_str("-"),
        }
    }
}

/// A parent's PID, or the `?` that execsnoop prints for an unknown one.
struct Parent(Option<u32>);

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => pid.fmt(f),
            None => f.write_str("?"),
        }
    }
}

/// A stranger's text.
struct Shown<'a>(&'a Text);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&sanitize::visible(self.0.as_bytes()))
    }
}

/// An address as the tools print it, which is `inet_ntop(3)`'s form: unlike Rust's, it shows an
/// IPv4-compatible address (`::` and 32 bits, of which the first 16 aren't zero) with dots.
struct Address(IpAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(address) => match dotted(address) {
                Some(low) => write!(f, "::{low}"),
                None => address.fmt(f),
            },
            IpAddr::V4(address) => address.fmt(f),
        }
    }
}

fn dotted(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    u32::try_from(bits)
        .ok()
        .filter(|low| low >> 16 != 0)
        .map(Ipv4Addr::from_bits)
}

/// tcptracer's addresses: IPv6 in square brackets.
struct Bracketed(IpAddr);

impl fmt::Display for Bracketed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(_) => write!(f, "[{}]", Address(self.0)),
            IpAddr::V4(_) => Address(self.0).fmt(f),
        }
    }
}
