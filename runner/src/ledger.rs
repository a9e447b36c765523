//! Where every line that a tool printed went.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use probeparser::wire;

/// One probe's ledger, shared by the stages that fill it in. Each counter stands alone, so relaxed
/// order is enough; the sum is exact once the stages have ended.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    printed: AtomicU64,
    outside: AtomicU64,
    unattributed: AtomicU64,
    unparsed: AtomicU64,
    dropped: AtomicU64,
    published: AtomicU64,
    lost_samples: AtomicU64,
    lost_in_host: AtomicU64,
    skipped: AtomicU64,
    restarts: AtomicU64,
    known: AtomicU64,
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
    /// A line was printed.
    pub(crate) fn printed(&self) {
        self.printed.fetch_add(1, Relaxed);
    }

    /// A printed line has come to its end.
    pub(crate) fn ended(&self, end: End) {
        let counter = match end {
            End::Outside => &self.outside,
            End::Unattributed => &self.unattributed,
            End::Unparsed => &self.unparsed,
            End::Dropped => &self.dropped,
            End::Published => &self.published,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// The kernel's perf buffer lost samples.
    pub(crate) fn lost_samples(&self, count: u64) {
        self.lost_samples.fetch_add(count, Relaxed);
    }

    /// The tool's host lost events.
    pub(crate) fn lost_in_host(&self, count: u64) {
        self.lost_in_host.fetch_add(count, Relaxed);
    }

    /// The kernel skipped runs of the tool's programs.
    pub(crate) fn skipped(&self, count: u64) {
        self.skipped.fetch_add(count, Relaxed);
    }

    /// The tool was started again.
    pub(crate) fn restarted(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }

    /// A line about the agent's own canary: no line of the account.
    pub(crate) fn known(&self) {
        self.known.fetch_add(1, Relaxed);
    }

    /// The counters now, for a status message.
    pub(crate) fn snapshot(&self) -> wire::Ledger {
        wire::Ledger {
            printed: self.printed.load(Relaxed),
            outside: self.outside.load(Relaxed),
            unattributed: self.unattributed.load(Relaxed),
            unparsed: self.unparsed.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            published: self.published.load(Relaxed),
            lost_samples: self.lost_samples.load(Relaxed),
            lost_in_host: self.lost_in_host.load(Relaxed),
            skipped: self.skipped.load(Relaxed),
            restarts: self.restarts.load(Relaxed),
            known: self.known.load(Relaxed),
        }
    }
}
