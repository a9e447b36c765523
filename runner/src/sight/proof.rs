//! One round of proof: attempts until all is seen, or until it is enough. No clock, no I/O in here.

use std::collections::BTreeSet;

use probeparser::Probe;
use probeparser::wire::{Sight, Verdict};

use super::act::Facts;
use super::aspect::{self, Aspect};

/// How often the known events are made before what is missing counts as dead: the first may have
/// met a probe that was not quite there, or a ring that was full.
const ATTEMPTS: u32 = 3;

/// What is known so far.
#[derive(Debug)]
pub(crate) struct Proof {
    probe: Probe,
    wanted: BTreeSet<Aspect>,
    seen: BTreeSet<Aspect>,
    attempts: u32,
    lacking: Option<String>,
}

impl Proof {
    /// Nothing is known.
    pub(crate) fn new(probe: Probe) -> Self {
        Self {
            probe,
            wanted: BTreeSet::new(),
            seen: BTreeSet::new(),
            attempts: 0,
            lacking: None,
        }
    }

    /// Known events were made.
    pub(crate) fn made(&mut self, facts: &Facts) {
        self.attempts += 1;
        self.wanted = aspect::wanted(self.probe, facts);
    }

    /// They could not be made.
    pub(crate) fn not_made(&mut self, reason: String) {
        self.attempts = ATTEMPTS;
        self.wanted.clear();
        self.lacking = Some(reason);
    }

    /// A record about the canary came.
    pub(crate) fn saw(&mut self, record: &probeparser::Record) {
        self.seen.append(&mut aspect::shown(record));
    }

    /// Whether there is nothing to wait for.
    pub(crate) fn is_void(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whether everything has been seen.
    pub(crate) fn is_complete(&self) -> bool {
        !self.is_void() && self.dead().next().is_none()
    }

    /// Whether another attempt can change nothing.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.attempts >= ATTEMPTS
    }

    fn dead(&self) -> impl Iterator<Item = Aspect> {
        self.wanted.difference(&self.seen).copied()
    }

    /// What it comes to.
    pub(crate) fn sight(&self) -> Sight {
        let dead: Vec<_> = self.dead().collect();
        let verdict = if self.is_void() {
            Verdict::Unproven
        } else if dead.is_empty() {
            Verdict::Sees
        } else if self.seen.is_empty() {
            Verdict::Blind
        } else {
            Verdict::Suspect
        };
        Sight {
            verdict,
            healed: None,
            dead: dead
                .into_iter()
                .map(|aspect| aspect.name().to_owned())
                .collect(),
        }
    }

    /// Why the events could not be made.
    pub(crate) fn lacking(&self) -> Option<&str> {
        self.lacking.as_deref()
    }
}
