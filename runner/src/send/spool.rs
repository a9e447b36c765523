//! What memory does not hold of an outage: files without a name, so that nothing of them is left
//! when the agent is gone, however it went.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Batch, Message};
use crate::ledger::Ledger;

/// A file is given back when all of it has been read; this many together make up the limit.
const FILES: u64 = 8;

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
pub(super) struct Spool {
    config: SpoolConfig,
    files: VecDeque<Segment>,
    /// A message on disk names its ledger by the place here.
    ledgers: Vec<Arc<Ledger>>,
}

#[derive(Debug)]
struct Segment {
    file: File,
    read: u64,
    written: u64,
    /// Messages that are not read yet.
    messages: u64,
}

impl Spool {
    pub(super) fn new(config: SpoolConfig) -> Self {
        Self {
            config,
            files: VecDeque::new(),
            ledgers: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
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
        let bytes = self.encode(batch);
        let room = self.config.limit / FILES;
        if self.files.back().is_none_or(|file| file.written >= room) {
            let file = tempfile::tempfile_in(&self.config.folder)?;
            self.files.push_back(Segment {
                file,
                read: 0,
                written: 0,
                messages: 0,
            });
        }
        let last = self.files.back_mut().expect("there is one by now");
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        last.file
            .write_all_at(&length.to_le_bytes(), last.written)?;
        last.file.write_all_at(&bytes, last.written + 4)?;
        last.written += 4 + u64::from(length);
        last.messages += batch.messages.len() as u64;
        Ok(())
    }

    /// Takes the oldest batch.
    ///
    /// # Errors
    /// When the disk does not give it back: the number of messages that were in the same file, and
    /// are lost.
    pub(super) fn pop(&mut self) -> Result<Option<Batch>, (u64, io::Error)> {
        while let Some(mut first) = self.files.pop_front() {
            // A batch that the disk refused may have left a file without any.
            if first.read == first.written {
                continue;
            }
            let batch = first.next().and_then(|bytes| {
                self.decode(bytes)
                    .ok_or_else(|| io::ErrorKind::InvalidData.into())
            });
            let batch = batch.map_err(|error| (first.messages, error))?;
            first.messages -= batch.messages.len() as u64;
            if first.read < first.written {
                self.files.push_front(first);
            }
            return Ok(Some(batch));
        }
        Ok(None)
    }

    /// The first number, then each message: lengths of subject and payload, place of the ledger from 1, subject, payload.
    fn encode(&mut self, batch: &Batch) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + batch.size());
        bytes.extend_from_slice(&batch.first.to_le_bytes());
        for message in &batch.messages {
            let ledger = message.ledger.as_ref().map_or(0, |ledger| {
                let known = self.ledgers.iter().position(|one| Arc::ptr_eq(one, ledger));
                1 + known.unwrap_or_else(|| {
                    self.ledgers.push(Arc::clone(ledger));
                    self.ledgers.len() - 1
                })
            });
            for number in [message.subject.len(), message.payload.len(), ledger] {
                let number = u32::try_from(number).expect("a message is far below 4 GiB");
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(message.subject.as_bytes());
            bytes.extend_from_slice(&message.payload);
        }
        bytes
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
    /// The bytes of the next batch.
    fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.file.read_exact_at(&mut length, self.read)?;
        let length = u32::from_le_bytes(length);
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, self.read + 4)?;
        self.read += 4 + u64::from(length);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::End;

    fn spool(limit: u64) -> Spool {
        Spool::new(SpoolConfig {
            folder: std::env::temp_dir(),
            limit,
        })
    }

    fn batch(number: u32, ledger: Option<&Arc<Ledger>>) -> Batch {
        let message = |part: &str| Message {
            subject: "xtracer.v1.s.n.status".into(),
            payload: format!("{number} {part}").into(),
            ledger: ledger.map(Arc::clone),
        };
        Batch::new(2 * u64::from(number), vec![message("one"), message("")])
    }

    #[test]
    fn what_goes_in_comes_out_in_order_and_the_files_go_with_it() {
        let mut spool = spool(800);
        let ledger = Arc::new(Ledger::default());
        for number in 0..100 {
            spool
                .push(&batch(number, (number % 2 == 0).then_some(&ledger)))
                .unwrap();
        }
        assert!(spool.files.len() > 8 && spool.is_full());
        for number in 0..100 {
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
}
