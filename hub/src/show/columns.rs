//! A line for people: when, where, who, what, in columns that are the same whatever the probe. Unlike the
//! original's line it names pod and container.

use std::fmt;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use probeparser::record::{Direction, TcpEvent};
use probeparser::wire::Envelope;
use probeparser::{Clock, Probe, Record, Text};

use super::sanitize;

/// Where a process runs, each empty where that is not known: outside of a cluster there are no pods.
#[derive(Default)]
pub struct Place<'a> {
    /// The pod's namespace.
    pub namespace: &'a str,
    /// The pod.
    pub pod: &'a str,
    /// The container.
    pub container: &'a str,
}

/// The line above all others.
pub fn header(out: &mut Vec<u8>) {
    row(
        out,
        ["TIME", "POD", "CONTAINER", "PROBE", "PID", "COMM"],
        "",
    );
    out.extend_from_slice(b"EVENT\n");
}

/// Appends a record's line.
pub fn line(out: &mut Vec<u8>, envelope: &Envelope<'_>, painted: bool) {
    let place = Place {
        namespace: &envelope.namespace,
        pod: &envelope.pod,
        container: &envelope.container,
    };
    let clock = Some(envelope.sys_time);
    record(out, clock, &place, &envelope.record, painted);
}

/// The same for a record of which less is known: `-` stands for what is not.
pub fn record(
    out: &mut Vec<u8>,
    clock: Option<Clock>,
    place: &Place<'_>,
    record: &Record,
    painted: bool,
) {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let known = |name: &str, text: String| {
        (!name.is_empty()).then(|| sanitize::visible(&text).into_owned())
    };
    let Place {
        namespace,
        pod,
        container,
    } = *place;
    let clock = or_dash(clock.map(|clock| clock.to_string()));
    let pod = or_dash(known(pod, format!("{namespace}/{pod}")));
    let container = or_dash(known(container, container.to_owned()));
    let pid = or_dash(pid(record).map(|pid| pid.to_string()));
    let comm = or_dash(comm(record).map(|comm| Shown(comm).to_string()));
    let probe = record.probe();
    let colour = if painted { colour(probe) } else { "" };
    let cells = [&clock, &pod, &container, probe.name(), &pid, &comm];
    row(out, cells, colour);
    writeln!(out, "{}", Event(record)).expect("a vector takes every write");
}

/// The cells before the last one. Wider ones push the others to the right, so that nothing is cut off.
fn row(out: &mut Vec<u8>, [time, pod, container, probe, pid, comm]: [&str; 6], colour: &str) {
    let end = if colour.is_empty() { "" } else { "\x1b[0m" };
    let written = write!(
        out,
        "{time:<8} {pod:<24} {container:<12} {colour}{probe:<10}{end} {pid:<7} {comm:<16} "
    );
    written.expect("a vector takes every write");
}

/// What a terminal is told before the probe's name.
fn colour(probe: Probe) -> &'static str {
    match probe {
        Probe::Tcptracer | Probe::Tcpconnect | Probe::Tcpaccept | Probe::Tcplife => "\x1b[36m",
        Probe::Execsnoop => "\x1b[32m",
        Probe::Biosnoop => "\x1b[33m",
        Probe::Cachetop | Probe::Cachestat => "\x1b[35m",
    }
}

fn pid(record: &Record) -> Option<u32> {
    Some(match record {
        Record::Tcptracer(r) => r.pid,
        Record::Tcpconnect(r) => r.pid,
        Record::Tcpaccept(r) => r.pid,
        Record::Tcplife(r) => r.pid,
        Record::Execsnoop(r) => r.pid,
        Record::Biosnoop(r) => r.pid,
        Record::Cachetop(r) => r.pid,
        Record::Cachestat(_) => return None,
    })
}

fn comm(record: &Record) -> Option<&Text> {
    Some(match record {
        Record::Tcptracer(r) => &r.comm,
        Record::Tcpconnect(r) => &r.comm,
        Record::Tcpaccept(r) => &r.comm,
        Record::Tcplife(r) => &r.comm,
        Record::Execsnoop(r) => &r.comm,
        Record::Biosnoop(r) => &r.comm,
        Record::Cachetop(r) => &r.comm,
        Record::Cachestat(_) => return None,
    })
}

/// What happened. The local end of a connection stands first; the arrow says who opened it.
struct Event<'a>(&'a Record);

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Record::Tcptracer(r) => {
                let (word, arrow) = match r.event {
                    TcpEvent::Connect => ("connect", "->"),
                    TcpEvent::Accept => ("accept", "<-"),
                    TcpEvent::Close => ("close", "--"),
                    TcpEvent::Unknown => ("?", "--"),
                };
                let local = End(r.saddr, Some(r.sport));
                write!(f, "{word} {local} {arrow} {}", End(r.daddr, Some(r.dport)))
            }
            Record::Tcpconnect(r) => {
                let local = End(r.saddr, r.lport);
                write!(f, "connect {local} -> {}", End(r.daddr, Some(r.dport)))
            }
            Record::Tcpaccept(r) => {
                let local = End(r.laddr, Some(r.lport));
                write!(f, "accept {local} <- {}", End(r.raddr, r.rport))
            }
            Record::Tcplife(r) => write!(
                f,
                "lived {:.2} ms {} -- {} sent {} kB received {} kB",
                r.duration_ms,
                End(r.laddr, Some(r.lport)),
                End(r.raddr, Some(r.rport)),
                r.tx_kb,
                r.rx_kb,
            ),
            Record::Execsnoop(r) => {
                let args = Shown(&r.args);
                match r.ret {
                    0 => write!(f, "exec {args}"),
                    error => write!(f, "exec failed ({error}) {args}"),
                }
            }
            Record::Biosnoop(r) => {
                let (disk, ms) = (Shown(&r.disk), r.lat_ms);
                let word = match r.rw {
                    Direction::R => "read",
                    Direction::W => "write",
                };
                let (bytes, sector) = (r.bytes, r.sector);
                write!(f, "{word} {bytes} B {disk} sector {sector} {ms:.2} ms")
            }
            Record::Cachetop(r) => write!(
                f,
                "cache hits {} misses {} dirties {} read {:.1} % write {:.1} %",
                r.hits, r.misses, r.dirties, r.read_hit_pct, r.write_hit_pct,
            ),
            Record::Cachestat(r) => write!(
                f,
                "cache hits {} misses {} dirties {} buffers {} MB cached {} MB",
                r.hits, r.misses, r.dirties, r.buffers_mb, r.cached_mb,
            ),
        }
    }
}

/// One end of a connection, whose port not every release of a tool prints.
struct End(IpAddr, Option<u16>);

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(address, Some(port)) => SocketAddr::new(address, port).fmt(f),
            Self(address, None) => address.fmt(f),
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
