//! What `/proc` tells of a process. The root is an argument, so that tests can make their own.
//!
//! A [`Process`] holds the folder of one process open: once that process is reaped every
//! read fails, and never reaches a later process with the same number.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};

use super::namespace::PidNamespace;

/// Longest file read here; `cgroup` has at most some twenty lines of at most 4 KiB each.
const LONGEST_FILE: u64 = 128 * 1024;

/// Why a fact about a process could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Missing {
    /// There is no such process (any more).
    #[error("it is gone")]
    Gone,
    /// The kernel does not let us look.
    #[error("the kernel does not allow it; CAP_SYS_PTRACE is needed")]
    Denied,
    /// Neither, so a fault of the machine or of this program.
    #[error("{0}")]
    Odd(#[source] io::Error),
}

impl From<io::Error> for Missing {
    fn from(error: io::Error) -> Self {
        use nix::libc::{EACCES, ENOENT, EPERM, ESRCH};
        match error.raw_os_error() {
            // Files of a reaped process answer ESRCH, its folder ENOENT.
            Some(ENOENT | ESRCH) => Self::Gone,
            Some(EACCES | EPERM) => Self::Denied,
            _ => Self::Odd(error),
        }
    }
}

impl From<nix::Error> for Missing {
    fn from(errno: nix::Error) -> Self {
        io::Error::from(errno).into()
    }
}

/// A mounted procfs, or a test's imitation.
#[derive(Debug)]
pub(crate) struct Procfs {
    root: PathBuf,
    dir: OwnedFd,
}

/// One process, for as long as it is not reaped.
#[derive(Debug)]
pub(crate) struct Process {
    /// The number that the host gives it.
    pub(crate) pid: u32,
    dir: OwnedFd,
}

/// What `NSpid` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Depth of its PID namespace: 0 is the host's.
    pub(crate) level: u32,
    /// Its number in that namespace.
    pub(crate) inner: u32,
}

impl Procfs {
    /// Opens the folder `root`, normally `/proc`.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        Ok(Self {
            root: root.to_owned(),
            dir: openat(AT_FDCWD, root, folder(), Mode::empty())?,
        })
    }

    /// Where it is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The process `pid`; a thread's number works too.
    pub(crate) fn process(&self, pid: u32) -> Result<Process, Missing> {
        Ok(Process {
            pid,
            dir: openat(&self.dir, pid.to_string().as_str(), folder(), Mode::empty())?,
        })
    }

    /// This program's own process.
    pub(crate) fn own_process(&self) -> Result<Process, Missing> {
        let dir = openat(&self.dir, "self", folder(), Mode::empty())?;
        Ok(Process {
            pid: std::process::id(),
            dir,
        })
    }

    /// The numbers of all processes, lowest first.
    pub(crate) fn pids(&self) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        for entry in self.root.read_dir()? {
            if let Some(pid) = entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            {
                pids.push(pid);
            }
        }
        pids.sort_unstable();
        Ok(pids)
    }
}

impl Process {
    /// Inode of the PID namespace it is in. One system call, nothing is kept open.
    pub(crate) fn pid_namespace_inode(&self) -> Result<u32, Missing> {
        let stat = fstatat(&self.dir, "ns/pid", AtFlags::empty())?;
        inode_number(stat.st_ino)
    }

