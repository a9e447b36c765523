//! A mount namespace of our own, with the kernel file systems that tracing needs.
//!
//! Nothing mounted here is seen by the rest of the machine, and all of it goes with the last
//! process of the agent, however that ends.

use std::fmt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{FsType, statfs};

/// A folder of sysfs made for the BPF file system to be mounted on, there wherever the kernel has BPF.
const BPFFS: &str = "/sys/fs/bpf";

/// Kernel file systems that BCC reads, with their magic numbers from linux/magic.h.
const WANTED: [(&str, &str, FsType); 2] = [
    ("debugfs", "/sys/kernel/debug", FsType(0x6462_6720)),
    ("tracefs", "/sys/kernel/tracing", FsType(0x7472_6163)),
];

/// What [`enter_private`] reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mounts {
    /// Root of a BPF file system that only this program and its children see.
    pub bpffs: Option<PathBuf>,
    /// What did not work; the agent can go on without.
    pub warnings: Vec<MountWarning>,
}

/// A step of [`enter_private`] that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {errno}; {lost}")]
pub struct MountWarning {
    /// What was tried.
    pub step: Step,
    /// What the kernel said.
    pub errno: Errno,
    /// What does not work therefore, and what helps.
    pub lost: &'static str,
}

/// The steps of [`enter_private`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// unshare(2).
    NewNamespace,
    /// Cutting mount propagation in both directions.
    Private,
    /// Mounting a file system of this type on this folder.
    Mount(&'static str, &'static Path),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewNamespace => f.write_str("cannot make a mount namespace of our own"),
            Self::Private => f.write_str("cannot make the mounts private"),
            Self::Mount(kind, on) => write!(f, "cannot mount {kind} on {}", on.display()),
        }
    }
}

/// Moves the calling thread into a mount namespace of its own, cuts propagation, mounts a fresh
/// BPF file system, and debugfs and tracefs where they are missing.
///
/// Call it in `main` before there are other threads or children: those made later share the
/// namespace, those there already do not. Every failure is a warning; if the namespace cannot be
/// had, nothing at all is mounted, because others would see it.
#[must_use]
pub fn enter_private() -> Mounts {
    let mut mounts = Mounts::default();
    if let Err(warning) = leave_shared_mounts() {
        mounts.warnings.push(warning);
        return mounts;
    }
    // Always a new one: an instance that the system has mounted there would be everybody's.
    match mount_on(
        "bpf",
        Path::new(BPFFS),
        "the tools cannot filter in the kernel (less efficient)",
    ) {
        Ok(()) => mounts.bpffs = Some(BPFFS.into()),
        Err(warning) => mounts.warnings.push(warning),
    }
    for (kind, on, magic) in WANTED {
        if statfs(on).is_ok_and(|found| found.filesystem_type() == magic) {
            continue;
        }
        let lost = "BCC's tools may not find what they can attach to; mount it on the host";
        if let Err(warning) = mount_on(kind, Path::new(on), lost) {
            mounts.warnings.push(warning);
        }
    }
    mounts
}

fn leave_shared_mounts() -> Result<(), MountWarning> {
    let lost = "the tools trace with what the host has mounted, and cannot filter in the kernel (less \
                efficient); with CAP_SYS_ADMIN there would be one";
    unshare(CloneFlags::CLONE_NEWNS).map_err(|errno| MountWarning {
        step: Step::NewNamespace,
        errno,
        lost,
    })?;
    let nothing: Option<&str> = None;
    mount(
        nothing,
        "/",
        nothing,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        nothing,
    )
    .map_err(|errno| MountWarning {
        step: Step::Private,
        errno,
        lost,
    })
}

fn mount_on(kind: &'static str, on: &'static Path, lost: &'static str) -> Result<(), MountWarning> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    // Only root may look in: a pin is as good as the map itself.
    let options = (kind == "bpf").then_some("mode=0700");
    mount(Some(kind), on, Some(kind), flags, options).map_err(|errno| MountWarning {
        step: Step::Mount(kind, on),
        errno,
        lost,
    })
}
