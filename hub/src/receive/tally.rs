//! What came of every message: the hub's half of the ledger.

use std::collections::BTreeMap;

use probeparser::Probe;
use probeparser::wire::Envelope;

use super::admit::Refusal;
use super::order::{Order, Place, Start};

/// Most numberings that are kept at once: a stranger may invent sessions and nodes without end.
const MAX_STREAMS: usize = 100_000;

/// What became of those that are counted as dropped.
pub(crate) const DROPPED: &str =
    "of the stream, of all sessions, were gone by its limits before they could be shown";

/// Whose numbering a record belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stream {
    /// The tracing session.
    pub session: String,
    /// The node's name.
    pub node: String,
    /// The probe.
    pub probe: Probe,
}

/// One numbering and what was taken from it.
#[derive(Debug)]
pub(crate) struct StreamTally {
    order: Order,
    /// Records taken: shown, unless the user asked for other probes or for no more.
    pub taken: u64,
    /// Of these, records that came after the last one that was asked for.
    pub passed_over: u64,
    /// Records that came twice.
    pub repeats: u64,
    /// How often the agent began its numbers anew.
    pub anew: u64,
}

impl StreamTally {
    /// Numbers that never came.
    #[must_use]
    pub(crate) fn missing(&self) -> u64 {
        self.order.missing()
    }
}

/// What came of every message.
#[derive(Debug)]
pub(crate) struct Tally {
    start: Start,
    /// Whose numbering is looked for: kept, so that a record costs no new text.
    wanted: Stream,
    /// By numbering.
    pub streams: BTreeMap<Stream, StreamTally>,
    /// Messages that were not what they claimed to be.
    pub refused: u64,
    /// Messages that a stream had kept, and had dropped before they were read.
    pub dropped: u64,
    /// Messages that were looked at.
    pub(crate) polled: u64,
    /// Of these, messages that found a taker, or needed none.
    passed: u64,
}

/// How far the receiving has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    polled: u64,
    passed: u64,
}

impl Progress {
    /// Whether a message is waiting for the writer.
    pub(crate) fn is_held_up(self) -> bool {
        self.polled != self.passed
    }
}

impl Tally {
    /// Nothing came yet.
    #[must_use]
    pub(crate) fn new(start: Start) -> Self {
        Self {
            start,
            wanted: Stream {
                session: String::new(),
                node: String::new(),
                probe: Probe::Tcptracer,
            },
            streams: BTreeMap::new(),
            refused: 0,
            dropped: 0,
            polled: 0,
            passed: 0,
        }
    }

    /// Where its numberings begin.
    #[must_use]
    pub(crate) fn start(&self) -> Start {
        self.start
    }

    /// How far it has come.
    #[must_use]
    pub(crate) fn progress(&self) -> Progress {
        let Self { polled, passed, .. } = *self;
        Progress { polled, passed }
    }

    /// All messages that were looked at have found a taker, or need none.
    pub(crate) fn all_passed(&mut self) {
        self.passed = self.polled;
    }

    /// Enters a record and says what its number means: repeats are not to be shown.
    ///
    /// # Errors
    /// When it would begin one numbering too many.
    pub(crate) fn take(&mut self, envelope: &Envelope<'_>) -> Result<Place, Refusal> {
        let wanted = &mut self.wanted;
        envelope.session.as_ref().clone_into(&mut wanted.session);
        envelope.node.as_ref().clone_into(&mut wanted.node);
        wanted.probe = envelope.record.probe();
        if !self.streams.contains_key(wanted) {
            if self.streams.len() >= MAX_STREAMS {
                return Err(Refusal::Streams(MAX_STREAMS));
            }
            let begun = StreamTally {
                order: Order::new(self.start),
                taken: 0,
                passed_over: 0,
                repeats: 0,
                anew: 0,
            };
            self.streams.insert(wanted.clone(), begun);
        }
        let Some(tally) = self.streams.get_mut(wanted) else {
            unreachable!("it was there or has been put there");
        };
        let place = tally.order.place(envelope.seq, &envelope.time);
        match place {
            Place::Repeat => tally.repeats += 1,
            Place::Anew(_) => {
                tally.taken += 1;
                tally.anew += 1;
            }
            _ => tally.taken += 1,
        }
        Ok(place)
    }

    /// The record that was entered last is one more than was asked for.
    pub(crate) fn pass_over(&mut self) {
        if let Some(tally) = self.streams.get_mut(&self.wanted) {
            tally.passed_over += 1;
        }
    }

    /// Numbers that never came, in all.
    #[must_use]
    pub(crate) fn missing(&self) -> u64 {
        self.streams
            .values()
            .fold(0, |sum, stream| sum.saturating_add(stream.missing()))
    }
}
