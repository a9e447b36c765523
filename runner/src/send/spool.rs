//! What memory does not hold of an outage: files without a name, so that nothing of them is left
//! when the agent is gone, however it went.
//!
//! With a journal every message is in a file, which has a name and stays until its messages have
//! come to their end.
//!
//! [`segment`] is one file, [`codec`] how a batch lies in it.

mod codec;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use codec::Ledgers;
use segment::Segment;

use super::{Batch, Journal};

/// A file is given back when all of it has been read; this many together make up the limit.
const FILES: u64 = 8;
/// Bytes of a file of a journal: small, so that it is gone before the kernel writes it to the disk.
const JOURNAL_FILE: u64 = 1 << 20;

/// Where a spool may be and how much it may take.
#[derive(Clone, Debug)]
pub(crate) struct SpoolConfig {
    /// The folder.
    pub(crate) folder: PathBuf,
    /// Bytes on disk; 0 for no spool.
    pub(crate) limit: u64,
}

/// Batches on disk, first in, first out.
#[derive(Debug)]
pub(crate) struct Spool {
    config: SpoolConfig,
    files: VecDeque<Segment>,
    ledgers: Ledgers,
    journal: Option<Journal>,
    /// Messages up to this number had come to their end when the journal was opened.
    ended: u64,
    /// Whether the last file takes no more.
    closed: bool,
}

/// What an agent that was killed has left in its journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Records that wait.
    pub(crate) waiting: u64,
    /// Lines that it had read, and of which nothing is left.
    pub(crate) lost: u64,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "goes on after an agent that did not come to its end: {} records that waited are sent; {} lines that it had read are lost, and what happened until now was not seen",
            self.waiting, self.lost
        )
    }
}

impl Spool {
    /// An empty one.
    pub(crate) fn new(config: SpoolConfig) -> Self {
        Self {
            config,
            files: VecDeque::new(),
            ledgers: Ledgers::default(),
            journal: None,
            ended: 0,
            closed: true,
        }
    }

    /// One that a journal holds, with what the agent before has left there, if there was one.
    ///
    /// # Errors
    /// When that can't be read.
    pub(crate) fn kept(config: SpoolConfig, journal: Journal) -> io::Result<(Self, Option<Left>)> {
        let mut spool = Self {
            ledgers: Ledgers(journal.ledgers()),
            ended: journal.ended(),
            ..Self::new(config)
        };
        let mut waiting = vec![0; spool.ledgers.0.len()];
        for (first, path) in journal.left()? {
            spool.recover(first, path, &mut waiting)?;
        }
        spool.journal = Some(journal);
        spool.forget();
        let is_begun = spool.ledgers.0.iter().any(|ledger| ledger.is_begun());
        let ledgers = spool.ledgers.0.iter().zip(&waiting);
        let left = Left {
            lost: ledgers
                .map(|(ledger, on_the_way)| ledger.give_up(*on_the_way))
                .sum(),
            waiting: waiting.iter().sum(),
        };
        Ok((spool, is_begun.then_some(left)))
    }

    /// Takes over a file of the agent before, and counts its messages by their ledgers. An agent that was
    /// killed in the middle of a write has left a part of a batch at the end.
    fn recover(&mut self, first: u64, path: PathBuf, waiting: &mut [u64]) -> io::Result<()> {
        let file = File::options().read(true).write(true).open(&path)?;
        let length = file.metadata()?.len();
        let mut segment = Segment::new(file, first, Some(path));
        segment.written = length;
        let (mut start, mut end) = (0, 0);
        while let Some(batch) = segment
            .next()
            .ok()
            .and_then(|bytes| self.ledgers.decode(bytes))
        {
            end = segment.read;
            segment.last = batch.first + (batch.messages.len() as u64).saturating_sub(1);
            if segment.last <= self.ended {
                start = end;
            }
            let (_, open) = batch.after(self.ended);
            segment.messages += open.messages.len() as u64;
            for ledger in open
                .messages
                .iter()
                .filter_map(|message| message.ledger.as_ref())
            {
                waiting[self.ledgers.place(ledger)] += 1;
            }
        }
        (segment.read, segment.written, segment.open) = (start, end, segment.messages);
        self.files.push_back(segment);
        Ok(())
    }

    /// The journal, if there is one.
    pub(super) fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// The same, for nothing is to be kept any more.
    pub(super) fn into_journal(self) -> Option<Journal> {
        self.journal
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.files.iter().any(Segment::is_unread)
    }

