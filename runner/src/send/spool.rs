//! What memory does not hold of an outage: files without a name, so that nothing of them is left
//! when the agent is gone, however it went.
//!
//! With a journal every message is in a file, which has a name and stays until its messages have
//! come to their end.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Batch, Journal, Message};
use crate::ledger::Ledger;

/// A file is given back when all of it has been read; this many together make up the limit.
const FILES: u64 = 8;
/// Bytes of a file of a journal: small, so that it is gone before the kernel writes it to the disk.
const JOURNAL_FILE: u64 = 1 << 20;
/// Bytes of a batch's length.
const LENGTH: usize = size_of::<u32>();

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
    /// A message on disk names its ledger by the place here.
    ledgers: Vec<Arc<Ledger>>,
    journal: Option<Journal>,
    /// Messages up to this number had come to their end when the journal was opened.
    ended: u64,
    /// Whether the last file takes no more.
    closed: bool,
}

#[derive(Debug)]
struct Segment {
    file: File,
    /// Its name, if it has one.
    path: Option<PathBuf>,
    read: u64,
    written: u64,
    /// Messages that are not read yet.
    messages: u64,
    /// Its first and last message, and how many have not come to their end: in a journal.
    first: u64,
    last: u64,
    open: u64,
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
            ledgers: Vec::new(),
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
            ledgers: journal.ledgers(),
            ended: journal.ended(),
            ..Self::new(config)
        };
        let mut waiting = vec![0; spool.ledgers.len()];
        for (first, path) in journal.left()? {
            spool.recover(first, path, &mut waiting)?;
        }
        spool.journal = Some(journal);
        spool.forget();
        let is_begun = spool.ledgers.iter().any(|ledger| ledger.is_begun());
        let ledgers = spool.ledgers.iter().zip(&waiting);
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
        while let Some(batch) = segment.next().ok().and_then(|bytes| self.decode(bytes)) {
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
                waiting[self.place(ledger)] += 1;
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
        let bytes = self.encode(batch)?;
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
            self.decode(bytes)
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

    /// The length of what follows, the first number, then each message: lengths of subject and payload,
    /// place of the ledger from 1, subject, payload.
    fn encode(&mut self, batch: &Batch) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(LENGTH + 8 + batch.size());
        bytes.extend_from_slice(&[0; LENGTH]);
        bytes.extend_from_slice(&batch.first.to_le_bytes());
        for message in &batch.messages {
            let ledger = message.ledger.as_ref();
            let ledger = ledger.map_or(0, |ledger| 1 + self.place(ledger));
            for number in [message.subject.len(), message.payload.len(), ledger] {
                let number = u32::try_from(number).expect("a message is far below 4 GiB");
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(message.subject.as_bytes());
            bytes.extend_from_slice(&message.payload);
        }
        let length = u32::try_from(bytes.len() - LENGTH).map_err(io::Error::other)?;
        bytes[..LENGTH].copy_from_slice(&length.to_le_bytes());
        Ok(bytes)
    }

    /// The place of a ledger.
    fn place(&mut self, ledger: &Arc<Ledger>) -> usize {
        let known = self.ledgers.iter().position(|one| Arc::ptr_eq(one, ledger));
        known.unwrap_or_else(|| {
            self.ledgers.push(Arc::clone(ledger));
            self.ledgers.len() - 1
        })
    }

    fn decode(&self, bytes: Vec<u8>) -> Option<Batch> {
        let mut rest = bytes::Bytes::from(bytes);
        let first = (rest.len() >= 8).then(|| rest.split_to(8))?;
        let first = u64::from_le_bytes(first[..].try_into().ok()?);
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let mut number = || {
                let bytes = (rest.len() >= 4).then(|| rest.split_to(4))?;
                usize::try_from(u32::from_le_bytes(bytes[..].try_into().ok()?)).ok()
            };
            let (subject, payload, ledger) = (number()?, number()?, number()?);
            if rest.len() < subject.checked_add(payload)? {
                return None;
            }
            let subject = rest.split_to(subject);
            let payload = rest.split_to(payload);
            let ledger = match ledger {
                0 => None,
                place => Some(Arc::clone(self.ledgers.get(place - 1)?)),
            };
            messages.push(Message {
                subject: std::str::from_utf8(&subject).ok()?.into(),
                payload,
                ledger,
            });
        }
        Some(Batch::new(first, messages))
    }
}

