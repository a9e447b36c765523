//! The numbers of one agent's records of one probe: which are missing, which came twice.
//!
//! NATS keeps the order of one connection, so a number that is skipped was lost on the way, or
//! dropped in the agent's queue. After a reconnection a message may come late or twice, and an agent that
//! is started again counts anew: the record's own time tells that from a repeat.

use std::collections::VecDeque;

/// Gaps that are remembered, to recognise late records; of older ones only the count is kept.
const MAX_GAPS: usize = 1024;

/// Where a numbering begins for its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// At 1: the reader was there before the agent.
    AtOne,
    /// At whatever comes first: the reader joined a running session.
    Anywhere,
}

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The next one.
    Next,
    /// This many before it are missing.
    After(u64),
    /// One that had been missing.
    Late,
    /// The agent was started again; this many of its new numbering are missing before it.
    Anew(u64),
    /// It was here already.
    Repeat,
}

/// The state of one numbering.
#[derive(Debug)]
pub(crate) struct Order {
    start: Start,
    /// The last number seen, 0 before the first.
    last: u64,
    /// Time of the record that `last` belongs to.
    last_time: String,
    /// Numbers that are missing, first and last of each run, oldest run first.
    gaps: VecDeque<(u64, u64)>,
    missing: u64,
}

impl Order {
    /// No record seen yet.
    #[must_use]
    pub(crate) fn new(start: Start) -> Self {
        Self {
            start,
            last: 0,
            last_time: String::new(),
            gaps: VecDeque::new(),
            missing: 0,
        }
    }

    /// Numbers that are missing now.
    #[must_use]
    pub(crate) fn missing(&self) -> u64 {
        self.missing
    }

    /// Enters a record: its number, from 1, and its time as the agent wrote it (RFC 3339 in UTC
    /// with nanoseconds, so that texts compare as times do).
    pub(crate) fn place(&mut self, seq: u64, time: &str) -> Place {
        if self.last == 0 && self.start == Start::Anywhere {
            self.advance(seq, time);
            return Place::Next;
        }
        if seq > self.last {
            return match self.skip_to(seq, time) {
                0 => Place::Next,
                missing => Place::After(missing),
            };
        }
        if self.fill(seq) {
            return Place::Late;
        }
        if time > self.last_time.as_str() {
            self.gaps.clear();
            self.last = 0;
            return Place::Anew(self.skip_to(seq, time));
        }
        Place::Repeat
    }

    fn advance(&mut self, seq: u64, time: &str) {
        self.last = seq;
        time.clone_into(&mut self.last_time);
    }

    /// Goes on to `seq` and gives how many were left out.
    fn skip_to(&mut self, seq: u64, time: &str) -> u64 {
        let missing = seq - self.last - 1;
        if missing > 0 {
            self.missing = self.missing.saturating_add(missing);
            self.gaps.push_back((self.last + 1, seq - 1));
            if self.gaps.len() > MAX_GAPS {
                self.gaps.pop_front();
            }
        }
        self.advance(seq, time);
        missing
    }

    /// Takes `seq` out of the missing ones, if it is one.
    fn fill(&mut self, seq: u64) -> bool {
        let Some(at) = self
            .gaps
            .iter()
            .position(|&(first, last)| (first..=last).contains(&seq))
        else {
            return false;
        };
        let (first, last) = self.gaps[at];
        match (first == seq, last == seq) {
            (true, true) => drop(self.gaps.remove(at)),
            (true, false) => self.gaps[at].0 += 1,
            (false, true) => self.gaps[at].1 -= 1,
            (false, false) => {
                self.gaps[at].1 = seq - 1;
                self.gaps.insert(at + 1, (seq + 1, last));
            }
        }
        self.missing = self.missing.saturating_sub(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn places(start: Start, seqs: &[(u64, &str)]) -> (Vec<Place>, u64) {
        let mut order = Order::new(start);
        let places = seqs
            .iter()
            .map(|(seq, time)| order.place(*seq, time))
            .collect();
        (places, order.missing())
    }

    #[test]
    fn gaps_are_counted_and_late_records_fill_them() {
        let (places, missing) = places(
            Start::AtOne,
            &[(3, "a"), (4, "b"), (8, "c"), (6, "b"), (6, "b"), (1, "a")],
        );
        assert_eq!(
            places,
            [
                Place::After(2),
                Place::Next,
                Place::After(3),
                Place::Late,
                Place::Repeat,
                Place::Late,
            ]
        );
        assert_eq!(missing, 3);
    }

    #[test]
    fn who_joins_late_misses_nothing_before() {
        let (places, missing) = places(Start::Anywhere, &[(100, "a"), (101, "b"), (99, "a")]);
        assert_eq!(places, [Place::Next, Place::Next, Place::Repeat]);
        assert_eq!(missing, 0);
    }

    #[test]
    fn an_agent_that_starts_again_is_no_repeat() {
        let (places, missing) = places(
            Start::AtOne,
            &[(1, "a"), (2, "b"), (1, "c"), (2, "d"), (2, "d"), (1, "c")],
        );
        assert_eq!(
            places,
            [
                Place::Next,
                Place::Next,
                Place::Anew(0),
                Place::Next,
                Place::Repeat,
                Place::Repeat,
            ]
        );
        assert_eq!(missing, 0);
    }

    #[test]
    fn a_forged_number_does_not_hide_what_follows() {
        let (places, missing) = places(Start::AtOne, &[(1, "a"), (u64::MAX, "a"), (2, "b")]);
        assert_eq!(
            places,
            [Place::Next, Place::After(u64::MAX - 2), Place::Late]
        );
        assert_eq!(missing, u64::MAX - 3);
    }

    proptest! {
        /// Whatever the order of arrival: a number is taken once, and what was never taken is
        /// missing.
        #[test]
        fn each_number_is_taken_once(seqs in proptest::collection::vec(1_u64..60, 1..200)) {
            let mut order = Order::new(Start::AtOne);
            let mut taken = BTreeSet::new();
            for &seq in &seqs {
                let fresh = order.place(seq, "same time") != Place::Repeat;
                prop_assert_eq!(fresh, taken.insert(seq));
            }
            let highest = *taken.last().unwrap();
            prop_assert_eq!(order.missing(), highest - taken.len() as u64);
        }
    }
}