    /// Bytes that are not read yet. The files take up to one file more.
    fn unread(&self) -> u64 {
        let unread = |file: &Segment| file.written - file.read;
        self.files.iter().map(unread).sum()
    }

    /// Whether there may be none at all.
    pub(super) fn is_off(&self) -> bool {
        self.config.limit == 0
    }

    /// Whether it has reached its limit.
    pub(super) fn is_full(&self) -> bool {
        self.unread() >= self.config.limit - self.config.limit / FILES
    }

    /// Whether it is nearer to its limit than to nothing.
    pub(super) fn is_half_full(&self) -> bool {
        self.unread() >= self.config.limit / 2
    }

    /// Puts a batch at the end.
    ///
    /// # Errors
    /// When the disk does not take it; the spool is as it was before.
    pub(super) fn push(&mut self, batch: &Batch) -> io::Result<()> {
        let bytes = self.ledgers.encode(batch)?;
        let mut room = self.config.limit / FILES;
        if self.journal.is_some() {
            room = room.min(JOURNAL_FILE);
        }
        if self.closed || self.files.back().is_none_or(|file| file.written >= room) {
            let segment = match &self.journal {
                None => {
                    let file = tempfile::tempfile_in(&self.config.folder)?;
                    Segment::new(file, batch.first, None)
                }
                Some(journal) => {
                    let (path, file) = journal.begin(batch.first)?;
                    Segment::new(file, batch.first, Some(path))
                }
            };
            self.files.push_back(segment);
        }
        let last = self.files.back_mut().expect("there is one by now");
        // Numbers that are in no file must not lie between those of one.
        self.closed = true;
        last.file.write_all_at(&bytes, last.written)?;
        self.closed = false;
        last.written += bytes.len() as u64;
        let messages = batch.messages.len() as u64;
        last.messages += messages;
        if self.journal.is_some() {
            last.last = batch.first + messages.saturating_sub(1);
            last.open += messages;
        }
        Ok(())
    }

    /// Puts a batch at the end that memory holds too, and has read all before it.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn note(&mut self, batch: &Batch) -> io::Result<()> {
        self.push(batch)?;
        if let Some(last) = self.files.back_mut() {
            last.skip();
        }
        Ok(())
    }

    /// A batch has come to its end.
    pub(super) fn ended(&mut self, batch: &Batch) {
        let Some(journal) = &self.journal else {
            return;
        };
        let messages = batch.messages.len() as u64;
        let at = self.files.partition_point(|file| file.last < batch.first);
        if let Some(file) = self.files.get_mut(at)
            && file.first <= batch.first
        {
            file.open = file.open.saturating_sub(messages);
        }
        if batch.first <= journal.ended() + 1 {
            journal.end(batch.first + messages.saturating_sub(1));
        }
        self.forget();
    }

    /// Takes the oldest batch.
    ///
    /// # Errors
    /// When the disk does not give it back: the number of messages that were in the same file, and
    /// are lost.
    pub(super) fn pop(&mut self) -> Result<Option<Batch>, (u64, io::Error)> {
        // A batch that the disk refused may have left a file without any.
        let Some(at) = self.files.iter().position(Segment::is_unread) else {
            self.forget();
            return Ok(None);
        };
        let batch = self.files[at].next().and_then(|bytes| {
            self.ledgers
                .decode(bytes)
                .ok_or_else(|| io::ErrorKind::InvalidData.into())
        });
        let file = &mut self.files[at];
        let batch = match batch {
            Ok(batch) => {
                let (_, batch) = batch.after(self.ended);
                file.messages -= batch.messages.len() as u64;
                Ok(Some(batch))
            }
            Err(error) => {
                let lost = file.messages;
                file.skip();
                file.open = 0;
                Err((lost, error))
            }
        };
        self.forget();
        batch
    }

    /// Gives the files back that nothing is wanted of any more.
    fn forget(&mut self) {
        let kept = usize::from(self.journal.is_some());
        while self.files.len() > kept && self.files.front().is_some_and(Segment::is_done) {
            let Some(first) = self.files.pop_front() else {
                return;
            };
            if let (Some(path), Some(journal)) = (&first.path, &self.journal) {
                journal.end(first.last);
                // What stays behind is found by the next agent, which knows it for ended.
                std::fs::remove_file(path).ok();
            }
        }
    }
}
