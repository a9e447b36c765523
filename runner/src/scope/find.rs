//! From a [`TargetKey`] to the PID namespace it means.

use std::collections::BTreeSet;

use super::container::ids_in_line;
use super::error::TargetError;
use super::lineage::Lineage;
use super::namespace::{HOST, PidNamespace};
use super::procfs::{Missing, Process, Procfs};
use super::target::TargetKey;

/// A target's namespace, held open, and its container.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) namespace: PidNamespace,
    pub(crate) lineage: Lineage,
    /// The namespace's first process belongs to somebody else than the container asked for.
    pub(crate) borrowed: bool,
    /// Processes of the container that live in the host's namespace, and so can't be traced. A
    /// runtime's helper that has just entered the cgroup is younger than the container and no part of it.
    pub(crate) on_host: usize,
    /// The container's ID, in full, if it was found by one.
    pub(crate) container: Option<String>,
}

/// Finds the namespace; refuses the host's own, unless a cgroup narrows it down.
pub(crate) fn find(procfs: &Procfs, key: &TargetKey) -> Result<Found, TargetError> {
    let found = match key {
        TargetKey::Cgroup(prefix) => return by_cgroup(procfs, key, prefix),
        TargetKey::Pid(pid) => by_pid(procfs, key, *pid),
        TargetKey::Container(prefix) => by_container(procfs, key, prefix),
        TargetKey::PidNamespace(HOST) => return Err(TargetError::HostNamespace(key.clone())),
        TargetKey::PidNamespace(inode) => by_inode(procfs, key, *inode),
    }?;
    if found.namespace.inode() == HOST {
        return Err(TargetError::HostNamespace(key.clone()));
    }
    Ok(found)
}

fn by_pid(procfs: &Procfs, key: &TargetKey, pid: u32) -> Result<Found, TargetError> {
    match procfs.process(pid) {
        Err(Missing::Gone) => Err(TargetError::NoProcess(key.clone())),
        Err(missing) => Err(TargetError::from_missing(key, pid, missing)),
        Ok(process) => {
            open(&process).map_err(|missing| TargetError::from_missing(key, pid, missing))
        }
    }
}

fn by_inode(procfs: &Procfs, key: &TargetKey, inode: u32) -> Result<Found, TargetError> {
    let mut hidden = None;
    for process in processes(procfs, key)? {
        let pid = process.pid;
        match within(&process, inode) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) | Err(Missing::Gone) => {}
            Err(Missing::Denied) => hidden = hidden.or(Some(pid)),
            Err(odd) => return Err(TargetError::from_missing(key, pid, odd)),
        }
    }
    Err(match hidden {
        Some(pid) => TargetError::Denied {
            key: key.clone(),
            pid,
        },
        None => TargetError::NoNamespace(key.clone()),
    })
}

/// The namespace of `process`, if its inode is the wanted one.
fn within(process: &Process, inode: u32) -> Result<Option<Found>, Missing> {
    match process.pid_namespace_inode() {
        Ok(seen) if seen == inode => open(process).map(Some),
        // Some processes hide their namespaces even from root; those of the host need no look.
        Err(Missing::Denied) if process.numbers()?.level > 0 => Err(Missing::Denied),
        Ok(_) | Err(Missing::Denied) => Ok(None),
        Err(missing) => Err(missing),
    }
}

/// The container's first process outside the host's namespace decides: the runtime made the
/// namespace for it. Later ones may have been put into namespaces of their own by the container. A
/// process in the host's namespace is the launcher or a helper of the runtime; only when there is no
/// other, the container itself uses the host's.
fn by_container(procfs: &Procfs, key: &TargetKey, prefix: &str) -> Result<Found, TargetError> {
    let Survey { id, first, on_host } = survey(procfs, key, prefix)?;
    let (age, found) = first.ok_or_else(|| TargetError::HostNamespace(key.clone()))?;
    let older = on_host.iter().filter(|started| **started <= age.started);
    Ok(Found {
        borrowed: age.inner_pid != 1,
        on_host: older.count(),
        container: Some(id),
        ..found
    })
}

/// Whatever PID namespaces the container's processes are in, they are below the host's.
fn by_cgroup(procfs: &Procfs, key: &TargetKey, prefix: &str) -> Result<Found, TargetError> {
    let Survey { id, .. } = survey(procfs, key, prefix)?;
    let own = procfs.own_process().and_then(|own| open(&own));
    let found =
        own.map_err(|missing| TargetError::from_missing(key, std::process::id(), missing))?;
    Ok(Found {
        container: Some(id),
        ..found
    })
}

/// A container's processes.
struct Survey {
    /// Its ID, in full.
    id: String,
    /// The oldest outside the host's PID namespace.
    first: Option<(Age, Found)>,
    /// When those in the host's began.
    on_host: Vec<u64>,
}

