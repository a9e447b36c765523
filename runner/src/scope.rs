//! Whose process is it? Keeps the target's PID namespaces and says for each PID that a tool
//! prints whether it belongs to one of them.
//!
//! ```text
//!  fork, exec, exit ──raw tracepoints──▶ table.rs: PID → namespaces, in the kernel ─┐
//!  /proc, for processes older than the agent ──▶ procfs.rs, namespace.rs ───────────┴─▶ Verdict
//! ```
//!
//! A process belongs to a target if it is in the target's PID namespace or in one below it; where the
//! namespace is not the target's alone, if it is in its cgroup or in one below that (`cgroup.rs`).
//! The table is written before a process runs its first instruction and outlives it, so a
//! process of a millisecond is judged as surely as a daemon. Namespaces are compared by inode,
//! and the kernel gives a dead namespace's inode to the next one; therefore each target's
//! namespace is held open, and a process that died before that is not claimed
//! (`Entry::membership`).
//!
//! What remains: a PID is a number, and the answer is about its latest owner. A line that a tool
//! holds back until the kernel has gone once through all its numbers (`kernel.pid_max`, by default
//! 32,768 or more) can be judged by the wrong process.

mod cgroup;
mod container;
mod entry;
mod error;
mod fill;
mod filter;
mod find;
mod held;
mod lineage;
mod namespace;
mod procfs;
mod recent;
mod table;
mod target;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use error::{ScopeError, TargetError, Warning};
pub use target::{Target, TargetKey, TargetSyntaxError};

use cgroup::{Cgroup, Tree};
use entry::DEPTH;
use filter::Filter;
use find::Found;
use held::{Claim, Held, Targets};
use namespace::HOST;
use procfs::{Missing, Procfs};
use table::Table;

/// Where the scope finds what it works with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The process file system of the host's PID namespace.
    pub procfs: PathBuf,
    /// A BPF file system for the filter map, best a private one
    /// ([`enter_private`](crate::mounts::enter_private)); without it the tools cannot filter.
    pub bpffs: Option<PathBuf>,
    /// Load the kernel table.
    pub table: bool,
}

impl Default for Options {
    /// `/proc`, with table, without filter map.
    fn default() -> Self {
        Self {
            procfs: "/proc".into(),
            bpffs: None,
            table: true,
        }
    }
}

/// What is known about a PID that a tool printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs to a target.
    In {
        /// Which, as [`Scope::add`] numbered it. Of nested targets the innermost.
        target: usize,
        /// The PID as the process itself sees it, where known.
        pid_ns: Option<u32>,
        /// How it was decided.
        by: By,
    },
    /// It belongs to none.
    Out,
    /// It belongs to the agent's canary ([`Scope::add_canary`]).
    Canary,
    /// Nobody can tell: the process is gone and the kernel table has not seen it, or it died
    /// before its would-be target was added, or it is the idle task (PID 0). To be dropped and counted.
    Unknown,
}

/// What a [`Verdict`] rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The kernel table, written as the process was born.
    Kernel,
    /// `/proc`, read while the process lived.
    Procfs,
}

/// What [`Scope::add`] tells of a new target.
#[derive(Debug)]
pub struct Added {
    /// Its number; never given again.
    pub id: usize,
    /// The inode of its PID namespace.
    pub inode: u32,
    /// What its records will lack.
    pub warnings: Vec<Warning>,
}

/// Trouble counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Processes that the kernel table had no room for at that moment.
    pub unrecorded: u64,
    /// Looks into `/proc` that the kernel refused (`CAP_SYS_PTRACE` is missing).
    pub denied: u64,
    /// Looks into `/proc` that failed otherwise, for example for want of file descriptors.
    pub failed: u64,
}

/// The targets, and the means to recognise their processes.
///
/// All methods take `&self`: share it in an `Arc`. Dropping it detaches the programs, unpins the
/// filter map and lets the namespaces go.
pub struct Scope {
    procfs: Procfs,
    table: Option<Table>,
    // Before the targets, because fields are dropped in this order: the tools must not filter by
    // an inode that has become free for another namespace.
    filter: Option<Filter>,
    targets: RwLock<Targets>,
    /// The number of the canary among the targets.
    canary: OnceLock<usize>,
    denied: AtomicU64,
    failed: AtomicU64,
}

