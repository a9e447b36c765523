//! What an agent leaves behind when it is killed: the numbers that it has given out, its ledgers, and the
//! messages that nobody has confirmed. An agent of the same name that comes after it goes on there.
//!
//! ```text
//! FOLDER/SESSION.NODE/page     a page of numbers, locked by the agent that lives
//!                     00…01    messages, the number of the first: one file of the spool
//! ```
//!
//! The kernel keeps what was written when a process is killed, so nothing waits for the disk; and
//! because nothing does, what another boot has left is not trusted.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use probeparser::Probe;
use probeparser::wire::encode_token;

use super::durable::epoch;
use crate::ledger::{COUNTS, Ledger};
use crate::page::{NUMBERS, Page};

/// Says what follows; another layout gets another number.
const LAYOUT: u64 = 0x7874_7261_6365_0001;
/// Where the page holds what.
mod at {
    pub(super) const LAYOUT: usize = 0;
    pub(super) const BOOT: [usize; 2] = [1, 2];
    /// When the first of these agents was started, in microseconds since 1970.
    pub(super) const EPOCH: usize = 3;
    /// The number of the next message.
    pub(super) const NEXT: usize = 4;
    /// The last message of those that have all come to their end.
    pub(super) const ENDED: usize = 5;
    pub(super) const LEDGERS: usize = 8;
}
const _: () = assert!(at::LEDGERS + COUNTS * Probe::SEVEN.len() <= NUMBERS);

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The folder can't be used.
    #[error(
        "no journal in {path}: {error}; an agent that is killed loses what it holds: name another folder with --journal"
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// An agent of this name lives.
    #[error(
        "another x-agent of this session and node keeps its journal in {0}: end it, or give this one another --session or --node"
    )]
    Taken(PathBuf),
}

/// A journal that is ours alone as long as this lives.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    page: Arc<Page>,
    /// One for each probe, in the order of [`Probe::SEVEN`].
    ledgers: Vec<Arc<Ledger>>,
    _lock: File,
}

impl Journal {
    /// Opens the journal of an agent, or begins one.
    ///
    /// # Errors
    /// When the folder can't be used, or an agent of this name lives.
    pub(crate) fn open(folder: &Path, session: &str, node: &str) -> Result<Self, JournalError> {
        let name = [session, node].map(|name| encode_token(name).into_owned());
        let folder = folder.join(name.join("."));
        let failed = |error| JournalError::Folder {
            path: folder.clone(),
            error,
        };
        let mut make = fs::DirBuilder::new();
        make.recursive(true).mode(0o700);
        make.create(&folder).map_err(failed)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join("page"))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Taken(folder)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let boot = boot().map_err(failed)?;
        let mut page = Page::of(&file).map_err(failed)?;
        let read = |at| page.number(at).load(Relaxed);
        if read(at::LAYOUT) != LAYOUT || at::BOOT.map(read) != boot {
            for (_, path) in messages(&folder).map_err(failed)? {
                fs::remove_file(path).map_err(failed)?;
            }
            file.set_len(0).map_err(failed)?;
            page = Page::of(&file).map_err(failed)?;
            let first = [(at::EPOCH, epoch()), (at::NEXT, 1), (at::LAYOUT, LAYOUT)];
            let boot = at::BOOT.into_iter().zip(boot);
            for (at, number) in boot.chain(first) {
                page.number(at).store(number, Relaxed);
            }
        }
        let page = Arc::new(page);
        let ledger = |at| Arc::new(Ledger::kept(Arc::clone(&page), at::LEDGERS + at * COUNTS));
        Ok(Self {
            ledgers: (0..Probe::SEVEN.len()).map(ledger).collect(),
            folder,
            page,
            _lock: file,
        })
    }

    /// When the numbering was begun.
    pub(crate) fn epoch(&self) -> u64 {
        self.get(at::EPOCH)
    }

    /// A probe's ledger.
    pub(crate) fn ledger(&self, probe: Probe) -> Option<Arc<Ledger>> {
        let at = Probe::SEVEN.iter().position(|one| *one == probe)?;
        self.ledgers.get(at).cloned()
    }

    pub(super) fn ledgers(&self) -> Vec<Arc<Ledger>> {
        self.ledgers.clone()
    }

    /// The number of the next message.
    pub(super) fn next(&self) -> u64 {
        self.get(at::NEXT)
    }

    /// Numbers are given out up to this one.
    pub(super) fn numbered(&self, next: u64) {
        self.page.number(at::NEXT).store(next, Relaxed);
    }

    /// The last message of those that have all come to their end.
    pub(super) fn ended(&self) -> u64 {
        self.get(at::ENDED)
    }

    /// All messages up to this one have come to their end.
    pub(super) fn end(&self, last: u64) {
        self.page.number(at::ENDED).fetch_max(last, Relaxed);
    }

    /// A file for messages from this number on.
    pub(super) fn begin(&self, first: u64) -> io::Result<(PathBuf, File)> {
        let path = self.folder.join(format!("{first:020}"));
        let mut new = OpenOptions::new();
        new.read(true).write(true).create(true).truncate(true);
        let file = new.mode(0o600).open(&path)?;
        Ok((path, file))
    }

    /// The files of messages that the agent before has left, in order.
    pub(super) fn left(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        messages(&self.folder)
    }

    /// Everything has come to its end, and was told: the next agent begins anew.
    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(self.folder)
    }

    fn get(&self, at: usize) -> u64 {
        self.page.number(at).load(Relaxed)
    }
}

fn messages(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(first) = name.and_then(|name| name.parse().ok()) {
            files.push((first, path));
        }
    }
    files.sort();
    Ok(files)
}

/// What the kernel calls this boot.
fn boot() -> io::Result<[u64; 2]> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let digits = text.trim_end().replace('-', "");
    let number = u128::from_str_radix(&digits, 16).map_err(io::Error::other)?;
    let [high, low] = [number >> 64, number & u128::from(u64::MAX)];
    let half = |number| u64::try_from(number).map_err(io::Error::other);
    Ok([half(high)?, half(low)?])
}
