//! The kernel, and what it lets us do.

use super::{Check, State, check, lack};
use crate::doctor::facts::{Capability, Facts, Filesystem};
use crate::doctor::remedy;
use crate::doctor::version::Version;

pub(super) fn rights(facts: &Facts) -> Check {
    let needed = [
        (Capability::SysAdmin, "CAP_SYS_ADMIN"),
        (Capability::SysPtrace, "CAP_SYS_PTRACE"),
    ];
    let missing: Vec<_> = needed
        .into_iter()
        .filter(|(bit, _)| !facts.may(*bit))
        .map(|(_, name)| name)
        .collect();
    if missing.is_empty() {
        let modern = facts.may(Capability::Bpf) && facts.may(Capability::Perfmon);
        let names = if modern {
            "CAP_SYS_ADMIN, CAP_BPF, CAP_PERFMON"
        } else {
            "CAP_SYS_ADMIN"
        };
        return check("rights", State::Ok, format!("{names}, CAP_SYS_PTRACE"));
    }
    let found = format!("without {}", missing.join(", "));
    lack(
        "rights",
        State::Missing,
        found,
        "run it as root: sudo x-tracer doctor",
    )
}

pub(super) fn pid_namespace(facts: &Facts) -> Check {
    if facts.initial_pid_namespace {
        return check("PID namespace", State::Ok, "the initial one");
    }
    lack(
        "PID namespace",
        State::Missing,
        "not the initial one: the PIDs that the tools print mean nothing here",
        "run it on the host, or in a container with --pid=host (hostPID: true)",
    )
}

pub(super) fn kernel(facts: &Facts) -> Check {
    match facts.kernel {
        None => check(
            "kernel",
            State::Warn,
            format!("{}: no version that can be read", facts.release),
        ),
        Some(version) if version < Version(5, 8, 0) => lack(
            "kernel",
            State::Warn,
            format!(
                "{}: before 5.8 processes are found in /proc alone",
                facts.release
            ),
            remedy::kernel(facts),
        ),
        Some(_) => check("kernel", State::Ok, facts.release.clone()),
    }
}

pub(super) fn lockdown(facts: &Facts) -> Check {
    match facts.lockdown.as_deref() {
        Some("confidentiality") => lack(
            "lockdown",
            State::Missing,
            "confidentiality: the kernel lets nobody trace it",
            "boot with lockdown=integrity or without Secure Boot",
        ),
        Some(mode) => check("lockdown", State::Ok, mode.to_owned()),
        None => check("lockdown", State::Ok, "none"),
    }
}

pub(super) fn kprobes(facts: &Facts) -> Check {
    if !facts.has_kprobes() {
        return lack(
            "kprobes",
            State::Missing,
            "not compiled into this kernel (no perf PMU `kprobe`, no register_kprobe): six of the seven tools can't attach",
            remedy::kernel(facts),
        );
    }
    let way = if facts.kprobe_pmu {
        "by the perf PMU `kprobe`"
    } else {
        "by kprobe_events in tracefs"
    };
    check("kprobes", State::Ok, way)
}

pub(super) fn perf_events(facts: &Facts) -> Check {
    match facts.perf_event_paranoid.as_deref() {
        Some(level) => check(
            "perf events",
            State::Ok,
            format!("perf_event_paranoid {level}, which does not bind root"),
        ),
        None => lack(
            "perf events",
            State::Missing,
            "not compiled into this kernel",
            remedy::kernel(facts),
        ),
    }
}

pub(super) fn btf(facts: &Facts) -> Check {
    if facts.btf {
        return check("BTF", State::Ok, "/sys/kernel/btf/vmlinux");
    }
    lack(
        "BTF",
        State::Warn,
        "none: processes are found in /proc alone, and short-lived ones may be missed",
        remedy::kernel(facts),
    )
}

pub(super) fn raw_tracepoints(facts: &Facts) -> Check {
    if facts.has_symbol("bpf_get_raw_tracepoint") {
        return check("raw tracepoints", State::Ok, "bpf_get_raw_tracepoint");
    }
    lack(
        "raw tracepoints",
        State::Warn,
        "none: processes are found in /proc alone, and short-lived ones may be missed",
        remedy::kernel(facts),
    )
}

/// A kernel may count them although its version says no; then the ledger has them all the same.
pub(super) fn skipped_runs(facts: &Facts) -> Check {
    let counts = facts
        .kernel
        .is_some_and(|kernel| kernel >= Version(6, 7, 0));
    if counts {
        return check("skipped runs", State::Ok, "counted by the kernel");
    }
    check(
        "skipped runs",
        State::Warn,
        "not counted here: before 6.7 the kernel does not tell how often it skips a tool's program because another one runs",
    )
}

pub(super) fn mounted(name: &str, filesystem: &Filesystem, facts: &Facts) -> Check {
    match filesystem {
        Filesystem::Mounted(place) => check(name, State::Ok, format!("mounted on {place}")),
        Filesystem::Known => check(
            name,
            State::Ok,
            "not mounted; the agent mounts it in a mount namespace of its own",
        ),
        Filesystem::Unknown => lack(
            name,
            State::Warn,
            "not compiled into this kernel",
            remedy::kernel(facts),
        ),
    }
}

/// Before 5.11 BPF maps counted as locked memory.
pub(super) fn locked_memory(facts: &Facts) -> Option<Check> {
    let old = facts
        .kernel
        .is_some_and(|kernel| kernel < Version(5, 11, 0));
    let limit = facts.locked_memory.as_deref()?;
    if !old || limit == "unlimited" {
        return None;
    }
    let found = format!("{limit} bytes; before kernel 5.11 BPF maps count as locked");
    Some(lack(
        "locked memory",
        State::Warn,
        found,
        "ulimit -l unlimited",
    ))
}