impl Scope {
    /// Loads the kernel table and creates the filter map, as far as this machine allows, and
    /// says what it does not. Targets are [added](Scope::add) afterwards.
    ///
    /// # Errors
    /// The agent is not in the host's PID namespace, or has no `/proc` of it.
    pub fn open(options: &Options) -> Result<(Self, Vec<Warning>), ScopeError> {
        let procfs = Procfs::open(&options.procfs)
            .map_err(|source| ScopeError::NoProcfs(options.procfs.clone(), source))?;
        match procfs
            .own_process()
            .and_then(|own| own.pid_namespace_inode())
        {
            Ok(HOST) => {}
            Ok(inode) => return Err(ScopeError::NotOnHost(inode)),
            Err(_) => return Err(ScopeError::NotOurProcfs(options.procfs.clone())),
        }
        let mut warnings = Vec::new();
        let table = options
            .table
            .then(Table::load)
            .transpose()
            .unwrap_or_else(|warning| {
                warnings.push(warning);
                None
            });
        let filter = options.bpffs.as_deref().map(Filter::create).transpose();
        let filter = filter.unwrap_or_else(|reason| {
            warnings.push(Warning::NoFilter { reason });
            None
        });
        // Only now: a process that begins during the scan is in the table already.
        if let Some(table) = &table {
            warnings.extend(fill::fill(table, &procfs));
        }
        let scope = Self {
            procfs,
            table,
            filter,
            targets: RwLock::default(),
            canary: OnceLock::new(),
            denied: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        Ok((scope, warnings))
    }

    /// Begins to trace a target; also while events come in, because containers restart.
    ///
    /// # Errors
    /// It is not there, cannot be read, or cannot be told apart; see [`TargetError`].
    pub fn add(&self, target: Target) -> Result<Added, TargetError> {
        let key = target.key.clone();
        let found = find::find(&self.procfs, &key)?;
        let (inode, level) = (found.namespace.inode(), found.lineage.level());
        let on_host = found.on_host;
        if level as usize > DEPTH {
            return Err(TargetError::TooDeep { key, level });
        }
        let narrowed = self.narrowed(&key, &found);
        let borrowed = found.borrowed && narrowed.is_none();
        let (tree, cgroup) = narrowed.unzip();
        let unnumbered = cgroup
            .as_ref()
            .is_some_and(|cgroup| cgroup.number.is_none());
        let held = Held::now(target, found, cgroup).map_err(|errno| TargetError::Unreadable {
            key: key.clone(),
            source: errno.into(),
        })?;
        let mut targets = self.write();
        if let Some(tree) = tree {
            targets.replace_tree(tree);
        }
        let mut with: Vec<String> = targets
            .sharing(inode)
            .filter(|other| other.is_whole() && held.is_whole())
            .map(|other| other.target.to_string())
            .collect();
        if borrowed {
            with.push("its pod or another container, whose process is number 1 in it".to_owned());
        }
        if let Some(filter) = &self.filter {
            filter.insert(inode).map_err(|reason| TargetError::Filter {
                key: key.clone(),
                reason,
            })?;
        }
        let id = targets.insert(held);
        drop(targets);
        let mut warnings = Vec::new();
        if unnumbered {
            warnings.push(Warning::NoCgroupNumber { key: key.clone() });
        }
        if !with.is_empty() {
            warnings.push(Warning::Shared {
                key: key.clone(),
                inode,
                with: with.join(", "),
            });
        }
        if on_host > 0 {
            warnings.push(Warning::PartlyOnHost {
                key,
                processes: on_host,
            });
        }
        Ok(Added {
            id,
            inode,
            warnings,
        })
    }

    /// The cgroup that narrows the namespace down to the target, where there is need of one. Where the
    /// kernel table has no number for it, a namespace that is shared only with its pod says more than
    /// `/proc` alone.
    fn narrowed(&self, key: &TargetKey, found: &Found) -> Option<(Tree, Cgroup)> {
        let by_cgroup = matches!(key, TargetKey::Cgroup(_));
        let container = found.container.clone()?;
        if !by_cgroup && !found.borrowed {
            return None;
        }
        let (tree, number) = Tree::with(self.procfs.root(), &container);
        (by_cgroup || number.is_some()).then_some((tree, Cgroup { container, number }))
    }

    /// Lets the events of the agent's canary pass the tools' filters. `pid` is the first process of
    /// a PID namespace of its own; there is one canary.
    ///
    /// # Errors
    /// As for any target.
    pub fn add_canary(&self, pid: u32) -> Result<(), TargetError> {
        let added = self.add(TargetKey::Pid(pid).into())?;
        // A second one would be a target like any other, and published: take it out again.
        if self.canary.set(added.id).is_err() {
            self.remove(added.id);
        }
        Ok(())
    }

    /// Ends the tracing of a target and lets its namespace go. `None` if there is none of that number.
    pub fn remove(&self, id: usize) -> Option<Target> {
        let mut targets = self.write();
        let held = targets.remove(id)?;
        if let Some(filter) = &self.filter
            && targets.sharing(held.inode()).next().is_none()
        {
            filter.remove(held.inode());
        }
        Some(held.target)
    }

    /// The target that [`Scope::add`] gave this number, unless it was removed.
    pub fn target(&self, id: usize) -> Option<Target> {
        self.read().get(id).map(|held| held.target.clone())
    }

    /// Whose is the process `pid`? The number is the host's, as BCC's tools print it, and may be
    /// of a process that is gone. One system call in the common case or none, and no allocation.
    pub fn verdict(&self, pid: u32) -> Verdict {
        // The idle task of each CPU is 0, and so is biosnoop's "unknown".
        if pid == 0 {
            return Verdict::Unknown;
        }
        let targets = self.read();
        let known = self
            .table
            .as_ref()
            .and_then(|table| Some((table, table.get(pid)?)));
        if let Some((table, entry)) = known {
            match targets.claim(&entry, |cgroup| table.cgroup_above(cgroup)) {
                Claim::By(target) => {
                    return self.owned(target, Some(entry.pid_ns), By::Kernel);
                }
                Claim::Nobody => return Verdict::Out,
                Claim::Undated => {}
            }
        }
        match self.look_up(&targets, pid) {
            Ok(verdict) => verdict,
            Err(Missing::Gone) => Verdict::Unknown,
            Err(Missing::Denied) => {
                self.denied.fetch_add(1, Ordering::Relaxed);
                Verdict::Unknown
            }
            Err(Missing::Odd(error)) => {
                tracing::debug!(pid, "cannot look a process up in /proc: {error}");
                self.failed.fetch_add(1, Ordering::Relaxed);
                Verdict::Unknown
            }
        }
    }

    fn look_up(&self, targets: &Targets, pid: u32) -> Result<Verdict, Missing> {
        let process = self.procfs.process(pid)?;
        if targets.has_cgroups()
            && let Some(target) = targets.owner_by_cgroup(&process.cgroup()?)
        {
            let pid_ns = process.numbers().ok().map(|numbers| numbers.inner);
            return Ok(self.owned(target, pid_ns, By::Procfs));
        }
        let inode = match process.pid_namespace_inode() {
            Ok(HOST) => return Ok(Verdict::Out),
            Ok(inode) => inode,
            // Some processes hide their namespaces even from root, but not their depth.
            Err(Missing::Denied) if process.numbers()?.level == 0 => return Ok(Verdict::Out),
            Err(missing) => return Err(missing),
        };
        let owner = match targets.sharing(inode).find(|held| held.is_whole()) {
            Some(held) => Some(held.id),
            None => targets.owner(&process.pid_namespace()?.lineage()?),
        };
        Ok(owner.map_or(Verdict::Out, |target| {
            let pid_ns = process.numbers().ok().map(|numbers| numbers.inner);
            self.owned(target, pid_ns, By::Procfs)
        }))
    }

    fn owned(&self, target: usize, pid_ns: Option<u32>, by: By) -> Verdict {
        if self.canary.get() == Some(&target) {
            Verdict::Canary
        } else {
            Verdict::In { target, pid_ns, by }
        }
    }

    /// The map by which the tools filter in the kernel, pinned: BPF hash, key the 64-bit inode of
    /// a target's PID namespace, value 32 bits. Descendants have no entry of their own.
    pub fn filter_map(&self) -> Option<&Path> {
        self.filter.as_ref().map(Filter::path)
    }

    /// Whether the kernel table is in use.
    pub fn has_table(&self) -> bool {
        self.table.is_some()
    }

    /// Trouble since the start.
    pub fn counters(&self) -> Counters {
        Counters {
            unrecorded: self.table.as_ref().map_or(0, Table::unrecorded),
            denied: self.denied.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    // A panic elsewhere leaves the list whole: each change is one push or one removal.
    fn read(&self) -> RwLockReadGuard<'_, Targets> {
        self.targets.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Targets> {
        self.targets.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("procfs", &self.procfs.root())
            .field("table", &self.table.is_some())
            .field("filter", &self.filter_map())
            .field("targets", &*self.read())
            .finish_non_exhaustive()
    }
}
