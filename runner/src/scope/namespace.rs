//! A PID namespace held open, so that its inode stays its own.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::libc;
use nix::sys::stat::fstat;
use nix::sys::statfs::{FsType, fstatfs};

use super::lineage::{DEEPEST, Lineage};

/// Inode of the PID namespace that the machine boots with (`PROC_PID_INIT_INO` in the kernel).
pub(crate) const HOST: u32 = 4_026_531_836;

/// `NSFS_MAGIC` of linux/magic.h: the file system that namespaces are files of.
const NSFS: FsType = FsType(0x6e73_6673);

/// A file descriptor on a PID namespace: while it is open, the kernel gives the inode to no other.
#[derive(Debug)]
pub(crate) struct PidNamespace {
    fd: OwnedFd,
    inode: u32,
}

impl PidNamespace {
    /// Takes what `/proc/PID/ns/pid` opened to; anything but a namespace is refused.
    pub(crate) fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let not_one = || io::Error::new(io::ErrorKind::InvalidData, "ns/pid is not a namespace");
        if fstatfs(&fd)?.filesystem_type() != NSFS {
            return Err(not_one());
        }
        let inode = u32::try_from(fstat(&fd)?.st_ino).map_err(|_| not_one())?;
        Ok(Self { fd, inode })
    }

    /// Its number, as in `/proc/PID/ns/pid`.
    pub(crate) fn inode(&self) -> u32 {
        self.inode
    }

    /// The namespace that this one was made in; `None` above the agent's own.
    pub(crate) fn parent(&self) -> io::Result<Option<Self>> {
        // SAFETY: NS_GET_PARENT takes no argument and returns a new descriptor or -1.
        let fd = unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::NS_GET_PARENT) };
        if fd >= 0 {
            // SAFETY: the kernel has just opened it (close-on-exec) for nobody but us.
            return Self::from_fd(unsafe { OwnedFd::from_raw_fd(fd) }).map(Some);
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EPERM) => Ok(None),
            error => Err(error),
        }
    }

    /// The chain of namespaces down to this one. Each is alive while this one is.
    pub(crate) fn lineage(&self) -> io::Result<Lineage> {
        let mut ascent = [0; DEEPEST];
        let mut met = 0;
        let mut above = None;
        loop {
            let here = above.as_ref().unwrap_or(self);
            if here.inode == HOST {
                break;
            }
            *ascent.get_mut(met).ok_or_else(too_deep)? = here.inode;
            met += 1;
            match here.parent()? {
                Some(parent) => above = Some(parent),
                None => break,
            }
        }
        Lineage::from_ascent(&ascent[..met]).ok_or_else(too_deep)
    }
}

fn too_deep() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "PID namespaces nest deeper than Linux allows",
    )
}
