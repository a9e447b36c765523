//! The account of one probe: pure, no I/O.

use probeparser::wire::{Ledger, State, Verdict};

use crate::receive::{Start, Stream, StreamTally, Tally};
use crate::session::board::{Board, Standing};

/// The lines whose end is known. A stranger's ledger may hold any numbers.
fn accounted(ledger: &Ledger) -> u64 {
    let ends = [
        ledger.outside,
        ledger.unattributed,
        ledger.unparsed,
        ledger.dropped,
        ledger.published,
    ];
    ends.into_iter().fold(0, u64::saturating_add)
}

/// One probe of one agent, as the agent and as the hub counted it.
pub(super) struct Account<'a> {
    standing: Option<&'a Standing>,
    closed: bool,
    /// How often the agent had ended in good order when it was started again.
    good_ends: u64,
    tally: Option<&'a StreamTally>,
    start: Start,
}

impl<'a> Account<'a> {
    /// That of a numbering.
    pub(super) fn of(stream: &Stream, board: &'a Board, tally: &'a Tally) -> Self {
        Self {
            standing: board.standings().get(stream),
            closed: board.is_closed(stream),
            good_ends: board.good_ends(stream),
            tally: tally.streams.get(stream),
            start: tally.start(),
        }
    }

    /// The agent's count.
    pub(super) fn ledger(&self) -> Option<Ledger> {
        self.standing.and_then(|standing| standing.ledger)
    }

    fn taken(&self) -> u64 {
        self.tally.map_or(0, |tally| tally.taken)
    }

    /// The records of those that the user did not ask for.
    pub(super) fn passed_over(&self) -> u64 {
        self.tally.map_or(0, |tally| tally.passed_over)
    }

    /// The records that were shown.
    pub(super) fn shown(&self) -> u64 {
        self.taken() - self.passed_over()
    }

    fn missing(&self) -> u64 {
        self.tally.map_or(0, StreamTally::missing)
    }

    fn anew(&self) -> u64 {
        self.tally.map_or(0, |tally| tally.anew)
    }

    /// Whether the agent's count is its last.
    fn is_final(&self) -> bool {
        self.closed && self.ledger().is_some()
    }

    /// Records that the agent published and that did not come. A number that is skipped may also
    /// have been dropped in the agent's queue, which the agent has counted.
    fn lost_on_the_way(&self) -> u64 {
        match (self.start, self.ledger()) {
            // The agent's count begins anew with its numbers.
            (Start::AtOne, Some(ledger)) if self.is_final() && self.anew() == 0 => {
                ledger.published.saturating_sub(self.taken())
            }
            (_, ledger) => self
                .missing()
                .saturating_sub(ledger.unwrap_or_default().dropped),
        }
    }

    /// What came of every line, in words.
    pub(super) fn line(&self) -> String {
        let mut parts = Vec::new();
        if let Some(l) = self.ledger() {
            parts.push(format!(
                "printed {} = outside {} + unattributed {} + unparsed {} + dropped {} + published {}",
                l.printed, l.outside, l.unattributed, l.unparsed, l.dropped, l.published
            ));
        }
        parts.push(format!(
            "shown {}; missing {}",
            self.shown(),
            self.missing()
        ));
        if let Some(sight) = self.standing.and_then(|standing| standing.sight.as_ref()) {
            parts.push(sight.verdict.word().to_owned());
            parts.extend(sight.healed.as_ref().map(|_| "healed".to_owned()));
        }
        let repeats = self.tally.map_or(0, |tally| tally.repeats);
        let restarts = self.ledger().map_or(0, |ledger| ledger.restarts);
        let counts = [
            (self.passed_over(), "more than asked for"),
            (repeats, "came twice"),
            (restarts, "restarts"),
            (self.anew(), "numbered anew"),
        ];
        for (count, what) in counts {
            if count > 0 {
                parts.push(format!("{what} {count}"));
            }
        }
        parts.join("; ")
    }

    /// What was lost, or may have been, by place.
    pub(super) fn losses(&self) -> Vec<String> {
        let ledger = self.ledger().unwrap_or_default();
        let unaccounted = if self.is_final() {
            ledger.printed.abs_diff(accounted(&ledger))
        } else {
            0
        };
        let places = [
            (ledger.lost_samples, "lost in the kernel's buffer"),
            (
                ledger.skipped,
                "times its program was skipped by the kernel because another one ran (each may have been an event)",
            ),
            (ledger.lost_in_host, "lost between the tool and the agent"),
            (ledger.unparsed, "not understood by the agent"),
            (
                ledger.dropped,
                "dropped because the agent's queue was full, or NATS took nothing",
            ),
            (unaccounted, "not accounted for by the agent"),
            (self.lost_on_the_way(), "lost between the agent and the hub"),
        ];
        let mut losses: Vec<_> = places
            .into_iter()
            .filter(|&(count, _)| count > 0)
            .map(|(count, place)| format!("{count} {place}"))
            .collect();
        if let Some(standing) = self.standing {
            if standing.interruptions > 0 {
                let times = standing.interruptions;
                losses.push(format!(
                    "failed {times} times and saw nothing until it was back"
                ));
            }
            if standing.state == State::GivenUp {
                losses.push("given up, and saw nothing from then on".into());
            }
            match (standing.verdict(), &standing.sight) {
                (Some(Verdict::Blind), _) => losses.push("blind: attached, and saw nothing".into()),
                (Some(Verdict::Suspect), Some(sight)) => {
                    losses.push(format!("did not see {}", sight.dead.join(", ")));
                }
                _ => {}
            }
        }
        let broken_off = self.anew().saturating_sub(self.good_ends);
        if broken_off > 0 {
            losses.push(format!(
                "its agent was started again {broken_off} times without having ended: what it held then is lost, and not counted"
            ));
        }
        if self.start == Start::AtOne && !self.is_final() {
            losses.push("the agent ended without its last account".into());
        }
        losses
    }
}
