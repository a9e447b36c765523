//! What a known event has to show, tool by tool: kinds of events, and columns that hold something.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use probeparser::record::{Direction, TcpEvent};
use probeparser::{Probe, Record};

use super::act::{Act, Fact, Facts};
use super::tcp::{ANSWERED_KB, ASKED_KB};

/// One thing that a tool reports or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aspect {
    Connects,
    Accepts,
    Closes,
    Sessions,
    Ipv6,
    TxKb,
    RxKb,
    Execs,
    Args,
    Writes,
    Reads,
    Bytes,
    Hits,
    Misses,
    Dirties,
}

use Aspect::{
    Accepts, Args, Bytes, Closes, Connects, Dirties, Execs, Hits, Ipv6, Misses, Reads, RxKb,
    Sessions, TxKb, Writes,
};

impl Aspect {
    /// In the tool's terms: a column by its head, a kind of event by its plain name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Connects => "connects",
            Accepts => "accepts",
            Closes => "closes",
            Sessions => "sessions",
            Ipv6 => "IPv6",
            TxKb => "TX_KB",
            RxKb => "RX_KB",
            Execs => "execs",
            Args => "ARGS",
            Writes => "writes",
            Reads => "reads",
            Bytes => "BYTES",
            Hits => "HITS",
            Misses => "MISSES",
            Dirties => "DIRTIES",
        }
    }
}

/// The act that a tool reports; none for one that names no process.
pub(crate) fn act(probe: Probe) -> Option<Act> {
    match probe {
        Probe::Tcptracer | Probe::Tcpconnect | Probe::Tcpaccept | Probe::Tcplife => Some(Act::Talk),
        Probe::Execsnoop => Some(Act::Exec),
        Probe::Biosnoop | Probe::Cachetop => Some(Act::File),
        Probe::Cachestat => None,
    }
}

/// What a tool must show of what was done.
pub(crate) fn wanted(probe: Probe, facts: &Facts) -> BTreeSet<Aspect> {
    let always: &[Aspect] = match probe {
        Probe::Tcptracer => &[Connects, Accepts, Closes],
        Probe::Tcpconnect => &[Connects],
        Probe::Tcpaccept => &[Accepts],
        Probe::Tcplife => &[Sessions, TxKb, RxKb],
        Probe::Execsnoop => &[Execs, Args],
        Probe::Biosnoop | Probe::Cachetop | Probe::Cachestat => &[],
    };
    let by_facts: &[(Fact, Aspect)] = match probe {
        Probe::Tcptracer | Probe::Tcpconnect | Probe::Tcpaccept | Probe::Tcplife => {
            &[(Fact::Ipv6, Ipv6)]
        }
        Probe::Biosnoop => &[
            (Fact::Wrote, Writes),
            (Fact::Wrote, Bytes),
            (Fact::Read, Reads),
        ],
        Probe::Cachetop => &[
            (Fact::Missed, Hits),
            (Fact::Missed, Misses),
            (Fact::Dirtied, Dirties),
        ],
        Probe::Execsnoop | Probe::Cachestat => &[],
    };
    let by_facts = by_facts.iter().filter(|(fact, _)| facts.contains(fact));
    always
        .iter()
        .chain(by_facts.map(|(_, aspect)| aspect))
        .copied()
        .collect()
}

/// What a record about the canary proves.
pub(crate) fn shown(record: &Record) -> BTreeSet<Aspect> {
    let found = match record {
        Record::Tcptracer(record) => {
            let event = match record.event {
                TcpEvent::Connect => Some(Connects),
                TcpEvent::Accept => Some(Accepts),
                TcpEvent::Close => Some(Closes),
                TcpEvent::Unknown => None,
            };
            vec![event, ipv6(record.saddr)]
        }
        Record::Tcpconnect(record) => {
            vec![Some(Connects), ipv6(record.daddr)]
        }
        Record::Tcpaccept(record) => vec![Some(Accepts), ipv6(record.raddr)],
        Record::Tcplife(record) => {
            let either = |column| [ASKED_KB, ANSWERED_KB].map(u64::from).contains(&column);
            vec![
                Some(Sessions),
                ipv6(record.laddr),
                either(record.tx_kb).then_some(TxKb),
                either(record.rx_kb).then_some(RxKb),
            ]
        }
        Record::Execsnoop(record) => {
            let whole = memchr::memmem::find(record.args.as_bytes(), b"canary").is_some();
            vec![Some(Execs), whole.then_some(Args)]
        }
        Record::Biosnoop(record) => vec![
            Some(match record.rw {
                Direction::W => Writes,
                Direction::R => Reads,
            }),
            (record.bytes > 0).then_some(Bytes),
        ],
        // What is made dirty counts as an access, and in some releases as a miss: only what is more
        // than that was read.
        Record::Cachetop(record) => vec![
            (record.hits > record.dirties).then_some(Hits),
            (record.misses > record.dirties.cast_signed()).then_some(Misses),
            (record.dirties > 0).then_some(Dirties),
        ],
        Record::Cachestat(_) => vec![],
    };
    found.into_iter().flatten().collect()
}

/// An address that is mangled is none that we have used.
fn ipv6(address: IpAddr) -> Option<Aspect> {
    (address == Ipv6Addr::LOCALHOST).then_some(Ipv6)
}
