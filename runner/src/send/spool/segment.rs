//! One file of a spool.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::codec::LENGTH;

/// Batches one behind the other, and how far they are read.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: File,
    /// Its name, if it has one.
    pub(super) path: Option<PathBuf>,
    pub(super) read: u64,
    pub(super) written: u64,
    /// Messages that are not read yet.
    pub(super) messages: u64,
    /// Its first and last message, and how many have not come to their end: in a journal.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) open: u64,
}

impl Segment {
    /// An empty one.
    pub(super) fn new(file: File, first: u64, path: Option<PathBuf>) -> Self {
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
    pub(super) fn next(&mut self) -> io::Result<Vec<u8>> {
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

    pub(super) fn is_unread(&self) -> bool {
        self.read < self.written
    }

    /// Reads no more of it.
    pub(super) fn skip(&mut self) {
        self.read = self.written;
        self.messages = 0;
    }

    pub(super) fn is_done(&self) -> bool {
        !self.is_unread() && self.open == 0
    }
}
