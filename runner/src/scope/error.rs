//! What can go wrong, with the reason and the next step; and what merely works less well.

use std::path::PathBuf;

use super::entry::DEPTH;
use super::procfs::Missing;
use super::target::TargetKey;

/// The agent cannot tell processes apart on this machine at all.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// There is no process file system.
    #[error("cannot open {}: mount procfs there or name another folder", .0.display())]
    NoProcfs(PathBuf, #[source] std::io::Error),
    /// The agent is not listed in it.
    #[error("{} does not show this process: it is another PID namespace's; \
             run x-agent in the host's (in Kubernetes: hostPID: true)", .0.display())]
    NotOurProcfs(PathBuf),
    /// The agent runs in a container's PID namespace.
    #[error("x-agent runs in PID namespace {0}, but BCC's tools print the PIDs of the host's own \
             ({host}): run it there (in Kubernetes: hostPID: true)", host = super::namespace::HOST)]
    NotOnHost(u32),
}

/// This target cannot be traced.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// No process has this number.
    #[error(
        "{0}: there is no such process; give its number as the host sees it, \
             not as its container does"
    )]
    NoProcess(TargetKey),
    /// No process is in this container.
    #[error(
        "{0}: no process of this machine is in that container; see `crictl ps` or `docker ps` \
             for the containers that run here"
    )]
    NoContainer(TargetKey),
    /// No process is in this namespace.
    #[error("{0}: no process is in that PID namespace; see `lsns -t pid`")]
    NoNamespace(TargetKey),
    /// The prefix fits several containers.
    #[error("{key}: that could be any of {}: give more digits", candidates.join(", "))]
    Ambiguous {
        /// As given.
        key: TargetKey,
        /// The full IDs it fits.
        candidates: Vec<String>,
    },
    /// The container runs in another one, whose processes can name cgroups as they like.
    #[error(
        "{key}: its cgroup lies inside that of container {outer}, which could have made up \
             the name; if it is the right one, give the PID of its first process (pid:N)"
    )]
    Nested {
        /// As given.
        key: TargetKey,
        /// The container around it.
        outer: String,
    },
    /// The target's PID namespace is the host's own: every process of the machine is in it.
    #[error(
        "{0}: it has no PID namespace of its own but uses the host's (hostPID: true or \
             --pid=host); x-tracer tells processes apart by PID namespace and cannot trace it alone: \
             a container can be told by its cgroup, with x-tracer's --host-pid-ok or cgroup:ID here"
    )]
    HostNamespace(TargetKey),
    /// Nested deeper than the kernel table keeps.
    #[error("{key}: its PID namespace is {level} levels below the host's; {DEPTH} are followed")]
    TooDeep {
        /// As given.
        key: TargetKey,
        /// Levels below the host.
        level: u32,
    },
    /// The kernel does not show the namespace.
    #[error(
        "{key}: may not read the PID namespace of process {pid}: \
             x-agent needs the capability CAP_SYS_PTRACE"
    )]
    Denied {
        /// As given.
        key: TargetKey,
        /// The process that was asked about.
        pid: u32,
    },
    /// It was there a moment ago.
    #[error("{0}: it ended while it was looked at")]
    Gone(TargetKey),
    /// Anything else that reading it met.
    #[error("{key}: cannot read about it in /proc")]
    Unreadable {
        /// As given.
        key: TargetKey,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// The map that the tools filter by did not take it, so they would hide its events.
    #[error("{key}: the tools' in-kernel filter did not take it: {reason}")]
    Filter {
        /// As given.
        key: TargetKey,
        /// What the kernel said; at most 1,024 namespaces fit.
        reason: String,
    },
}

impl TargetError {
    pub(crate) fn from_missing(key: &TargetKey, pid: u32, missing: Missing) -> Self {
        let key = key.clone();
        match missing {
            Missing::Gone => Self::Gone(key),
            Missing::Denied => Self::Denied { key, pid },
            Missing::Odd(source) => Self::Unreadable { key, source },
        }
    }
}

/// The scope works, but less well than it could: each says what is lost, why, and what helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Processes are looked up in `/proc` alone.
    #[error(
        "processes that end within moments cannot be attributed (procfs only), because the \
             kernel table could not be loaded: {reason}; {remedy}"
    )]
    NoTable {
        /// What the kernel or libbpf said.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The tools see all of the machine; the agent still keeps only the target's events.
    #[error("the tools cannot filter in the kernel, so other pods' events cost time: {reason}")]
    NoFilter {
        /// What the kernel said.
        reason: String,
    },
    /// Some containers' processes that were there before the agent could not be looked at.
    #[error(
        "{processes} processes in PID namespaces could not be looked at: \
             x-agent needs the capability CAP_SYS_PTRACE"
    )]
    Hidden {
        /// How many.
        processes: usize,
    },
    /// The PID namespace is not the target's alone.
    #[error(
        "{key}: shares its PID namespace {inode} with {with}: records cannot say which of \
             them an event belongs to"
    )]
    Shared {
        /// The target.
        key: TargetKey,
        /// The namespace.
        inode: u32,
        /// Who else is in it.
        with: String,
    },
    /// The container's cgroup has no number by which the kernel table could know it.
    #[error(
        "{key}: its processes that end within moments cannot be attributed (procfs only): it has no \
             cgroup of version 2 that the agent can see"
    )]
    NoCgroupNumber {
        /// The target.
        key: TargetKey,
    },
    /// The container is not in its PID namespace as a whole.
    #[error(
        "{key}: {processes} of its processes live in the host's PID namespace and are not traced"
    )]
    PartlyOnHost {
        /// The target.
        key: TargetKey,
        /// How many, when it was looked up.
        processes: usize,
    },
}
