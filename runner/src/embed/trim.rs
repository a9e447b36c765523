//! What a process gives back to the system: seven tools would keep seven compilers otherwise.

use std::ffi::c_void;
use std::ptr::NonNull;

use nix::sys::mman::{MmapAdvise, madvise};
use nix::sys::prctl::set_thp_disable;
use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process};

/// What the allocator has been given back, for good: with huge pages, the kernel would soon fill each
/// hole between two pages in use again.
pub(super) fn heap() {
    // Where it is refused, as by kernels that have no huge pages, nothing is filled either.
    set_thp_disable(true).ok();
    #[cfg(target_env = "gnu")]
    // SAFETY: a plain call into the C library's allocator.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// The pages of programs and libraries that nobody has written to. Those that are needed again come from
/// the page cache. The loader alone has walked through tens of megabytes of LLVM.
pub(super) fn mapped_files() {
    // Who cannot see its own maps keeps what it has.
    let Ok(maps) = Process::myself().and_then(|own| own.smaps()) else {
        return;
    };
    for map in maps.iter().filter(|map| is_as_in_its_file(map)) {
        let (start, end) = map.address;
        let (Ok(start), Ok(length)) = (usize::try_from(start), usize::try_from(end - start)) else {
            continue;
        };
        let Some(start) = NonNull::new(std::ptr::with_exposed_provenance_mut::<c_void>(start))
        else {
            continue;
        };
        // SAFETY: nothing but the file's own bytes is there, and what is dropped is read again, the same, at
        // the next access. To write there, somebody would first have to make the map writable, as only the
        // loader does, and only before a library's code runs.
        unsafe { madvise(start, length, MmapAdvise::MADV_DONTNEED) }.ok();
    }
}

/// Mapped from a file, not writable, and without a page of its own, as relocations or a debugger make.
fn is_as_in_its_file(map: &MemoryMap) -> bool {
    matches!(map.pathname, MMapPath::Path(_))
        && !map.perms.contains(MMPermissions::WRITE)
        && map.extension.map.get("Anonymous") == Some(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_read_again_and_what_was_written_stays() {
        let resident = || {
            let maps = Process::myself().unwrap().smaps().unwrap();
            let clean = maps.iter().filter(|map| is_as_in_its_file(map));
            clean.map(|map| map.extension.map["Rss"]).sum::<u64>()
        };
        let written = vec![7; 1 << 20];
        let before = resident();
        mapped_files();
        assert!(resident() < before, "{} of {before}", resident());
        assert!(written.iter().all(|byte| *byte == 7));
    }
}
