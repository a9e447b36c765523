//! Cgroups: the other fence around a container, for where a PID namespace is none of its own.
//!
//! A container that uses the host's PID namespace, or its pod's, is told from the rest by its cgroup
//! and those below it. The kernel table has the number of a process' cgroup, the tree tells what is
//! above it; where either is silent (cgroup v1, processes older than the table) the text of
//! `/proc/PID/cgroup` decides. Numbers are never given twice.

use std::collections::HashMap;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::container::{id_of_component, ids_in_line};
use super::entry::Membership;

/// Cgroups that are read; a node has some hundreds. Of more, `/proc` must tell.
const MOST: usize = 1 << 18;
/// Steps from a process' cgroup to the root that are followed.
const DEEPEST: usize = 128;

/// A container's cgroup.
#[derive(Debug)]
pub(crate) struct Cgroup {
    /// The container's ID, in full.
    pub(crate) container: String,
    /// Its number, where it has one of version 2.
    pub(crate) number: Option<u64>,
}

/// What is above each cgroup of version 2, when it was read.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    root: u64,
    above: HashMap<u64, u64>,
}

impl Cgroup {
    /// Is a process of the cgroup `number` (0 if that is not known) in this one or below?
    /// `newer` tells what is above cgroups that are younger than the tree.
    pub(crate) fn membership(
        &self,
        number: u64,
        tree: &Tree,
        newer: impl Fn(u64) -> Option<u64>,
    ) -> Membership {
        match self.number {
            Some(own) if number != 0 => tree.membership(number, own, newer),
            _ => Membership::Undated,
        }
    }

    /// The same by the text of its `/proc/PID/cgroup`. Containers inside this one are its own; one
    /// around it could have made up the name.
    pub(crate) fn holds(&self, text: &str) -> bool {
        let mut outermost = text.lines().filter_map(|line| ids_in_line(line).next());
        let Some(first) = outermost.next() else {
            return false;
        };
        first == self.container && outermost.all(|id| id == self.container)
    }
}

impl Tree {
    /// Reads the tree, and finds the cgroup of a container, where the host's first process has it
    /// mounted or, if that can't be looked at, where we have: we may be in a container with a view of our own.
    pub(crate) fn with(procfs: &Path, container: &str) -> (Self, Option<u64>) {
        let places = ["1", "self"].into_iter();
        places
            .filter_map(|process| Self::read(&mount(&procfs.join(process))?, container).ok())
            .find(|(_, found)| found.is_some())
            .unwrap_or_default()
    }

    /// Finds the one that is in no other container.
    fn read(mount: &Path, container: &str) -> io::Result<(Self, Option<u64>)> {
        let root = mount.metadata()?.ino();
        let mut tree = Self {
            root,
            above: HashMap::new(),
        };
        let mut found = None;
        let mut folders = vec![(mount.to_owned(), root, false)];
        while let Some((folder, number, in_container)) = folders.pop() {
            // One that is gone again is nobody's.
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Some((path, below)) = subfolder(&entry) else {
                    continue;
                };
                if tree.above.len() == MOST {
                    return Ok((tree, found));
                }
                tree.above.insert(below, number);
                let name = entry.file_name();
                let id = name.to_str().and_then(id_of_component);
                if id == Some(container) && !in_container {
                    found = Some(below);
                }
                folders.push((path, below, in_container || id.is_some()));
            }
        }
        Ok((tree, found))
    }

    fn membership(
        &self,
        number: u64,
        wanted: u64,
        newer: impl Fn(u64) -> Option<u64>,
    ) -> Membership {
        let mut at = number;
        for _ in 0..DEEPEST {
            if at == wanted {
                return Membership::Member;
            }
            if at == self.root {
                return Membership::Stranger;
            }
            match self.above.get(&at).copied().or_else(|| newer(at)) {
                Some(above) => at = above,
                None => break,
            }
        }
        Membership::Undated
    }
}