    /// The PID namespace it is in, held open.
    pub(crate) fn pid_namespace(&self) -> Result<PidNamespace, Missing> {
        let fd = openat(
            &self.dir,
            "ns/pid",
            OFlag::O_RDONLY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        Ok(PidNamespace::from_fd(fd)?)
    }

    /// Its numbers, one a level. Everybody may read them, unlike the namespace itself.
    pub(crate) fn numbers(&self) -> Result<Numbers, Missing> {
        let status = self.read("status")?;
        parse_numbers(&status).ok_or_else(|| odd("status has no NSpid line"))
    }

    /// The text of its `cgroup` file.
    pub(crate) fn cgroup(&self) -> Result<String, Missing> {
        Ok(String::from_utf8_lossy(&self.read("cgroup")?).into_owned())
    }

    /// When it began, in clock ticks since boot: older processes have lower numbers.
    pub(crate) fn started(&self) -> Result<u64, Missing> {
        let stat = self.read("stat")?;
        parse_started(&stat).ok_or_else(|| odd("stat has no start time"))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Missing> {
        let fd = openat(
            &self.dir,
            name,
            OFlag::O_RDONLY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        let mut text = Vec::new();
        File::from(fd).take(LONGEST_FILE).read_to_end(&mut text)?;
        Ok(text)
    }
}

fn folder() -> OFlag {
    OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

fn odd(what: &str) -> Missing {
    Missing::Odd(io::Error::new(io::ErrorKind::InvalidData, what.to_owned()))
}

/// The kernel keeps namespace inodes in 32 bits.
fn inode_number(inode: u64) -> Result<u32, Missing> {
    u32::try_from(inode).map_err(|_| odd("the inode of ns/pid is no namespace's"))
}

/// `NSpid: 4711 12 1`: the host's number first, the innermost last.
fn parse_numbers(status: &[u8]) -> Option<Numbers> {
    let line = status
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"NSpid:"))?;
    let mut numbers = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let inner = numbers.next_back()?.parse().ok()?;
    Some(Numbers {
        level: u32::try_from(numbers.count()).ok()?,
        inner,
    })
}

/// `4711 (a) ) name) S 1 …`: the name is the process' own choice, so count from its last bracket.
fn parse_started(stat: &[u8]) -> Option<u64> {
    // Field 22 of proc_pid_stat(5); the one behind the name is field 3.
    const FIELD: usize = 22 - 3;
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
    fields.split_ascii_whitespace().nth(FIELD)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_of_nspid_is_the_inner_one() {
        let numbers =
            |status: &[u8]| parse_numbers(status).map(|Numbers { level, inner }| (level, inner));
        let status = b"Name:\tNSpid: 9\nTgid:\t4711\nNSpid:\t4711\t12\t1\nNSpgid:\t1\n";
        assert_eq!(numbers(status), Some((2, 1)));
        assert_eq!(numbers(b"NSpid:\t4711\n"), Some((0, 4711)));
        assert_eq!(numbers(b"NSpid:\n"), None);
        assert_eq!(numbers(b"Name:\tsh\n"), None);
    }

    #[test]
    fn names_cannot_shift_the_start_time() {
        let stat = |name: &str| {
            format!("7 ({name}) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 0 0\n")
        };
        for name in ["sh", "a b", ") S 1 2 3", "((x", ""] {
            assert_eq!(
                parse_started(stat(name).as_bytes()),
                Some(987_654),
                "{name}"
            );
        }
        assert_eq!(parse_started(b"7 (sh) S 1"), None);
        assert_eq!(parse_started(b""), None);
    }

    #[test]
    fn the_reasons_are_told_apart() {
        let reason = |errno: nix::Error| Missing::from(errno).to_string();
        assert_eq!(reason(nix::Error::ESRCH), "it is gone");
        assert_eq!(reason(nix::Error::ENOENT), "it is gone");
        assert!(reason(nix::Error::EACCES).contains("CAP_SYS_PTRACE"));
        assert!(reason(nix::Error::EMFILE).contains("Too many open files"));
    }

    #[test]
    fn only_numbers_are_processes() {
        let root = tempfile::tempdir().unwrap();
        for name in ["12", "3", "self", "net", "7x", "-1", "99999999999"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        assert_eq!(Procfs::open(root.path()).unwrap().pids().unwrap(), [3, 12]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, name: Vec<u8>, started: u64) {
            parse_started(&bytes);
            parse_numbers(&[b"NSpid:", &bytes[..]].concat());
            let rest = format!(") S {}{started}", "0 ".repeat(18));
            let stat = [b"7 (", &name[..], rest.as_bytes()].concat();
            assert_eq!(parse_started(&stat), Some(started));
        }
    }
}
