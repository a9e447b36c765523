//! How often the kernel skipped a tool's programs, as it counts that itself.
//!
//! A program that is about to run on a CPU while another one runs there is skipped, whoever attached
//! that one. `/proc` shows the count beside each descriptor of a program; kernels before 6.7 leave out
//! what kprobes and tracepoints skip, so that nothing is told there. Whether a run would have been a
//! line of the target, nobody knows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

/// What a descriptor of a program is a link to.
const PROGRAM: &str = "anon_inode:bpf-prog";

/// What is known of one process so far.
#[derive(Debug)]
pub(crate) struct Skipped {
    process: PathBuf,
    told: u64,
}

impl Skipped {
    /// Nothing is told of this process yet.
    pub(crate) fn of(pid: Pid) -> Self {
        Self {
            process: Path::new("/proc").join(pid.to_string()),
            told: 0,
        }
    }

    /// Runs that were skipped since the last call.
    pub(crate) fn news(&mut self) -> u64 {
        let now: u64 = programs(&self.process).values().sum();
        let news = now.saturating_sub(self.told);
        self.told += news;
        news
    }
}

/// The skipped runs of each program that a process holds, by its number: two descriptors may be of one.
/// Empty for a process that is gone or out of reach.
fn programs(process: &Path) -> BTreeMap<u64, u64> {
    let open = fs::read_dir(process.join("fd")).into_iter().flatten();
    open.flatten()
        .filter(|file| fs::read_link(file.path()).is_ok_and(|is| is.as_os_str() == PROGRAM))
        .filter_map(|file| {
            let text = fs::read_to_string(process.join("fdinfo").join(file.file_name())).ok()?;
            Some((value(&text, "prog_id")?, value(&text, "recursion_misses")?))
        })
        .collect()
}

/// A number of `fdinfo`, by its name.
fn value(text: &str, name: &str) -> Option<u64> {
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    values.next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn programs_are_counted_once_and_only_what_is_new_is_told() {
        let process = tempfile::tempdir().unwrap();
        let [fds, infos] = ["fd", "fdinfo"].map(|name| process.path().join(name));
        fs::create_dir(&fds).unwrap();
        fs::create_dir(&infos).unwrap();
        let open = |fd: &str, is: &str, id: u64, misses: u64| {
            symlink(is, fds.join(fd)).ok();
            let text =
                format!("pos:\t0\nprog_id:\t{id}\nrun_cnt:\t9\nrecursion_misses:\t{misses}\n");
            fs::write(infos.join(fd), text).unwrap();
        };
        open("3", PROGRAM, 7, 5);
        open("4", PROGRAM, 7, 5);
        open("5", PROGRAM, 8, 2);
        open("6", "socket:[1]", 9, 100);
        let mut skipped = Skipped {
            process: process.path().to_owned(),
            told: 0,
        };
        assert_eq!(skipped.news(), 7);
        assert_eq!(skipped.news(), 0);
        open("5", PROGRAM, 8, 4);
        assert_eq!(skipped.news(), 2);
        fs::remove_file(fds.join("3")).unwrap();
        fs::remove_file(fds.join("4")).unwrap();
        assert_eq!(
            skipped.news(),
            0,
            "a program that is gone takes nothing back"
        );
    }

    const UNMAPPED: i32 = 8;

    /// A program that the kernel runs for each page fault of its own, and that makes one in this process
    /// unless it is about just that: the kernel has to skip it then, and counts (Linux 6.1 and later).
    fn program() -> OwnedFd {
        let own = i32::try_from(std::process::id()).unwrap();
        let instruction = |code, [dst, src]: [u8; 2], off, imm| libbpf_sys::bpf_insn {
            code,
            _bitfield_1: libbpf_sys::bpf_insn::new_bitfield_1(dst, src),
            off,
            imm,
            ..libbpf_sys::bpf_insn::default()
        };
        let program = [
            instruction(0x79, [6, 1], 0, 0),        // r6 = the faulting address
            instruction(0x15, [6, 0], 8, UNMAPPED), // ours: end
            instruction(0x85, [0, 0], 0, 14),       // r0 = bpf_get_current_pid_tgid()
            instruction(0x77, [0, 0], 0, 32),       // r0 >>= 32
            instruction(0x55, [0, 0], 5, own),      // another process: end
            instruction(0xbf, [1, 10], 0, 0),       // r1 = the stack
            instruction(0x07, [1, 0], 0, -8),       // with room
            instruction(0xb7, [2, 0], 0, 8),        // for so much
            instruction(0xb7, [3, 0], 0, UNMAPPED), // from where nothing is
            instruction(0x85, [0, 0], 0, 112),      // bpf_probe_read_user()
            instruction(0xb7, [0, 0], 0, 0),        // r0 = 0
            instruction(0x95, [0, 0], 0, 0),        // end
        ];
        // SAFETY: the name and the licence are C strings, the count is the array's, and no options are given.
        let fd = unsafe {
            libbpf_sys::bpf_prog_load(
                libbpf_sys::BPF_PROG_TYPE_RAW_TRACEPOINT,
                c"of_a_test".as_ptr(),
                c"GPL".as_ptr(),
                program.as_ptr(),
                program.len() as u64,
                std::ptr::null_mut(),
            )
        };
        assert!(fd >= 0, "a program needs root: {fd}");
        // SAFETY: it has just been made, and nobody else has it.
        unsafe { OwnedFd::from_raw_fd(fd) }
    }

    /// Needs root, as the tests of the kernel table do.
    #[test]
    fn the_kernel_counts_what_it_skips() {
        const FRESH: usize = 1 << 20;
        let program = program();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd()));
        let id = value(&info.unwrap(), "prog_id").unwrap();
        let own = || programs(Path::new("/proc/self")).get(&id).copied();
        assert_eq!(own(), Some(0));
        // SAFETY: the name is a C string, and the program is open.
        let attached = unsafe {
            libbpf_sys::bpf_raw_tracepoint_open(c"page_fault_kernel".as_ptr(), program.as_raw_fd())
        };
        assert!(attached >= 0, "{attached}");
        // SAFETY: it has just been made, and nobody else has it.
        let attached = unsafe { OwnedFd::from_raw_fd(attached) };
        // Nobody has touched this memory before the kernel writes into it: an allocator might give old one.
        let mut fresh = memmap2::MmapMut::map_anon(FRESH).unwrap();
        let mut zero = fs::File::open("/dev/zero").unwrap();
        zero.read_exact(&mut fresh).unwrap();
        drop(attached);
        assert!(own() > Some(0), "{:?}", own());
    }
}
