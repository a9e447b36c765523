//! One probe's lines to messages: PID → verdict → record → envelope.
//!
//! Plain functions: no I/O but the verdict's map lookup, no async, so that a test can drive them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use probeparser::wire::{By, Envelope, MAX_PAYLOAD, Subject};
use probeparser::{Clock, Parsed, Parser, Probe, Record, Text};

use crate::ledger::{End, Ledger};
use crate::scope::{self, Scope, Target, TargetKey, Verdict};
use crate::send::Message;

/// Bytes of a payload that are kept free for the members other than `raw` and `args`.
const ENVELOPE_ROOM: usize = 8 << 10;
/// Bytes of a time before its fraction: `2026-11-23T18:00:00`.
const SECOND: usize = 19;
/// Bytes of payloads that share their memory.
const PIECE: usize = 32 << 10;

/// Who publishes: the parts of an envelope that never change.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The session's name.
    pub(crate) session: String,
    /// The node's name.
    pub(crate) node: String,
}

/// A target as its records name it.
#[derive(Clone, Debug)]
struct Named {
    namespace: String,
    pod: String,
    container: String,
    subject: async_nats::Subject,
}

/// What a line came to, if it is of a target or of the canary.
pub(crate) enum Taken {
    /// A target's event, to be published.
    Message(Message),
    /// The agent's own known event: it shows that the probe sees, and goes no further.
    Known(Record),
}

/// A probe's stages between its tool and the queue.
pub(crate) struct Pipeline {
    probe: Probe,
    identity: Arc<Identity>,
    scope: Arc<Scope>,
    ledger: Arc<Ledger>,
    parser: Parser,
    clock: NodeClock,
    /// By the scope's number for a target, which is never given again.
    targets: HashMap<usize, Named>,
    payloads: Payloads,
}

impl Pipeline {
    /// The stages of one probe.
    pub(crate) fn new(
        probe: Probe,
        identity: Arc<Identity>,
        scope: Arc<Scope>,
        ledger: Arc<Ledger>,
    ) -> Self {
        Self {
            probe,
            identity,
            scope,
            ledger,
            parser: Parser::new(probe),
            clock: NodeClock::default(),
            targets: HashMap::new(),
            payloads: Payloads::default(),
        }
    }

    /// The tool was started again and will print its header anew.
    pub(crate) fn restart(&mut self) {
        self.parser = Parser::new(self.probe);
    }

    /// Takes a line and gives what it makes, if it is an event of a target or of the canary.
    ///
    /// The filter looks at the PID alone, so that the load of other pods costs no more than that.
    pub(crate) fn line(&mut self, line: Vec<u8>) -> Option<Taken> {
        let (pid, target, pid_ns, by) = match self.parser.pid(&line) {
            Ok(Some(pid)) => {
                let verdict = self.scope.verdict(pid);
                if verdict == Verdict::Canary {
                    return self.known(pid, &line);
                }
                self.ledger.printed();
                match verdict {
                    Verdict::In { target, pid_ns, by } => (pid, target, pid_ns, by),
                    Verdict::Out | Verdict::Canary => return self.end(End::Outside),
                    Verdict::Unknown => return self.end(End::Unattributed),
                }
            }
            Ok(None) => {
                // A banner or a header: it tells the parser the columns.
                if let Err(error) = self.parser.line(&line) {
                    self.ledger.printed();
                    return self.unparsed(&error);
                }
                return None;
            }
            Err(error) => {
                self.ledger.printed();
                return self.unparsed(&error);
            }
        };
        let (record, clock) = match self.parser.line(&line) {
            // The record must be of the process that was judged, whatever the line holds.
            Ok(Parsed::Record { record, clock }) if record.pid() == Some(pid) => (record, clock),
            Ok(_) => return self.end(End::Unparsed),
            Err(error) => return self.unparsed(&error),
        };
        let now = Timestamp::now();
        if let Entry::Vacant(place) = self.targets.entry(target) {
            // A target that has just been removed is a target no more.
            let Some(target) = self.scope.target(target) else {
                return self.end(End::Outside);
            };
            place.insert(Named::new(target, self.probe, &self.identity));
        }
        let names = &self.targets[&target];
        let (time, sys_time) = self.clock.at(now);
        let mut envelope = Envelope {
            session: Cow::Borrowed(&self.identity.session),
            seq: self.ledger.number(),
            time: Cow::Borrowed(time),
            node: Cow::Borrowed(&self.identity.node),
            namespace: Cow::Borrowed(&names.namespace),
            pod: Cow::Borrowed(&names.pod),
            container: Cow::Borrowed(&names.container),
            sys_time: clock.unwrap_or(sys_time),
            record,
            pid_ns,
            by: match by {
                scope::By::Kernel => By::Kernel,
                scope::By::Procfs => By::Procfs,
            },
            raw: Text::from(line),
            cut: false,
        };
        Some(Taken::Message(Message {
            subject: names.subject.clone(),
            payload: self.payloads.encode_within(&mut envelope, MAX_PAYLOAD),
            ledger: Some(Arc::clone(&self.ledger)),
        }))
    }

    /// A line about the canary, which nobody is shown. One that can't be parsed proves nothing, and
    /// is the parser's trouble with any line of the kind.
    fn known(&mut self, pid: u32, line: &[u8]) -> Option<Taken> {
        match self.parser.line(line) {
            Ok(Parsed::Record { record, .. }) if record.pid() == Some(pid) => {
                self.ledger.known();
                Some(Taken::Known(record))
            }
            Ok(_) => {
                self.ledger.printed();
                self.end(End::Unparsed)
            }
            Err(error) => {
                self.ledger.printed();
                self.unparsed(&error)
            }
        }
    }

