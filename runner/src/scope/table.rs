//! The kernel table: loads the BPF programs of `bpf/`, attaches them, looks processes up.

use std::cell::RefCell;
use std::io;
use std::mem::{MaybeUninit, offset_of};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use libbpf_rs::{ErrorKind, MapCore, MapFlags, PrintLevel, set_print};

use super::entry::{DEPTH, Entry};
use super::error::Warning;
use super::recent::Recent;

mod skeleton {
    #![allow(
        clippy::all,
        clippy::pedantic,
        clippy::allow_attributes_without_reason,
        clippy::undocumented_unsafe_blocks,
        clippy::unwrap_used,
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        reason = "written by libbpf-cargo"
    )]
    include!(concat!(env!("OUT_DIR"), "/processes.skel.rs"));
}

use skeleton::types::process;
use skeleton::{ProcessesSkel, ProcessesSkelBuilder};

// `Entry` mirrors the C struct that the BPF programs were compiled with.
const _: () = {
    assert!(size_of::<process>() == Entry::SIZE);
    assert!(offset_of!(process, exited_at) == offset_of!(Entry, exited_at));
    assert!(offset_of!(process, cgroup) == offset_of!(Entry, cgroup));
    assert!(offset_of!(process, level) == offset_of!(Entry, level));
    assert!(offset_of!(process, pid_ns) == offset_of!(Entry, pid_ns));
    assert!(offset_of!(process, chain) == offset_of!(Entry, chain));
    assert!(size_of::<[u32; DEPTH]>() == Entry::SIZE - offset_of!(process, chain));
    // What `Entry::from_bytes` counts on.
    assert!(offset_of!(Entry, cgroup) == 8 && offset_of!(Entry, level) == 16);
    assert!(offset_of!(Entry, pid_ns) == 20 && offset_of!(Entry, chain) == 24);
};

/// Kernel type information, without which CO-RE cannot find the members of kernel structs.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// The loaded programs; dropping it detaches them and frees the map.
pub(crate) struct Table {
    skeleton: ProcessesSkel<'static>,
    recent: Recent,
}

impl Table {
    /// Loads and attaches. From here on no new process escapes.
    pub(crate) fn load() -> Result<Self, Warning> {
        if !Path::new(BTF).exists() {
            return Err(Warning::NoTable {
                reason: format!("this kernel has no {BTF}"),
                remedy: "a kernel built with CONFIG_DEBUG_INFO_BTF has it",
            });
        }
        set_print(Some((PrintLevel::Info, keep_complaint)));
        COMPLAINTS.take();
        let loaded = load_skeleton();
        let complaints = COMPLAINTS.take();
        let table = |skeleton| Self {
            skeleton,
            recent: Recent::default(),
        };
        loaded.map(table).map_err(|error| {
            let mut reason = format!("{error:#}");
            for complaint in complaints {
                reason.push_str("; ");
                reason.push_str(&complaint);
            }
            Warning::NoTable {
                reason,
                remedy: remedy(&error),
            }
        })
    }

    /// What the kernel knows of `pid`. One system call, or none while no process begins, ends, runs
    /// another program or moves; no allocation.
    pub(crate) fn get(&self, pid: u32) -> Option<Entry> {
        match self.changes() {
            Some(changes) => self.recent.get(pid, changes, || self.look_up(pid)),
            None => self.look_up(pid),
        }
    }

    fn look_up(&self, pid: u32) -> Option<Entry> {
        let mut value = [0; Entry::SIZE];
        let map = &self.skeleton.maps.processes;
        match map.lookup_into(&pid.to_ne_bytes(), &mut value, MapFlags::ANY) {
            Ok(true) => Some(Entry::from_bytes(&value)),
            // A map that is loaded cannot fail otherwise; and if it did, /proc is asked next.
            Ok(false) | Err(_) => None,
        }
    }

    /// The number of the cgroup above another, of those that were made since the start.
    pub(crate) fn cgroup_above(&self, cgroup: u64) -> Option<u64> {
        let mut value = [0; size_of::<u64>()];
        let map = &self.skeleton.maps.cgroups;
        match map.lookup_into(&cgroup.to_ne_bytes(), &mut value, MapFlags::ANY) {
            Ok(true) => Some(u64::from_ne_bytes(value)),
            Ok(false) | Err(_) => None,
        }
    }

    /// Adds a process that is older than the table, unless the kernel has written of that number.
    pub(crate) fn add_missing(&self, pid: u32, entry: &Entry) -> io::Result<()> {
        let map = &self.skeleton.maps.processes;
        match map.update(&pid.to_ne_bytes(), &entry.to_bytes(), MapFlags::NO_EXIST) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(io::Error::other(error)),
            _ => Ok(()),
        }
    }

    /// Processes that the kernel could not write down since the start.
    pub(crate) fn unrecorded(&self) -> u64 {
        let bss = self.skeleton.maps.bss_data.as_ref();
        bss.map_or(0, |bss| count(&raw const bss.unrecorded))
    }

    /// How often the kernel has changed the map.
    fn changes(&self) -> Option<u64> {
        let bss = self.skeleton.maps.bss_data.as_ref();
        bss.map(|bss| count(&raw const bss.changes))
    }
}

/// Reads a counter of the BPF programs.
fn count(counter: *const u64) -> u64 {
    // SAFETY: both callers point to an aligned number in memory that is mapped while the skeleton
    // lives, which they borrow. The kernel counts it up at any time, hence atomic; what is looked up
    // afterwards must not be read before.
    unsafe { AtomicU64::from_ptr(counter.cast_mut()) }.load(Ordering::Acquire)
}

fn load_skeleton() -> libbpf_rs::Result<ProcessesSkel<'static>> {
    // The skeleton borrows this storage, and one struct cannot hold both: a few bytes are
    // given up for each table, of which an agent has one.
    let storage = Box::leak(Box::new(MaybeUninit::uninit()));
    let mut skeleton = ProcessesSkelBuilder::default().open(storage)?.load()?;
    skeleton.attach()?;
    Ok(skeleton)
}

fn remedy(error: &libbpf_rs::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "x-agent needs the capabilities CAP_BPF and CAP_PERFMON (before Linux 5.11 \
             CAP_SYS_RESOURCE too), or a privileged container"
        }
        _ => "Linux 5.8 or newer is needed",
    }
}

thread_local! {
    /// What libbpf said while this thread loaded: its errors alone are a bare errno.
    static COMPLAINTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the type that set_print takes"
)]
fn keep_complaint(level: PrintLevel, text: String) {
    /// The first lines name the cause, later ones its consequences; the verifier can say a lot.
    const KEPT: usize = 3;
    const LONGEST: usize = 300;
    let text: String = text.trim().chars().take(LONGEST).collect();
    match level {
        PrintLevel::Warn => COMPLAINTS.with_borrow_mut(|complaints| {
            if complaints.len() < KEPT {
                complaints.push(text);
            }
        }),
        PrintLevel::Info | PrintLevel::Debug => tracing::debug!("{text}"),
    }
}
