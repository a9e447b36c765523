//! Numbers in a file that is mapped into memory: to count costs no more than in memory, and what was
//! counted is there when the process has been killed. Only the machine's end takes it along.

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapOptions, MmapRaw};
use nix::fcntl::posix_fallocate;

/// Bytes of a page, as every machine has it at least.
const SIZE: usize = 4096;
/// The same, as the kernel wants it for a file.
const LENGTH: i64 = 4096;
/// Numbers that it holds.
pub(crate) const NUMBERS: usize = SIZE / size_of::<AtomicU64>();

/// One page of a file.
#[derive(Debug)]
pub(crate) struct Page(MmapRaw);

impl Page {
    /// The first page of a file, which is made that long: with zeros, if it was shorter.
    ///
    /// # Errors
    /// When the disk has no room for it, or it can't be mapped.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        // A page that the disk has not promised would end the process when it is written to.
        posix_fallocate(file, 0, LENGTH)?;
        MmapOptions::new().len(SIZE).map_raw(file).map(Self)
    }

    /// The number at a place.
    pub(crate) fn number(&self, at: usize) -> &AtomicU64 {
        assert!(at < NUMBERS, "place {at} of a page");
        #[allow(clippy::cast_ptr_alignment, reason = "a mapping begins with a page")]
        let numbers = self.0.as_mut_ptr().cast::<AtomicU64>();
        // SAFETY: the place is inside of the page, which is mapped as long as `self` lives, is aligned for
        // any number, and is written to in no other way than through these atomics: its file is locked.
        unsafe { &*numbers.add(at) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn what_was_counted_is_there_for_the_next_one() {
        let file = tempfile::tempfile().unwrap();
        let page = Page::of(&file).unwrap();
        assert_eq!(page.number(NUMBERS - 1).fetch_add(7, Relaxed), 0);
        drop(page);
        let page = Page::of(&file).unwrap();
        assert_eq!(page.number(NUMBERS - 1).load(Relaxed), 7);
        assert_eq!(page.number(0).load(Relaxed), 0);
    }
}