impl Segment {
    /// An empty one.
    fn new(file: File, first: u64, path: Option<PathBuf>) -> Self {
        Self {
            file,
            path,
            read: 0,
            written: 0,
            messages: 0,
            first,
            last: first,
            open: 0,
        }
    }

    /// The bytes of the next batch.
    fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; LENGTH];
        self.file.read_exact_at(&mut length, self.read)?;
        let length = u32::from_le_bytes(length);
        let start = self.read + LENGTH as u64;
        let end = start + u64::from(length);
        if end > self.written {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, start)?;
        self.read = end;
        Ok(bytes)
    }

    fn is_unread(&self) -> bool {
        self.read < self.written
    }

    /// Reads no more of it.
    fn skip(&mut self) {
        self.read = self.written;
        self.messages = 0;
    }

    fn is_done(&self) -> bool {
        !self.is_unread() && self.open == 0
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use probeparser::Probe;

    use super::*;
    use crate::ledger::End;
    use crate::send::JournalError;

    fn spool(limit: u64) -> Spool {
        let folder = std::env::temp_dir();
        Spool::new(SpoolConfig { folder, limit })
    }

    fn batch(number: u32, ledger: Option<&Arc<Ledger>>) -> Batch {
        let message = |part: &str| Message {
            subject: "xtracer.v1.s.n.status".into(),
            payload: format!("{number} {part}").into(),
            ledger: ledger.map(Arc::clone),
        };
        Batch::new(2 * u64::from(number) - 1, vec![message("one"), message("")])
    }

    #[test]
    fn what_goes_in_comes_out_in_order_and_the_files_go_with_it() {
        let mut spool = spool(800);
        let ledger = Arc::new(Ledger::default());
        for number in 1..=100 {
            spool
                .push(&batch(number, (number % 2 == 0).then_some(&ledger)))
                .unwrap();
        }
        assert!(spool.files.len() > 8 && spool.is_full());
        for number in 1..=100 {
            let found = spool.pop().unwrap().unwrap();
            let wanted = batch(number, None);
            assert_eq!(found.first, wanted.first);
            for (found, wanted) in found.messages.iter().zip(&wanted.messages) {
                assert_eq!(found.payload, wanted.payload);
                assert_eq!(found.subject, wanted.subject);
                assert_eq!(found.ledger.is_some(), number % 2 == 0);
            }
            found.ended(End::Published);
        }
        assert!(spool.pop().unwrap().is_none() && spool.is_empty());
        assert_eq!(ledger.snapshot().published, 100);
    }

    #[test]
    fn a_disk_that_is_full_leaves_it_as_it_was() {
        let mut spool = spool(1 << 20);
        spool.push(&batch(1, None)).unwrap();
        let file = &mut spool.files[0].file;
        let good = std::mem::replace(file, File::create("/dev/full").unwrap());
        spool.push(&batch(2, None)).unwrap_err();
        spool.files[0].file = good;
        spool.push(&batch(3, None)).unwrap();
        let payloads = [(); 2].map(|()| spool.pop().unwrap().unwrap().messages[0].payload.clone());
        assert_eq!(payloads, ["1 one", "3 one"]);
        assert!(spool.pop().unwrap().is_none());
    }

    #[test]
    fn a_file_that_is_cut_short_is_counted() {
        let mut spool = spool(1 << 20);
        spool.push(&batch(1, None)).unwrap();
        spool.push(&batch(2, None)).unwrap();
        spool.pop().unwrap();
        spool.files[0].file.set_len(0).unwrap();
        assert_eq!(spool.pop().unwrap_err().0, 2);
        assert!(spool.pop().unwrap().is_none());
    }

    /// The spool of an agent after one that was killed, and what that has left.
    fn after_a_kill(folder: &Path) -> (Spool, Option<Left>, Arc<Ledger>) {
        let journal = Journal::open(folder, "s", "n").unwrap();
        let ledger = journal.ledger(Probe::Execsnoop).unwrap();
        let config = SpoolConfig {
            folder: folder.to_owned(),
            limit: 64 << 20,
        };
        let (spool, left) = Spool::kept(config, journal).unwrap();
        (spool, left, ledger)
    }

    #[test]
    fn what_has_not_come_to_its_end_is_there_for_the_next_agent() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, left, ledger) = after_a_kill(folder.path());
        assert_eq!(left, None);
        let printed = |ledger: &Ledger| (0..2).for_each(|_| ledger.printed());
        for number in 1..=20 {
            printed(&ledger);
            let batch = batch(number, Some(&ledger));
            // The first half is in memory too.
            if number <= 10 {
                spool.note(&batch).unwrap();
            } else {
                spool.push(&batch).unwrap();
            }
        }
        for number in 1..=5 {
            let batch = batch(number, Some(&ledger));
            spool.ended(&batch);
            batch.ended(End::Published);
        }
        // One line was read and is in no file, and one message more has come to its end.
        ledger.printed();
        let (one, _) = batch(6, Some(&ledger)).split();
        spool.ended(&one);
        one.ended(End::Published);
        drop((spool, ledger, one));

        let (mut spool, left, ledger) = after_a_kill(folder.path());
        let waiting = 40 - 11;
        assert_eq!(left, Some(Left { waiting, lost: 1 }));
        let mut numbers = Vec::new();
        while let Some(batch) = spool.pop().unwrap() {
            spool.ended(&batch);
            batch.ended(End::Published);
            numbers.extend((batch.first..).take(batch.messages.len()));
        }
        assert_eq!(numbers, (12..41).collect::<Vec<_>>());
        let counted = ledger.snapshot();
        assert_eq!(
            (counted.printed, counted.published, counted.dropped),
            (41, 40, 1)
        );
        drop((spool, ledger));

        let (mut spool, left, _) = after_a_kill(folder.path());
        assert_eq!(left, Some(Left::default()));
        assert!(spool.pop().unwrap().is_none());
    }

    #[test]
    fn a_batch_that_a_kill_has_cut_is_lost_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _, ledger) = after_a_kill(folder.path());
        for number in 1..=2 {
            (0..2).for_each(|_| ledger.printed());
            spool.push(&batch(number, Some(&ledger))).unwrap();
        }
        let last = spool.files.back().unwrap();
        last.file.set_len(last.written - 1).unwrap();
        drop((spool, ledger));
        let (mut spool, left, ledger) = after_a_kill(folder.path());
        assert_eq!(
            left,
            Some(Left {
                waiting: 2,
                lost: 2
            })
        );
        assert_eq!(spool.pop().unwrap().unwrap().first, 1);
        spool.push(&batch(3, Some(&ledger))).unwrap();
        assert_eq!(spool.pop().unwrap().unwrap().first, 5);
        assert!(spool.pop().unwrap().is_none());
    }

    #[test]
    fn files_go_when_their_messages_have_come_to_their_end() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _, ledger) = after_a_kill(folder.path());
        let large = |number| {
            let mut batch = batch(number, Some(&ledger));
            batch.messages[1].payload = vec![b'x'; 1 << 20].into();
            batch
        };
        for number in 1..=8 {
            spool.note(&large(number)).unwrap();
        }
        assert_eq!(spool.files.len(), 8);
        spool.ended(&large(2));
        assert_eq!(spool.files.len(), 8, "the first is still wanted");
        spool.ended(&large(1));
        assert_eq!(spool.files.len(), 6);
        for number in 3..=8 {
            spool.ended(&large(number));
        }
        assert_eq!(spool.files.len(), 1);
        let journal = spool.into_journal().unwrap();
        assert_eq!(journal.ended(), 16);
        journal.remove().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_journal_is_one_agents() {
        let folder = tempfile::tempdir().unwrap();
        let open = |node| Journal::open(folder.path(), "s", node);
        let first = open("n").unwrap();
        assert!(matches!(open("n"), Err(JournalError::Taken(_))));
        open("other").unwrap();
        drop(first);
        open("n").unwrap();
    }
}
