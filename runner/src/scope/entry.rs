//! One process as the kernel table knows it: bytes in, a statement about targets out. No I/O.

use super::lineage::Lineage;

/// Levels of nesting that an entry holds, counted from the host (`XTRACER_DEPTH` of `bpf/process.h`).
pub(crate) const DEPTH: usize = 8;

/// The mirror of `struct process` in `bpf/process.h`; `table.rs` asserts that it is one.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `CLOCK_MONOTONIC` nanoseconds at the death of the last thread, 0 while one lives.
    pub(crate) exited_at: u64,
    /// The number of its cgroup (version 2), 0 while it is not known.
    pub(crate) cgroup: u64,
    /// Depth of the process' own namespace: 0 is the host's.
    pub(crate) level: u32,
    /// The PID as seen inside that namespace.
    pub(crate) pid_ns: u32,
    /// Inodes of the namespaces at level 1, 2, … that the process is in.
    pub(crate) chain: [u32; DEPTH],
}

/// What an entry says about one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Membership {
    /// The process is, or was, in the target's namespace or in one below it.
    Member,
    /// It is not.
    Stranger,
    /// The inode is the target's, but the process died before the target's namespace was
    /// held open: it may have lived in an earlier namespace that had the same inode. Or its cgroup is
    /// not known.
    Undated,
}

impl Entry {
    /// Bytes of an entry in the map.
    pub(crate) const SIZE: usize = size_of::<Self>();

    /// An entry for a living process whose namespaces and inner PID were read from `/proc`, which
    /// does not tell cgroups by number.
    pub(crate) fn living(lineage: &Lineage, pid_ns: u32) -> Self {
        let mut chain = [0; DEPTH];
        for (kept, inode) in chain.iter_mut().zip(lineage.inodes()) {
            *kept = *inode;
        }
        Self {
            exited_at: 0,
            cgroup: 0,
            level: lineage.level(),
            pid_ns,
            chain,
        }
    }

    /// Decodes the value of the map; the kernel writes it in the machine's byte order.
    pub(crate) fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let word = |at: usize| {
            u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let long = |at: usize| u64::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]));
        Self {
            exited_at: long(0),
            cgroup: long(8),
            level: word(16),
            pid_ns: word(20),
            chain: std::array::from_fn(|i| word(24 + 4 * i)),
        }
    }

    /// The reverse of [`Entry::from_bytes`].
    pub(crate) fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[0..8].copy_from_slice(&self.exited_at.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.cgroup.to_ne_bytes());
        bytes[16..20].copy_from_slice(&self.level.to_ne_bytes());
        bytes[20..24].copy_from_slice(&self.pid_ns.to_ne_bytes());
        for (at, inode) in bytes[24..].chunks_exact_mut(4).zip(self.chain) {
            at.copy_from_slice(&inode.to_ne_bytes());
        }
        bytes
    }

    /// Is the process in the namespace `inode` at `level` (1 to [`DEPTH`]), which has been held
    /// open since `held_since` (`CLOCK_MONOTONIC` nanoseconds)?
    ///
    /// An inode number names a namespace only while the namespace exists; the kernel gives the
    /// lowest free number to the next one. A process that was alive at `held_since` was in
    /// existing namespaces then, so equal numbers are the same namespace. One that was dead
    /// already proves nothing.
    pub(crate) fn membership(&self, level: u32, inode: u32, held_since: u64) -> Membership {
        let ancestor = (level as usize)
            .checked_sub(1)
            .and_then(|at| self.chain.get(at));
        if self.level < level || ancestor != Some(&inode) {
            Membership::Stranger
        } else if self.exited_at == 0 || self.exited_at >= held_since {
            Membership::Member
        } else {
            Membership::Undated
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTAINER: u32 = 4_026_532_100;
    const NESTED: u32 = 4_026_532_200;

    fn nested_process(exited_at: u64) -> Entry {
        let mut chain = [0; DEPTH];
        chain[0] = CONTAINER;
        chain[1] = NESTED;
        Entry {
            exited_at,
            cgroup: 9,
            level: 2,
            pid_ns: 7,
            chain,
        }
    }

    #[test]
    fn bytes_and_back() {
        let mut entry = nested_process(0x0102_0304_0506_0708);
        entry.chain[DEPTH - 1] = u32::MAX;
        assert_eq!(Entry::from_bytes(&entry.to_bytes()), entry);
        assert_eq!(&entry.to_bytes()[20..24], &7u32.to_ne_bytes());
    }

    #[test]
    fn a_process_belongs_to_its_own_namespace_and_to_those_above() {
        let entry = nested_process(0);
        assert_eq!(entry.membership(1, CONTAINER, 50), Membership::Member);
        assert_eq!(entry.membership(2, NESTED, 50), Membership::Member);
    }

    #[test]
    fn the_level_counts_as_much_as_the_inode() {
        let entry = nested_process(0);
        assert_eq!(entry.membership(2, CONTAINER, 50), Membership::Stranger);
        assert_eq!(entry.membership(1, NESTED, 50), Membership::Stranger);
        assert_eq!(entry.membership(3, NESTED, 50), Membership::Stranger);
    }

    #[test]
    fn empty_places_of_the_chain_match_nothing() {
        let host = Entry {
            exited_at: 0,
            cgroup: 0,
            level: 0,
            pid_ns: 1,
            chain: [0; DEPTH],
        };
        assert_eq!(host.membership(1, 0, 0), Membership::Stranger);
        assert_eq!(host.membership(0, 0, 0), Membership::Stranger);
        let deep = u32::try_from(DEPTH).unwrap() + 1;
        assert_eq!(host.membership(deep, 0, 0), Membership::Stranger);
    }

    #[test]
    fn a_death_before_the_target_was_held_leaves_the_inode_unproven() {
        assert_eq!(
            nested_process(49).membership(1, CONTAINER, 50),
            Membership::Undated
        );
        assert_eq!(
            nested_process(50).membership(1, CONTAINER, 50),
            Membership::Member
        );
        assert_eq!(
            nested_process(49).membership(1, NESTED, 50),
            Membership::Stranger
        );
    }
}
