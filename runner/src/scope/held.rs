//! The targets being traced, each with its namespace held open. No I/O but the clock's.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::cgroup::{Cgroup, Tree};
use super::entry::{Entry, Membership};
use super::find::Found;
use super::lineage::Lineage;
use super::namespace::PidNamespace;
use super::target::Target;

/// One target.
#[derive(Debug)]
pub(crate) struct Held {
    /// Given by [`Targets::insert`].
    pub(crate) id: usize,
    pub(crate) target: Target,
    namespace: PidNamespace,
    level: u32,
    /// What narrows the namespace down to the target.
    cgroup: Option<Cgroup>,
    /// `CLOCK_MONOTONIC` nanoseconds, read once the namespace was open.
    since: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    /// Those of a cgroup first, then the deepest level first, so that of nested targets the innermost
    /// is met first.
    held: Vec<Held>,
    tree: Tree,
    next_id: usize,
}

/// What the kernel table's entry means for the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is this target's.
    By(usize),
    /// Nobody's.
    Nobody,
    /// The entry cannot tell; see [`Membership::Undated`].
    Undated,
}

impl Held {
    /// A target from this moment on.
    pub(crate) fn now(target: Target, found: Found, cgroup: Option<Cgroup>) -> nix::Result<Self> {
        let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?).as_nanos();
        Ok(Self {
            id: 0,
            target,
            namespace: found.namespace,
            level: found.lineage.level(),
            cgroup,
            since: u64::try_from(now).unwrap_or(u64::MAX),
        })
    }

    pub(crate) fn inode(&self) -> u32 {
        self.namespace.inode()
    }

    /// Whether the whole PID namespace is the target.
    pub(crate) fn is_whole(&self) -> bool {
        self.cgroup.is_none()
    }

    /// Lower comes first.
    fn rank(&self) -> u32 {
        match self.cgroup {
            Some(_) => 0,
            None => u32::MAX - self.level,
        }
    }
}

impl Targets {
    /// Takes a target in and numbers it.
    pub(crate) fn insert(&mut self, held: Held) -> usize {
        let id = self.next_id;
        self.next_id += 1;
        let at = self
            .held
            .partition_point(|other| other.rank() <= held.rank());
        self.held.insert(at, Held { id, ..held });
        id
    }

    /// Takes a target out; the namespace is let go when the caller drops it.
    pub(crate) fn remove(&mut self, id: usize) -> Option<Held> {
        let at = self.held.iter().position(|held| held.id == id)?;
        Some(self.held.remove(at))
    }

    pub(crate) fn get(&self, id: usize) -> Option<&Held> {
        self.held.iter().find(|held| held.id == id)
    }

    /// Targets in the namespace `inode`.
    pub(crate) fn sharing(&self, inode: u32) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(move |held| held.inode() == inode)
    }

    /// Takes a younger tree of cgroups.
    pub(crate) fn replace_tree(&mut self, tree: Tree) {
        self.tree = tree;
    }

    /// Whose is the process of this entry? `newer` tells what is above cgroups that are younger than
    /// the tree.
    pub(crate) fn claim(&self, entry: &Entry, newer: impl Fn(u64) -> Option<u64>) -> Claim {
        let mut claim = Claim::Nobody;
        for held in &self.held {
            let membership = match &held.cgroup {
                None => entry.membership(held.level, held.inode(), held.since),
                Some(cgroup) => match cgroup.membership(entry.cgroup, &self.tree, &newer) {
                    // It comes before the namespaces around it, so they must wait for its answer.
                    Membership::Undated => return Claim::Undated,
                    sure => sure,
                },
            };
            match membership {
                Membership::Member => return Claim::By(held.id),
                Membership::Undated => claim = Claim::Undated,
                Membership::Stranger => {}
            }
        }
        claim
    }

    /// Whether a cgroup is asked for.
    pub(crate) fn has_cgroups(&self) -> bool {
        self.held.first().is_some_and(|held| !held.is_whole())
    }

    /// Whose is a living process with this text of its `cgroup` file?
    pub(crate) fn owner_by_cgroup(&self, text: &str) -> Option<usize> {
        let holds = |held: &&Held| {
            let cgroup = held.cgroup.as_ref();
            cgroup.is_some_and(|cgroup| cgroup.holds(text))
        };
        self.held.iter().find(holds).map(|held| held.id)
    }

    /// Whose is a living process in these namespaces?
    pub(crate) fn owner(&self, lineage: &Lineage) -> Option<usize> {
        let is_above = |held: &&Held| {
            let at = (held.level as usize).checked_sub(1);
            held.is_whole() && at.and_then(|at| lineage.inodes().get(at)) == Some(&held.inode())
        };
        self.held.iter().find(is_above).map(|held| held.id)
    }
}
