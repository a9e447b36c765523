//! What there is, without a judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use probeparser::Probe;

use super::bcc::{headers, library, package, python_module, tool};
use super::host::Host;
use super::probes::SYMBOLS;
use super::version::Version;
use crate::local::{find_agent, find_server};

/// Inode of the initial PID namespace, a constant of the kernel (`PROC_PID_INIT_INO`).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// A capability's bit in `/proc/self/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capability {
    SysPtrace = 19,
    SysAdmin = 21,
    Perfmon = 38,
    Bpf = 39,
}

/// Where a filesystem that the tools read stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filesystem {
    /// Mounted here.
    Mounted(String),
    /// Known to the kernel, so that the agent can mount it for itself.
    Known,
    /// Unknown to the kernel.
    Unknown,
}

/// A tool's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// A Python program.
    Python(PathBuf),
    /// A file of that name that is no Python program.
    Other(PathBuf),
    /// None.
    Missing,
}

/// What there is.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) release: String,
    pub(crate) kernel: Option<Version>,
    pub(crate) capabilities: u64,
    pub(crate) lockdown: Option<String>,
    pub(crate) initial_pid_namespace: bool,
    /// The functions, of those that the probes ask about, that this kernel has; none if the kernel
    /// doesn't tell.
    pub(crate) symbols: Option<BTreeSet<String>>,
    pub(crate) kprobe_pmu: bool,
    pub(crate) perf_event_paranoid: Option<String>,
    pub(crate) btf: bool,
    pub(crate) tracefs: Filesystem,
    pub(crate) debugfs: Filesystem,
    pub(crate) bpffs: Filesystem,
    pub(crate) locked_memory: Option<String>,
    /// Where the kernel's headers are.
    pub(crate) headers: Option<String>,
    /// Python's bcc module.
    pub(crate) bcc: Option<String>,
    pub(crate) bcc_version: Option<Version>,
    pub(crate) bcc_package: Option<String>,
    pub(crate) libbcc: Option<String>,
    pub(crate) libpython: Vec<String>,
    pub(crate) tools: BTreeMap<Probe, Tool>,
    pub(crate) nats_server: Option<String>,
    pub(crate) agent: Option<PathBuf>,
    /// `ID` and `ID_LIKE` of the distribution.
    pub(crate) distribution: String,
}

impl Facts {
    /// Reads them.
    pub(crate) fn gather(host: &Host, tools_dirs: &[PathBuf]) -> Self {
        let release = host.text("/proc/sys/kernel/osrelease").unwrap_or_default();
        let bcc = python_module(host);
        let bcc_version = bcc.as_ref().and_then(|folder| {
            let text = host.text(format!("{folder}/version.py"))?;
            Version::read(text.split_once('\'')?.1)
        });
        Self {
            kernel: Version::read(&release),
            capabilities: capabilities(host),
            lockdown: lockdown(host),
            initial_pid_namespace: host.link("/proc/self/ns/pid").as_deref()
                == Some(INITIAL_PID_NAMESPACE),
            symbols: symbols(host),
            kprobe_pmu: host.has("/sys/bus/event_source/devices/kprobe/type"),
            perf_event_paranoid: host.text("/proc/sys/kernel/perf_event_paranoid"),
            btf: host.has("/sys/kernel/btf/vmlinux"),
            tracefs: filesystem(host, "tracefs"),
            debugfs: filesystem(host, "debugfs"),
            bpffs: filesystem(host, "bpf"),
            locked_memory: locked_memory(host),
            headers: headers(host, &release),
            bcc_version,
            bcc_package: package(host, "bpfcc-tools"),
            bcc,
            libbcc: library(host, "libbcc.so.0").pop(),
            libpython: library(host, "libpython3."),
            tools: Probe::SEVEN
                .map(|probe| (probe, tool(host, probe, tools_dirs)))
                .into(),
            nats_server: host.is_this().then(nats_server).flatten(),
            agent: host.is_this().then(|| find_agent().ok()).flatten(),
            distribution: distribution(host),
            release,
        }
    }

    /// Whether this process has a capability.
    pub(crate) fn may(&self, capability: Capability) -> bool {
        self.capabilities & 1 << capability as u64 != 0
    }

    /// Whether the kernel has a function; true where it doesn't tell.
    pub(crate) fn has_symbol(&self, name: &str) -> bool {
        self.symbols
            .as_ref()
            .is_none_or(|symbols| symbols.contains(name))
    }

    /// Whether kprobes were compiled into the kernel.
    pub(crate) fn has_kprobes(&self) -> bool {
        self.kprobe_pmu
            || self
                .symbols
                .as_ref()
                .is_some_and(|all| all.contains("register_kprobe"))
    }
}

/// The effective capabilities.
fn capabilities(host: &Host) -> u64 {
    let status = host.text("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .unwrap_or(0)
}

/// The word in brackets: `[none] integrity confidentiality`.
fn lockdown(host: &Host) -> Option<String> {
    let modes = host.text("/sys/kernel/security/lockdown")?;
    Some(modes.split_once('[')?.1.split_once(']')?.0.to_owned())
}

/// Those of the functions that matter here which the kernel lists. Addresses may be hidden; names
/// are not.
fn symbols(host: &Host) -> Option<BTreeSet<String>> {
    let wanted: BTreeSet<&str> = SYMBOLS.into_iter().collect();
    let list = host
        .text("/proc/kallsyms")
        .filter(|list| !list.is_empty())?;
    let names = list
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2));
    Some(
        names
            .filter(|name| wanted.contains(name))
            .map(str::to_owned)
            .collect(),
    )
}

fn filesystem(host: &Host, kind: &str) -> Filesystem {
    // Fields of mountinfo: 4 is the mount point; the type is the first one after ` - `.
    let mounts = host.text("/proc/self/mountinfo").unwrap_or_default();
    let mounted = mounts.lines().find_map(|line| {
        let (fields, rest) = line.split_once(" - ")?;
        (rest.split(' ').next() == Some(kind)).then(|| fields.split(' ').nth(4))?
    });
    if let Some(place) = mounted {
        return Filesystem::Mounted(place.to_owned());
    }
    let known = host.text("/proc/filesystems").unwrap_or_default();
    if known
        .lines()
        .any(|line| line.split_whitespace().last() == Some(kind))
    {
        Filesystem::Known
    } else {
        Filesystem::Unknown
    }
}

fn locked_memory(host: &Host) -> Option<String> {
    let limits = host.text("/proc/self/limits")?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"))?;
    Some(line.split_whitespace().next()?.to_owned())
}

fn nats_server() -> Option<String> {
    let path = find_server().ok()?;
    let version = Command::new(&path).arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&version.stdout);
    Some(format!("{} ({})", path.display(), version.trim()))
}

fn distribution(host: &Host) -> String {
    let release = host.text("/etc/os-release").unwrap_or_default();
    let values = ["ID=", "ID_LIKE="].map(|key| {
        let value = release.lines().find_map(|line| line.strip_prefix(key));
        value.unwrap_or_default().trim_matches('"').to_owned()
    });
    values.join(" ")
}
