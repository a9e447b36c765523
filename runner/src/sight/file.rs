//! Block I/O and page cache use of the canary, in a file that nobody else sees.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::statfs::{self, fstatfs};
use procfs::process::{Io, Process};

use super::act::{Fact, Facts};

/// Folders that may lie on a disk, tried in order; a pod has its own idea of which can be written to.
const FOLDERS: [&str; 6] = ["/var/tmp", "/tmp", "/var/lib", "/var/cache", "/run", "/"];
const PAGES: usize = 4;

/// Memory that every device takes for direct I/O.
#[repr(align(4096))]
struct Page([u8; 4096]);

/// Does it in the first folder where it works.
pub(super) fn use_file() -> Result<Facts, String> {
    let mut refusals = Vec::new();
    for folder in FOLDERS {
        match in_folder(Path::new(folder)) {
            Ok(facts) => return Ok(facts),
            Err(error) => refusals.push(format!("{folder}: {error}")),
        }
    }
    Err(format!(
        "no folder for a file on a block device: {}",
        refusals.join(", ")
    ))
}

fn in_folder(folder: &Path) -> io::Result<Facts> {
    let mut file = tempfile::tempfile_in(folder)?;
    let kind = fstatfs(&file)?.filesystem_type();
    if kind == statfs::TMPFS_MAGIC {
        return Err(io::Error::other("it is in memory"));
    }
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_DIRECT))?;
    let mut page = Box::new([const { Page([b'x'; 4096]) }; PAGES]);
    let begun = moved()?;
    for (at, page) in page.iter().enumerate() {
        file.write_all_at(&page.0, (at * 4096) as u64)?;
    }
    for (at, page) in page.iter_mut().enumerate() {
        file.read_exact_at(&mut page.0, (at * 4096) as u64)?;
    }
    let past_the_cache = moved()?;
    if past_the_cache.write_bytes == begun.write_bytes {
        return Err(io::Error::other("what is written there reaches no device"));
    }
    // Each open file has a read-ahead of its own: the second one is no mere continuation.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(0)
            .open(&path)
    };
    let mut text = [0; PAGES * 4096];
    open()?.read_exact(&mut text)?;
    let cold = moved()?;
    let mut warm = open()?;
    warm.read_exact(&mut text)?;
    // Beyond what is there: a page of its own, made dirty, and gone with the file before it is written.
    warm.write_all(b"x")?;
    file.set_len(0)?;
    file.flush()?;
    let facts = [
        (true, Fact::Wrote),
        (past_the_cache.read_bytes > begun.read_bytes, Fact::Read),
        (cold.read_bytes > past_the_cache.read_bytes, Fact::Missed),
        // Others keep no buffers for what files hold.
        (kind == statfs::EXT4_SUPER_MAGIC, Fact::Dirtied),
    ];
    let held = facts.into_iter().filter(|(holds, _)| *holds);
    Ok(held.map(|(_, fact)| fact).collect())
}

/// What the kernel has counted for this process: bytes that its I/O moved from and to storage.
fn moved() -> io::Result<Io> {
    Process::myself()
        .and_then(|own| own.io())
        .map_err(|error| io::Error::other(format!("no account of its I/O: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_it_moved() {
        assert!(moved().is_ok());
    }

    #[test]
    fn memory_is_no_device() {
        let folder = Path::new("/dev/shm");
        if folder.is_dir() {
            assert!(in_folder(folder).is_err());
        }
    }
}