    fn end(&self, end: End) -> Option<Taken> {
        self.ledger.ended(end);
        None
    }

    /// The line may be another pod's, so its text goes to the agent's own log, never to NATS.
    fn unparsed(&self, error: &probeparser::ParseError) -> Option<Taken> {
        tracing::warn!("{error}");
        self.end(End::Unparsed)
    }
}

impl Named {
    /// The names that the target was given. Without a container's name, what it was found by.
    fn new(target: Target, probe: Probe, identity: &Identity) -> Self {
        let container = target.container.unwrap_or_else(|| match target.key {
            TargetKey::Container(id) | TargetKey::Cgroup(id) => id,
            key => Target::from(key).to_string(),
        });
        let namespace = target.namespace.unwrap_or_default();
        let pod = target.pod.unwrap_or_default();
        let subject = Subject {
            session: identity.session.clone(),
            node: identity.node.clone(),
            namespace: namespace.clone(),
            pod: pod.clone(),
            container: container.clone(),
            probe,
        };
        Self {
            namespace,
            pod,
            container,
            subject: subject.to_string().into(),
        }
    }
}

/// Encodes records, many into one piece of memory, which goes when the last of them has gone.
#[derive(Default)]
struct Payloads {
    piece: BytesMut,
    encoded: Vec<u8>,
}

impl Payloads {
    /// Encodes a record so that a server takes it: a line too long for a message loses the end of `raw`
    /// first, then of its arguments, and says so in `cut`.
    fn encode_within(&mut self, envelope: &mut Envelope<'_>, limit: usize) -> Bytes {
        self.encode(envelope);
        if self.encoded.len() > limit {
            // A byte takes up to six in JSON, and as many again in `hex` with the replacement characters.
            let room = (limit - ENVELOPE_ROOM) / 12;
            envelope.cut = true;
            envelope.raw.truncate(room / 2);
            if let Record::Execsnoop(exec) = &mut envelope.record {
                exec.args.truncate(room / 2);
            }
            self.encode(envelope);
        }
        if self.piece.capacity() < self.encoded.len() {
            self.piece = BytesMut::with_capacity(PIECE.max(self.encoded.len()));
        }
        self.piece.extend_from_slice(&self.encoded);
        self.piece.split().freeze()
    }

    fn encode(&mut self, envelope: &Envelope<'_>) {
        self.encoded.clear();
        envelope.encode_to(&mut self.encoded);
    }
}

/// The time of a record, worked out once a second but for its fraction.
#[derive(Default)]
struct NodeClock {
    second: Option<(i64, Clock)>,
    /// RFC 3339, UTC, nanoseconds.
    utc: String,
}

impl NodeClock {
    /// The time in UTC, and the time of day on this node.
    fn at(&mut self, now: Timestamp) -> (&str, Clock) {
        let clock = match self.second {
            Some((second, clock)) if second == now.as_second() => clock,
            _ => self.turn(now),
        };
        self.utc.truncate(SECOND);
        write!(self.utc, ".{:09}Z", now.subsec_nanosecond()).expect("a string takes every write");
        (&self.utc, clock)
    }

    fn turn(&mut self, now: Timestamp) -> Clock {
        let local = now.to_zoned_datetime(jiff::tz::TimeZone::system());
        let part = |value: i8| u8::try_from(value).unwrap_or(0);
        let clock = Clock::new(
            part(local.hour()),
            part(local.minute()),
            part(local.second()),
        )
        .expect("a civil time has an hour below 24 and minutes below 60");
        self.second = Some((now.as_second(), clock));
        self.utc = format!("{now:.0}");
        clock
    }
}

#[cfg(test)]
mod tests {
    use probeparser::record::Execsnoop;

    use super::*;

    #[test]
    fn the_clock_is_worked_out_anew_each_second() {
        let mut clock = NodeClock::default();
        let mut last = None;
        for (second, nanosecond) in [(0, 0), (0, 7), (0, 999_999_999), (1, 0), (61, 120_000_000)] {
            let now = Timestamp::new(1_000_000_000 + second, nanosecond).unwrap();
            let (utc, here) = clock.at(now);
            assert_eq!(utc, format!("{now:.9}"));
            assert_eq!(last == Some(here), second == 0 && nanosecond > 0);
            last = Some(here);
        }
    }

    #[test]
    fn a_line_of_any_bytes_fits_a_message() {
        for byte in [b'x', 0x1b, b'"', 0xff] {
            let args = vec![byte; 400 << 10];
            let mut envelope = Envelope {
                session: "s".into(),
                seq: 1,
                time: "t".into(),
                node: "n".into(),
                namespace: "".into(),
                pod: "p".into(),
                container: "c".into(),
                sys_time: Clock::new(0, 0, 0).unwrap(),
                record: Record::Execsnoop(Execsnoop {
                    time_s: None,
                    uid: None,
                    comm: "x".into(),
                    pid: 1,
                    parent_comm: None,
                    ppid: None,
                    cpu: None,
                    ret: 0,
                    args: args.clone().into(),
                }),
                pid_ns: None,
                by: By::Kernel,
                raw: args.into(),
                cut: false,
            };
            let payload = Payloads::default().encode_within(&mut envelope, MAX_PAYLOAD);
            assert!(
                payload.len() <= MAX_PAYLOAD,
                "byte {byte:#x}: {}",
                payload.len()
            );
            assert_eq!(Envelope::decode(&payload).unwrap(), envelope);
        }
    }
}
