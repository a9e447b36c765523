//! The targets being traced, each with its namespace held open. No I/O but the clock's.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

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
    /// `CLOCK_MONOTONIC` nanoseconds, read once the namespace was open.
    since: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    /// Deepest level first, so that of nested targets the innermost is met first.
    held: Vec<Held>,
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
    pub(crate) fn now(target: Target, found: Found) -> nix::Result<Self> {
        let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?).as_nanos();
        Ok(Self {
            id: 0,
            target,
            namespace: found.namespace,
            level: found.lineage.level(),
            since: u64::try_from(now).unwrap_or(u64::MAX),
        })
    }

    pub(crate) fn inode(&self) -> u32 {
        self.namespace.inode()
    }
}

impl Targets {
    /// Takes a target in and numbers it.
    pub(crate) fn insert(&mut self, held: Held) -> usize {
        let id = self.next_id;
        self.next_id += 1;
        let at = self.held.partition_point(|other| other.level >= held.level);
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

    /// Whose is the process of this entry?
    pub(crate) fn claim(&self, entry: &Entry) -> Claim {
        let mut claim = Claim::Nobody;
        for held in &self.held {
            match entry.membership(held.level, held.inode(), held.since) {
                Membership::Member => return Claim::By(held.id),
                Membership::Undated => claim = Claim::Undated,
                Membership::Stranger => {}
            }
        }
        claim
    }

    /// Whose is a living process in these namespaces?
    pub(crate) fn owner(&self, lineage: &Lineage) -> Option<usize> {
        let is_above = |held: &&Held| {
            let at = (held.level as usize).checked_sub(1);
            at.and_then(|at| lineage.inodes().get(at)) == Some(&held.inode())
        };
        self.held.iter().find(is_above).map(|held| held.id)
    }
}
