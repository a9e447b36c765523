//! The chain of PID namespaces that a process is in. No I/O.

/// The kernel's `MAX_PID_NS_LEVEL`: namespaces below the host's that one process can be in.
pub(crate) const DEEPEST: usize = 32;

/// Inodes of nested PID namespaces, outermost first; the host's own is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lineage {
    inodes: [u32; DEEPEST],
    len: usize,
}

impl Lineage {
    /// The host's own namespace.
    pub(crate) const HOST: Self = Self {
        inodes: [0; DEEPEST],
        len: 0,
    };

    /// From the inodes met on the way up: a process' own namespace first, the outermost last.
    /// `None` if there are more than the kernel allows.
    pub(crate) fn from_ascent(ascent: &[u32]) -> Option<Self> {
        let mut inodes = [0; DEEPEST];
        for (kept, inode) in inodes
            .get_mut(..ascent.len())?
            .iter_mut()
            .zip(ascent.iter().rev())
        {
            *kept = *inode;
        }
        Some(Self {
            inodes,
            len: ascent.len(),
        })
    }

    /// Depth of the innermost namespace: 0 is the host's.
    pub(crate) fn level(&self) -> u32 {
        u32::try_from(self.len).expect("at most 32")
    }

    /// The inodes at level 1, 2, … .
    pub(crate) fn inodes(&self) -> &[u32] {
        &self.inodes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_comes_first() {
        let lineage = Lineage::from_ascent(&[30, 20, 10]).unwrap();
        assert_eq!((lineage.level(), lineage.inodes()), (3, &[10, 20, 30][..]));
        assert_eq!(Lineage::from_ascent(&[]), Some(Lineage::HOST));
    }

    #[test]
    fn no_deeper_than_the_kernel_goes() {
        assert!(Lineage::from_ascent(&[1; DEEPEST]).is_some());
        assert!(Lineage::from_ascent(&[1; DEEPEST + 1]).is_none());
    }
}