/// Path and number of an entry that is a cgroup.
fn subfolder(entry: &DirEntry) -> Option<(PathBuf, u64)> {
    let folder = entry.file_type().ok()?.is_dir();
    let number = entry.metadata().ok()?.ino();
    folder.then(|| (entry.path(), number))
}

/// Where a process has cgroup v2, as a path from here.
fn mount(process: &Path) -> Option<PathBuf> {
    let mounts = fs::read_to_string(process.join("mountinfo")).ok()?;
    let point = mounts.lines().find_map(mount_point)?;
    Some(process.join("root").join(point.trim_start_matches('/')))
}

/// `41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw`
fn mount_point(line: &str) -> Option<&str> {
    let (mount, kind) = line.split_once(" - ")?;
    kind.starts_with("cgroup2 ").then_some(())?;
    mount.split(' ').nth(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn cgroup(number: Option<u64>) -> Cgroup {
        Cgroup {
            container: A.to_owned(),
            number,
        }
    }

    #[test]
    fn what_is_below_is_within_and_what_is_unknown_is_asked_for_elsewhere() {
        let tree = Tree {
            root: 1,
            above: [(10, 1), (20, 10), (30, 1)].into(),
        };
        let newer = |number| (number == 21).then_some(20);
        let is = |number| cgroup(Some(10)).membership(number, &tree, newer);
        assert_eq!(is(10), Membership::Member);
        assert_eq!(is(20), Membership::Member);
        assert_eq!(is(21), Membership::Member);
        assert_eq!(is(30), Membership::Stranger);
        assert_eq!(is(1), Membership::Stranger);
        assert_eq!(is(0), Membership::Undated);
        assert_eq!(is(99), Membership::Undated);
        let circle = |number| Some(number + 1);
        assert_eq!(
            cgroup(Some(10)).membership(1000, &tree, circle),
            Membership::Undated
        );
        assert_eq!(
            cgroup(None).membership(10, &tree, newer),
            Membership::Undated
        );
    }

    #[test]
    fn the_outermost_container_of_the_text_counts() {
        let holds = |text: &str| cgroup(None).holds(&text.replace('A', A).replace('B', B));
        assert!(holds("0::/kubepods/pod1/A\n"));
        assert!(holds("0::/kubepods/pod1/A/init.scope\n"));
        assert!(holds("0::/kubepods/pod1/A/docker/B\n"));
        assert!(holds("9:pids:/docker/A\n0::/system.slice/x.service\n"));
        assert!(!holds("0::/kubepods/pod1/B/docker/A\n"));
        assert!(!holds("9:pids:/docker/B\n1:name=systemd:/docker/A\n"));
        assert!(!holds("0::/kubepods/pod1/B\n"));
        assert!(!holds("0::/init.scope\n"));
        assert!(!holds(""));
    }

    #[test]
    fn a_tree_is_read_with_the_container_that_is_in_no_other() {
        let root = tempfile::tempdir().unwrap();
        let inner = root
            .path()
            .join(format!("pods/{B}/cri-containerd-{A}.scope"));
        let genuine = root.path().join(format!("pods/cri-containerd-{A}.scope"));
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir_all(genuine.join("below")).unwrap();
        fs::write(genuine.join("cgroup.procs"), "").unwrap();
        let (tree, found) = Tree::read(root.path(), A).unwrap();
        let number = |path: &Path| path.metadata().unwrap().ino();
        assert_eq!(found, Some(number(&genuine)));
        assert_eq!(tree.above.len(), 5);
        let is = |path: &Path| cgroup(found).membership(number(path), &tree, |_| None);
        assert_eq!(is(&genuine.join("below")), Membership::Member);
        assert_eq!(is(&inner), Membership::Stranger);
    }

    #[test]
    fn version_2_is_found_among_the_mounts() {
        let unified = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
        assert_eq!(mount_point(unified), Some("/sys/fs/cgroup/unified"));
        let first = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd";
        assert_eq!(mount_point(first), None);
        assert_eq!(mount_point(""), None);
    }
}
