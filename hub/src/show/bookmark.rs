//! How far a stream was shown, in a file: a hub that was killed is followed by one that goes on there.
//!
//! The point is written after each write to standard output. A kill between the two leaves a piece shown
//! and not marked; where standard output is a file, what it holds beyond the mark tells.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{SFlag, fstat};

use crate::exit::{Exit, Failure};
use crate::receive::Mark;

/// Most bytes that one write may have shown without being marked.
const UNMARKED: u64 = 4 << 20;

/// Why there is no bookmark.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BookmarkError {
    /// Its file can't be used.
    #[error("cannot keep in {path} how far was shown: {error}: name another file with --bookmark")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another hub goes by it.
    #[error(
        "another x-tracer reads on with {0}: end it, or name another file with --bookmark to read the same a second time"
    )]
    Taken(PathBuf),
    /// It holds something else.
    #[error(
        "{0} does not hold how far was shown: remove it to begin anew, or name another file with --bookmark"
    )]
    Form(PathBuf),
}

impl From<BookmarkError> for Failure {
    fn from(error: BookmarkError) -> Self {
        Self::new(Exit::Failed, error)
    }
}

/// Where standard output stands, if it is a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Output {
    device: u64,
    inode: u64,
    size: u64,
}

/// A file that is ours alone as long as this lives.
#[derive(Debug)]
pub(crate) struct Bookmark {
    file: File,
    /// The point that it holds.
    mark: Mark,
    /// What was shown after that point.
    shown: Vec<u8>,
}

impl Bookmark {
    /// Opens a bookmark, or makes one that stands at the beginning.
    ///
    /// # Errors
    /// When the file can't be used, is in use, or is something else.
    pub(crate) fn open(path: &Path) -> Result<Self, BookmarkError> {
        let failed = |error| BookmarkError::File {
            path: path.to_owned(),
            error,
        };
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            let mut make = std::fs::DirBuilder::new();
            make.recursive(true).mode(0o700);
            make.create(folder).map_err(failed)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BookmarkError::Taken(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let text = io::read_to_string(&file).map_err(failed)?;
        let (mark, output) = if text.is_empty() {
            (Mark::default(), Output::default())
        } else {
            read(&text).ok_or_else(|| BookmarkError::Form(path.to_owned()))?
        };
        let shown = beyond(output).unwrap_or_default();
        Ok(Self { file, mark, shown })
    }

    /// How far was shown.
    pub(crate) fn mark(&self) -> Mark {
        self.mark
    }

    /// Writes lines, but for what of them was shown before, and marks the point behind them.
    pub(super) fn write(
        &mut self,
        output: &mut impl Write,
        lines: &[u8],
        mark: Option<Mark>,
    ) -> io::Result<()> {
        let shown = std::mem::take(&mut self.shown);
        let rest = if lines.is_empty() {
            self.shown = shown;
            lines
        } else if let Some(more) = shown.strip_prefix(lines) {
            self.shown = more.to_vec();
            &[]
        } else {
            lines.strip_prefix(shown.as_slice()).unwrap_or(lines)
        };
        output.write_all(rest)?;
        output.flush()?;
        if let Some(mark) = mark.filter(|mark| *mark != self.mark) {
            self.mark = mark;
            let text = written(mark, standing().unwrap_or_default());
            self.file.write_all_at(text.as_bytes(), 0)?;
        }
        Ok(())
    }
}

/// Every text has the same length, so that one replaces another in a single write.
fn written(mark: Mark, output: Output) -> String {
    let Mark { stream, seq } = mark;
    let Output {
        device,
        inode,
        size,
    } = output;
    format!("{stream:>40} {seq:>20} {device:>20} {inode:>20} {size:>20}\n")
}

fn read(text: &str) -> Option<(Mark, Output)> {
    let mut words = text.split_whitespace();
    let stream = words.next()?.parse().ok()?;
    let mut number = || words.next()?.parse().ok();
    let mark = Mark {
        stream,
        seq: number()?,
    };
    let output = Output {
        device: number()?,
        inode: number()?,
        size: number()?,
    };
    words.next().is_none().then_some((mark, output))
}

/// Where standard output stands now; none if it is no file.
fn standing() -> Option<Output> {
    let stat = fstat(io::stdout().as_fd()).ok()?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    (kind == SFlag::S_IFREG).then_some(Output {
        device: stat.st_dev,
        inode: stat.st_ino,
        size: u64::try_from(stat.st_size).ok()?,
    })
}

/// What standard output holds beyond a point, if it is the same file.
fn beyond(marked: Output) -> Option<Vec<u8>> {
    let now = standing()?;
    let same = (now.device, now.inode) == (marked.device, marked.inode);
    let length = now.size.checked_sub(marked.size).filter(|_| same)?;
    if length > UNMARKED {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    let file = File::open("/proc/self/fd/1").ok()?;
    file.read_exact_at(&mut bytes, marked.size).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Mark = |seq| Mark { stream: 7, seq };

    #[test]
    fn it_is_found_where_it_was_left_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/bookmark");
        let mut bookmark = Bookmark::open(&path).unwrap();
        assert_eq!(bookmark.mark(), Mark::default());
        let mut output = Vec::new();
        bookmark.write(&mut output, b"one\n", Some(AT(3))).unwrap();
        bookmark.write(&mut output, b"", Some(AT(9))).unwrap();
        assert!(matches!(
            Bookmark::open(&path),
            Err(BookmarkError::Taken(_))
        ));
        drop(bookmark);
        assert_eq!(Bookmark::open(&path).unwrap().mark(), AT(9));
        assert_eq!(output, b"one\n");
    }

    #[test]
    fn what_was_shown_without_a_mark_is_not_shown_again() {
        let folder = tempfile::tempdir().unwrap();
        let again = |shown: &[u8], lines: &[&[u8]]| {
            let mut bookmark = Bookmark::open(&folder.path().join("bookmark")).unwrap();
            bookmark.shown = shown.to_vec();
            let mut output = Vec::new();
            for line in lines {
                bookmark.write(&mut output, line, None).unwrap();
            }
            String::from_utf8(output).unwrap()
        };
        let lines: [&[u8]; 2] = [b"one\ntwo\n", b"three\n"];
        assert_eq!(again(b"", &lines), "one\ntwo\nthree\n");
        assert_eq!(again(b"one\nt", &lines), "wo\nthree\n");
        assert_eq!(again(b"one\ntwo\nthr", &lines), "ee\n");
        assert_eq!(again(b"other\n", &lines), "one\ntwo\nthree\n");
    }

    #[test]
    fn a_file_that_is_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter");
        std::fs::write(&path, "dear all").unwrap();
        assert!(matches!(Bookmark::open(&path), Err(BookmarkError::Form(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"dear all");
    }
}