fn survey(procfs: &Procfs, key: &TargetKey, prefix: &str) -> Result<Survey, TargetError> {
    let mut containers = BTreeSet::new();
    let mut around = None;
    let mut first: Option<(Age, Found)> = None;
    let mut on_host = Vec::new();
    for process in processes(procfs, key)? {
        let outcome = match process.cgroup().map(|cgroup| place(&cgroup, prefix)) {
            Ok(Place::Elsewhere) => continue,
            Ok(Place::Nested { outer }) => {
                around = Some(outer);
                continue;
            }
            Ok(Place::Inside { id }) => {
                containers.insert(id);
                age(&process)
            }
            Err(missing) => Err(missing),
        };
        match outcome {
            Ok((age, found)) if found.namespace.inode() == HOST => on_host.push(age.started),
            Ok(aged) if first.as_ref().is_none_or(|(oldest, _)| aged.0 < *oldest) => {
                first = Some(aged);
            }
            Ok(_) | Err(Missing::Gone) => {}
            Err(missing) => return Err(TargetError::from_missing(key, process.pid, missing)),
        }
    }
    if containers.len() > 1 {
        let candidates = containers.into_iter().collect();
        return Err(TargetError::Ambiguous {
            key: key.clone(),
            candidates,
        });
    }
    match (containers.pop_first(), around) {
        (Some(id), _) if first.is_some() || !on_host.is_empty() => {
            Ok(Survey { id, first, on_host })
        }
        (_, Some(outer)) => Err(TargetError::Nested {
            key: key.clone(),
            outer,
        }),
        (_, None) => Err(TargetError::NoContainer(key.clone())),
    }
}

/// Orders processes by age. The clock ticks 100 times a second, so those of one tick are
/// ordered by depth, then by their number inside.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Age {
    started: u64,
    level: u32,
    inner_pid: u32,
}

fn age(process: &Process) -> Result<(Age, Found), Missing> {
    let found = open(process)?;
    let age = Age {
        started: process.started()?,
        level: found.lineage.level(),
        inner_pid: process.numbers()?.inner,
    };
    Ok((age, found))
}

fn open(process: &Process) -> Result<Found, Missing> {
    let namespace = process.pid_namespace()?;
    let lineage = namespace.lineage()?;
    Ok(Found {
        namespace,
        lineage,
        borrowed: false,
        on_host: 0,
        container: None,
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Elsewhere,
    Inside { id: String },
    Nested { outer: String },
}

/// Where a process is, seen from the container that `prefix` names. Cgroup v1 has several lines,
/// of which some may not show the container; but if any shows another one as well, the process
/// is in a container inside a container, and who runs there can name cgroups at will.
fn place(cgroup: &str, prefix: &str) -> Place {
    let innermost = |line| {
        ids_in_line(line)
            .next_back()
            .filter(|id| id.starts_with(prefix))
    };
    let Some(id) = cgroup.lines().find_map(innermost) else {
        return Place::Elsewhere;
    };
    match cgroup
        .lines()
        .flat_map(ids_in_line)
        .find(|other| *other != id)
    {
        Some(outer) => Place::Nested {
            outer: outer.to_owned(),
        },
        None => Place::Inside { id: id.to_owned() },
    }
}

/// All processes that are still there.
fn processes<'a>(
    procfs: &'a Procfs,
    key: &TargetKey,
) -> Result<impl Iterator<Item = Process> + use<'a>, TargetError> {
    let pids = procfs.pids().map_err(|source| TargetError::Unreadable {
        key: key.clone(),
        source,
    })?;
    Ok(pids.into_iter().filter_map(|pid| procfs.process(pid).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> String {
        std::iter::repeat_n(digit, 64).collect()
    }

    #[test]
    fn hybrid_hierarchies_need_only_one_line_that_shows_the_container() {
        let cgroup = format!(
            "9:pids:/docker/{}\n0::/system.slice/containerd.service\n",
            id('a')
        );
        assert_eq!(
            place(&cgroup, &id('a')[..12]),
            Place::Inside { id: id('a') }
        );
        assert_eq!(place(&cgroup, &id('b')), Place::Elsewhere);
    }

    #[test]
    fn a_name_made_up_inside_a_container_is_nested() {
        let cgroup = format!("0::/kubepods/pod1/{}/docker-{}.scope\n", id('a'), id('b'));
        assert_eq!(place(&cgroup, &id('b')), Place::Nested { outer: id('a') });
        assert_eq!(place(&cgroup, &id('a')), Place::Elsewhere);
        let split = format!(
            "2:cpu:/docker/{}\n1:name=systemd:/docker/{}\n",
            id('a'),
            id('b')
        );
        assert_eq!(place(&split, &id('b')), Place::Nested { outer: id('a') });
    }
}
