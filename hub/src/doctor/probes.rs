//! What each tool needs of a kernel, and whether it is there.

use probeparser::Probe;
use serde::Serialize;

use super::facts::{Capability, Facts, Tool};
use super::pairings::{Effect, pairings};

/// The functions that are looked for in the kernel's list. The tracepoints themselves are data, which
/// not every kernel lists; each comes with functions of these names.
pub(crate) const SYMBOLS: [&str; 29] = [
    "register_kprobe",
    "bpf_get_raw_tracepoint",
    "tcp_v4_connect",
    "tcp_v6_connect",
    "tcp_set_state",
    "tcp_close",
    "inet_csk_accept",
    "trace_event_raw_event_inet_sock_set_state",
    "__x64_sys_execve",
    "__arm64_sys_execve",
    "__s390x_sys_execve",
    "__riscv_sys_execve",
    "sys_execve",
    "blk_account_io_start",
    "__blk_account_io_start",
    "blk_account_io_done",
    "__blk_account_io_done",
    "blk_account_io_completion",
    "__traceiter_block_io_start",
    "__traceiter_block_io_done",
    "blk_mq_start_request",
    "blk_mq_end_request",
    "blk_mq_complete_request_remote",
    "blk_update_request",
    "add_to_page_cache_lru",
    "filemap_add_folio",
    "mark_page_accessed",
    "folio_mark_accessed",
    "mark_buffer_dirty",
];

/// Groups of functions of which a tool needs one each.
fn needs(probe: Probe) -> &'static [&'static [&'static str]] {
    match probe {
        Probe::Tcptracer => &[
            &["tcp_v4_connect"],
            &["tcp_v6_connect"],
            &["tcp_set_state"],
            &["tcp_close"],
            &["inet_csk_accept"],
        ],
        Probe::Tcpconnect => &[&["tcp_v4_connect"], &["tcp_v6_connect"]],
        Probe::Tcpaccept => &[&["inet_csk_accept"]],
        Probe::Tcplife => &[&["trace_event_raw_event_inet_sock_set_state", "tcp_set_state"]],
        Probe::Execsnoop => &[&[
            "__x64_sys_execve",
            "__arm64_sys_execve",
            "__s390x_sys_execve",
            "__riscv_sys_execve",
            "sys_execve",
        ]],
        Probe::Biosnoop => &[
            &[
                "blk_account_io_start",
                "__blk_account_io_start",
                "__traceiter_block_io_start",
                "blk_mq_start_request",
            ],
            &[
                "blk_account_io_done",
                "__blk_account_io_done",
                "blk_account_io_completion",
                "__traceiter_block_io_done",
                "blk_mq_complete_request_remote",
                "blk_update_request",
                "blk_mq_end_request",
            ],
        ],
        Probe::Cachetop | Probe::Cachestat => &[
            &["add_to_page_cache_lru", "filemap_add_folio"],
            &["mark_page_accessed", "folio_mark_accessed"],
            &["mark_buffer_dirty"],
        ],
    }
}

/// Functions of which biosnoop has one each for itself; without them the agent attaches it to
/// others.
const BIOSNOOP_OWN: [&[&str]; 2] = [
    &[
        "blk_account_io_start",
        "__blk_account_io_start",
        "__traceiter_block_io_start",
    ],
    &[
        "blk_account_io_done",
        "__blk_account_io_done",
        "blk_account_io_completion",
        "__traceiter_block_io_done",
    ],
];

/// Whether a probe should work here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Outlook {
    pub(crate) probe: Probe,
    /// Whether it should report what happens.
    pub(crate) works: bool,
    /// Why not, or what it will not report.
    pub(crate) reasons: Vec<String>,
}

/// Judges a probe.
pub(crate) fn outlook(probe: Probe, facts: &Facts) -> Outlook {
    let mut works = true;
    let mut reasons = lacks(probe, facts);
    if reasons.is_empty() {
        if probe == Probe::Biosnoop && !has_one_each(&BIOSNOOP_OWN, facts) {
            reasons.push(
                "its own attach points are not in this kernel; the agent attaches it to the functions that start and end a request".into(),
            );
        }
    } else {
        works = false;
    }
    if let (Some(kernel), Some(bcc)) = (facts.kernel, facts.bcc_version) {
        for pairing in pairings(probe, kernel, bcc) {
            works &= matches!(pairing.effect, Effect::Partial | Effect::Mended);
            let (why, mended) = (pairing.why, pairing.mended());
            reasons.push(format!(
                "BCC {bcc} on kernel {kernel}: {why}; mended in BCC {mended}"
            ));
        }
    }
    Outlook {
        probe,
        works,
        reasons,
    }
}

/// What it can't do without and what isn't there.
fn lacks(probe: Probe, facts: &Facts) -> Vec<String> {
    let mut lacks = Vec::new();
    let mut lack = |what: &str| lacks.push(what.to_owned());
    match facts.tools.get(&probe) {
        Some(Tool::Python(_)) => {}
        Some(Tool::Other(_)) => lack("its file is no Python program"),
        _ => lack("the tool is not installed"),
    }
    if facts.bcc.is_none() || facts.libbcc.is_none() {
        lack("no BCC");
    }
    if facts.headers.is_none() {
        lack("no kernel headers");
    }
    // tcplife can do with a tracepoint.
    let tracepoint =
        probe == Probe::Tcplife && facts.has_symbol("trace_event_raw_event_inet_sock_set_state");
    if !facts.has_kprobes() && !tracepoint {
        lack("no kprobes");
    }
    if facts.perf_event_paranoid.is_none() {
        lack("no perf events");
    }
    if !may_trace(facts) {
        lack("no right to load BPF programs");
    }
    if !facts.initial_pid_namespace {
        lack("not the initial PID namespace");
    }
    for group in needs(probe) {
        if !group.iter().any(|name| facts.has_symbol(name)) {
            let plain = |name: &str| {
                let name = name.trim_start_matches("__traceiter_");
                name.trim_start_matches("trace_event_raw_event_").to_owned()
            };
            let names: Vec<_> = group.iter().map(|name| plain(name)).collect();
            lacks.push(format!("this kernel has no {}", names.join(" or ")));
        }
    }
    lacks
}

fn has_one_each(groups: &[&[&str]], facts: &Facts) -> bool {
    groups
        .iter()
        .all(|group| group.iter().any(|name| facts.has_symbol(name)))
}

/// Whether BPF programs may be loaded, events opened, and filesystems mounted in private.
pub(crate) fn may_trace(facts: &Facts) -> bool {
    let locked = facts.lockdown.as_deref() == Some("confidentiality");
    facts.may(Capability::SysAdmin) && !locked
}
