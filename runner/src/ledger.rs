//! Where every line that a tool printed went.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use probeparser::wire;

use crate::page::Page;

/// What is counted, by its place in a ledger: a page that outlives its agent is read by the next one.
#[derive(Clone, Copy)]
enum Count {
    Printed,
    Outside,
    Unattributed,
    Unparsed,
    Dropped,
    Published,
    LostSamples,
    LostInHost,
    Skipped,
    Restarts,
    Known,
    Numbered,
}

/// Numbers that a ledger takes.
pub(crate) const COUNTS: usize = Count::Numbered as usize + 1;

/// One probe's ledger, shared by the stages that fill it in. Each counter stands alone, so relaxed
/// order is enough; the sum is exact once the stages have ended.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Counters);

#[derive(Debug)]
enum Counters {
    /// In this process' memory.
    Own([AtomicU64; COUNTS]),
    /// On a page that outlives it, from this place on.
    Kept(Arc<Page>, usize),
}

impl Default for Counters {
    fn default() -> Self {
        Self::Own(Default::default())
    }
}

/// Where one printed line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its process is not the target's.
    Outside,
    /// Its process has gone and nobody had seen it.
    Unattributed,
    /// It was not understood.
    Unparsed,
    /// The queue or the spool was full, or NATS or its readers were gone when the session ended.
    Dropped,
    /// NATS has confirmed that it took it.
    Published,
}

impl Ledger {
    /// A ledger on a page, as the agent before has left it.
    pub(crate) fn kept(page: Arc<Page>, at: usize) -> Self {
        Self(Counters::Kept(page, at))
    }

    /// A line was printed.
    pub(crate) fn printed(&self) {
        self.add(Count::Printed, 1);
    }

    /// Gives a record its number, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.counter(Count::Numbered).fetch_add(1, Relaxed) + 1
    }

    /// Whether it was begun by an agent before this one.
    pub(crate) fn is_begun(&self) -> bool {
        self.get(Count::Printed) > 0
    }

    /// Drops the lines whose end nobody will ever know, since they were in an agent that was killed: all
    /// without an end but so many, which are still on their way. Gives how many those were.
    pub(crate) fn give_up(&self, on_the_way: u64) -> u64 {
        let ledger = self.snapshot();
        let open = ledger.printed.saturating_sub(ledger.accounted());
        // Published as far as was known, and still to be read: they will be published once more.
        let again = on_the_way.saturating_sub(open);
        self.counter(Count::Published)
            .fetch_sub(again.min(ledger.published), Relaxed);
        let lost = open.saturating_sub(on_the_way);
        self.add(Count::Dropped, lost);
        lost
    }

    /// A printed line has come to its end.
    pub(crate) fn ended(&self, end: End) {
        let count = match end {
            End::Outside => Count::Outside,
            End::Unattributed => Count::Unattributed,
            End::Unparsed => Count::Unparsed,
            End::Dropped => Count::Dropped,
            End::Published => Count::Published,
        };
        self.add(count, 1);
    }

    /// The kernel's perf buffer lost samples.
    pub(crate) fn lost_samples(&self, count: u64) {
        self.add(Count::LostSamples, count);
    }

    /// The tool's host lost events.
    pub(crate) fn lost_in_host(&self, count: u64) {
        self.add(Count::LostInHost, count);
    }

    /// The kernel skipped runs of the tool's programs.
    pub(crate) fn skipped(&self, count: u64) {
        self.add(Count::Skipped, count);
    }

    /// The tool was started again.
    pub(crate) fn restarted(&self) {
        self.add(Count::Restarts, 1);
    }

    /// A line about the agent's own canary: no line of the account.
    pub(crate) fn known(&self) {
        self.add(Count::Known, 1);
    }

    /// The counters now, for a status message.
    pub(crate) fn snapshot(&self) -> wire::Ledger {
        wire::Ledger {
            printed: self.get(Count::Printed),
            outside: self.get(Count::Outside),
            unattributed: self.get(Count::Unattributed),
            unparsed: self.get(Count::Unparsed),
            dropped: self.get(Count::Dropped),
            published: self.get(Count::Published),
            lost_samples: self.get(Count::LostSamples),
            lost_in_host: self.get(Count::LostInHost),
            skipped: self.get(Count::Skipped),
            restarts: self.get(Count::Restarts),
            known: self.get(Count::Known),
        }
    }

    fn counter(&self, count: Count) -> &AtomicU64 {
        match &self.0 {
            Counters::Own(counters) => &counters[count as usize],
            Counters::Kept(page, at) => page.number(at + count as usize),
        }
    }

    fn add(&self, count: Count, more: u64) {
        self.counter(count).fetch_add(more, Relaxed);
    }

    fn get(&self, count: Count) -> u64 {
        self.counter(count).load(Relaxed)
    }
}
