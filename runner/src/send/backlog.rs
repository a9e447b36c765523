//! Batches that the server has not taken yet: memory first, then disk, then the oldest are dropped.
//! With a journal what memory holds is on disk too.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::spool::Spool;
use super::{Batch, Journal, Message};
use crate::ledger::End;

/// Bytes that are kept in memory.
const MEMORY: usize = 16 << 20;

/// What waits. The oldest batches are in memory, what comes after them on disk.
#[derive(Debug)]
pub(super) struct Backlog {
    memory: VecDeque<Arc<Batch>>,
    /// Bytes in memory.
    size: usize,
    spool: Spool,
    /// The number of the message that comes next.
    next: u64,
    /// Messages that were dropped since somebody asked.
    dropped: u64,
    disk_told: bool,
}

impl Backlog {
    pub(super) fn new(spool: Spool) -> Self {
        Self {
            memory: VecDeque::new(),
            size: 0,
            next: spool.journal().map_or(1, Journal::next),
            spool,
            dropped: 0,
            disk_told: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.spool.is_empty()
    }

    /// Whether more can come without coming near to the limit.
    pub(super) fn has_room(&self) -> bool {
        // What waits in the queue is in no journal.
        if self.spool.is_empty() && !self.has_journal() {
            self.size < MEMORY
        } else {
            !self.spool.is_half_full()
        }
    }

    /// Puts messages behind all others, under the next numbers.
    pub(super) fn add(&mut self, messages: Vec<Message>) {
        let first = self.next;
        self.next += messages.len() as u64;
        if let Some(journal) = self.spool.journal() {
            journal.numbered(self.next);
        }
        self.push(Batch::new(first, messages));
    }

    /// The messages of this batch have come to their end.
    pub(super) fn ended(&mut self, batch: &Batch) {
        self.spool.ended(batch);
    }

    /// Whether what waits is there for an agent that comes later.
    pub(super) fn has_journal(&self) -> bool {
        self.spool.journal().is_some()
    }

    /// Gives the journal up, if there is one: nothing waits any more.
    pub(super) fn into_journal(self) -> Option<Journal> {
        self.spool.into_journal()
    }

    /// Takes a batch. Beyond the limit, the oldest are dropped and counted.
    fn push(&mut self, batch: Batch) {
        if self.spool.is_empty() && self.size < MEMORY {
            if self.has_journal() {
                let noted = self.spool.note(&batch);
                self.tell(noted, "what waits is lost when the agent is killed");
            }
            return self.keep(Arc::new(batch), VecDeque::push_back);
        }
        if self.spool.is_off() {
            self.drop_oldest();
            return self.keep(Arc::new(batch), VecDeque::push_back);
        }
        while self.spool.is_full() {
            self.drop_oldest();
        }
        let pushed = self.spool.push(&batch);
        if !self.tell(pushed, "the oldest records are dropped") {
            self.drop_oldest();
            if self.spool.is_empty() {
                self.keep(Arc::new(batch), VecDeque::push_back);
            } else {
                // Memory must not overtake the disk.
                self.lose(&batch);
            }
        }
    }

    /// Takes the oldest batch.
    pub(super) fn pop(&mut self) -> Option<Arc<Batch>> {
        if self.memory.is_empty() {
            self.refill();
        }
        let batch = self.memory.pop_front()?;
        self.size -= batch.size();
        Some(batch)
    }

    /// Takes the oldest message alone.
    pub(super) fn pop_one(&mut self) -> Option<Arc<Batch>> {
        let (first, rest) = self.pop()?.split();
        if !rest.messages.is_empty() {
            self.put_back(Arc::new(rest));
        }
        Some(Arc::new(first))
    }

    /// Puts a batch in front of all.
    pub(super) fn put_back(&mut self, batch: Arc<Batch>) {
        self.keep(batch, VecDeque::push_front);
    }

    /// How many messages were dropped since the last time.
    pub(super) fn dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn keep(
        &mut self,
        batch: Arc<Batch>,
        place: impl FnOnce(&mut VecDeque<Arc<Batch>>, Arc<Batch>),
    ) {
        self.size += batch.size();
        place(&mut self.memory, batch);
    }

    /// Says once what it means that the disk takes nothing; gives whether it took this.
    fn tell(&mut self, taken: io::Result<()>, then: &str) -> bool {
        let Err(error) = taken else {
            return true;
        };
        if !self.disk_told {
            tracing::warn!("the spool takes nothing: {error}; {then}");
            self.disk_told = true;
        }
        false
    }

    /// Brings batches from the disk, as many as memory may hold.
    fn refill(&mut self) {
        while self.size < MEMORY / 2 && self.bring() {}
    }

    /// Brings a batch from the disk, if there is one.
    fn bring(&mut self) -> bool {
        match self.spool.pop() {
            Ok(Some(batch)) => {
                self.keep(Arc::new(batch), VecDeque::push_back);
                true
            }
            Ok(None) => false,
            Err((count, error)) => {
                // Whose they were is not known any more: the last account finds them missing.
                tracing::error!("the spool does not give {count} records back: {error}");
                self.dropped += count;
                true
            }
        }
    }

    /// Drops the oldest batch; another one comes from the disk in its place.
    fn drop_oldest(&mut self) {
        if let Some(batch) = self.pop() {
            self.lose(&batch);
        }
        self.bring();
    }

    fn lose(&mut self, batch: &Batch) {
        self.spool.ended(batch);
        self.dropped += batch.ended(End::Dropped);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::ledger::Ledger;
    use crate::send::SpoolConfig;

    fn backlog(limit: u64) -> Backlog {
        let folder = std::env::temp_dir();
        Backlog::new(Spool::new(SpoolConfig { folder, limit }))
    }

    /// Batches of two messages of half a mebibyte, numbered.
    fn batch(number: u64, ledger: &Arc<Ledger>) -> Batch {
        let message = |number: u64| {
            let mut payload = vec![0; 1 << 19];
            payload[..8].copy_from_slice(&number.to_le_bytes());
            ledger.printed();
            Message {
                subject: "s".into(),
                payload: payload.into(),
                ledger: Some(Arc::clone(ledger)),
            }
        };
        Batch::new(
            2 * number,
            vec![message(2 * number), message(2 * number + 1)],
        )
    }

    /// The numbers of the messages that come out.
    fn drain(backlog: &mut Backlog) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Some(batch) = backlog.pop() {
            batch.ended(End::Published);
            for (at, message) in batch.messages.iter().enumerate() {
                numbers.push(u64::from_le_bytes(message.payload[..8].try_into().unwrap()));
                assert_eq!(numbers.last(), Some(&(batch.first + at as u64)));
            }
        }
        assert!(backlog.is_empty());
        assert_eq!(backlog.size, 0);
        numbers
    }

    #[test]
    fn what_memory_does_not_hold_waits_on_disk_in_order() {
        let ledger = Arc::new(Ledger::default());
        let mut backlog = backlog(64 << 20);
        for number in 0..40 {
            backlog.push(batch(number, &ledger));
        }
        let first = backlog.pop_one().unwrap();
        assert_eq!(first.messages.len(), 1);
        backlog.put_back(first);
        assert_eq!(drain(&mut backlog), (0..80).collect::<Vec<_>>());
        assert_eq!(backlog.dropped(), 0);
    }

    #[test]
    fn beyond_the_limit_the_oldest_are_dropped_and_counted() {
        for limit in [0, 32 << 20] {
            let ledger = Arc::new(Ledger::default());
            let mut backlog = backlog(limit);
            for number in 0..100 {
                backlog.push(batch(number, &ledger));
            }
            let dropped = backlog.dropped();
            let kept = drain(&mut backlog);
            assert!(dropped > 0 && kept.len() > 30, "{dropped} {}", kept.len());
            assert_eq!(kept, (dropped..200).collect::<Vec<_>>());
            let ledger = ledger.snapshot();
            assert_eq!((ledger.dropped, ledger.published), (dropped, 200 - dropped));
        }
    }

    #[test]
    fn without_a_disk_the_rest_is_still_in_order_and_counted() {
        let ledger = Arc::new(Ledger::default());
        let config = SpoolConfig {
            folder: PathBuf::from("/nonexistent"),
            limit: 1 << 30,
        };
        let mut backlog = Backlog::new(Spool::new(config));
        for number in 0..40 {
            backlog.push(batch(number, &ledger));
        }
        let dropped = backlog.dropped();
        assert_eq!(drain(&mut backlog), (dropped..80).collect::<Vec<_>>());
        assert_eq!(ledger.snapshot().accounted(), 80);
    }
}
