//! Which rights tracing wants and this process lacks. The tools don't know: where the kernel refuses
//! them, they say that a function is not traceable.

use std::fs::File;
use std::io::{BufRead, BufReader};

/// What decides whether the kernel lets us trace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Rights {
    /// `CapEff` of `/proc/self/status`, a bit a capability.
    pub(crate) capabilities: u64,
    /// `kernel.perf_event_paranoid`; Debian and Ubuntu know a 3 and a 4 that want `CAP_SYS_ADMIN`.
    pub(crate) paranoid: i32,
    /// `/proc/kallsyms` shows zeros for addresses, so that BCC finds no function at all.
    pub(crate) hidden_addresses: bool,
}

/// Bits from linux/capability.h.
const SYS_ADMIN: u32 = 21;
const SYSLOG: u32 = 34;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

impl Rights {
    /// Those of this process. What cannot be read counts as there: a lack is only named if it is seen.
    pub(crate) fn of_this_process() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            capabilities: capabilities(&text("/proc/self/status")).unwrap_or(u64::MAX),
            paranoid: text("/proc/sys/kernel/perf_event_paranoid")
                .trim()
                .parse()
                .unwrap_or_default(),
            hidden_addresses: File::open("/proc/kallsyms")
                .is_ok_and(|symbols| hides_addresses(BufReader::new(symbols))),
        }
    }

    /// What is missing and how to give it, in a sentence; `None` if nothing is.
    pub(crate) fn lack(&self) -> Option<String> {
        let mut missing = Vec::new();
        if !self.has(SYS_ADMIN) {
            if self.paranoid > 2 {
                missing.push("CAP_SYS_ADMIN");
            } else {
                missing.extend((!self.has(BPF)).then_some("CAP_BPF"));
                missing.extend((!self.has(PERFMON)).then_some("CAP_PERFMON"));
            }
        }
        missing.extend((self.hidden_addresses && !self.has(SYSLOG)).then_some("CAP_SYSLOG"));
        if missing.is_empty() {
            return self.hidden_addresses.then(|| {
                "the kernel shows nobody the addresses of its functions: set kernel.kptr_restrict on the node to 1"
                    .to_owned()
            });
        }
        let or = if missing.contains(&"CAP_SYS_ADMIN") {
            format!(
                ", or set kernel.perf_event_paranoid on the node, which is {}, to 2 for --rights bpf",
                self.paranoid
            )
        } else {
            String::new()
        };
        Some(format!(
            "the agent lacks {}: its container must have that (x-tracer trace --rights admin gives it; \
             --privileged gives all){or}",
            missing.join(" and ")
        ))
    }

    fn has(&self, capability: u32) -> bool {
        self.capabilities & (1 << capability) != 0
    }
}

fn capabilities(status: &str) -> Option<u64> {
    let hex = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

/// Whether a list like `/proc/kallsyms` has zeros for addresses. The first function tells; the per-CPU
/// variables before it have offsets, which may well be zero.
fn hides_addresses(symbols: impl BufRead) -> bool {
    symbols
        .lines()
        .map_while(Result::ok)
        .find_map(|line| {
            let (address, name) = line.split_once(' ')?;
            let function = name.starts_with(['t', 'T']);
            function.then(|| address.bytes().all(|digit| digit == b'0'))
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(capabilities: &[u32], paranoid: i32, hidden_addresses: bool) -> Option<String> {
        let capabilities = capabilities.iter().fold(0, |bits, bit| bits | 1 << bit);
        Rights {
            capabilities,
            paranoid,
            hidden_addresses,
        }
        .lack()
    }

    #[test]
    fn what_was_measured_to_be_enough_is_enough() {
        assert_eq!(with(&[SYS_ADMIN, SYSLOG], 3, false), None);
        assert_eq!(with(&[BPF, PERFMON, SYSLOG], 2, false), None);
        assert_eq!(with(&[BPF, PERFMON], 1, false), None);
    }

    #[test]
    fn a_lack_is_named_with_its_remedy() {
        let lack = with(&[BPF, PERFMON, SYSLOG], 3, false).unwrap_or_default();
        assert!(lack.contains("lacks CAP_SYS_ADMIN:"), "{lack}");
        assert!(
            lack.contains("perf_event_paranoid on the node, which is 3"),
            "{lack}"
        );
        let lack = with(&[SYS_ADMIN], 3, true).unwrap_or_default();
        assert!(lack.contains("lacks CAP_SYSLOG:"), "{lack}");
        let lack = with(&[], 2, true).unwrap_or_default();
        assert!(
            lack.contains("CAP_BPF and CAP_PERFMON and CAP_SYSLOG"),
            "{lack}"
        );
        let lack = with(&[SYS_ADMIN, SYSLOG], 3, true).unwrap_or_default();
        assert!(lack.contains("kptr_restrict"), "{lack}");
    }

    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(
            capabilities("Name:\tx\nCapEff:\t000000c000200000\n"),
            Some(0xc0_0020_0000)
        );
        assert_eq!(capabilities("CapEff:\tnonsense"), None);
        let zeros = "0000000000000000 A fixed_percpu_data\n0000000000000000 T startup_64\n";
        assert!(hides_addresses(zeros.as_bytes()));
        let shown = "0000000000000000 A fixed_percpu_data\nffffffff81000000 T startup_64\n";
        assert!(!hides_addresses(shown.as_bytes()));
        assert!(!hides_addresses(b"".as_slice()));
    }
}
