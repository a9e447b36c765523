//! What a container needs of its node: rights, processor, memory, an image.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ResourceRequirements, SeccompProfile, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// When the kubelet pulls an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullPolicy {
    /// Each time.
    Always,
    /// If the node does not have it.
    #[default]
    IfNotPresent,
    /// The node must have it.
    Never,
}

/// What an agent's container may do. Root in each case: the files of tracefs and debugfs are root's.
///
/// Measured per `kernel.perf_event_paranoid` with every other capability dropped; the levels are those
/// of Debian's and Ubuntu's kernels, whose 3 and 4 refuse perf events without `SYS_ADMIN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rights {
    /// `SYS_ADMIN` (BPF, perf events at any level, a private mount of bpffs), `SYSLOG` (without it the
    /// addresses in kallsyms are zero and BCC calls every function "not traceable") and `SYS_PTRACE` (to
    /// read the PID namespaces of other processes).
    #[default]
    Admin,
    /// `BPF` and `PERFMON` in place of `SYS_ADMIN`: kernel 5.8 and later, `perf_event_paranoid` up to 2.
    Bpf,
    /// Everything: for runtimes and security modules that refuse the above.
    Privileged,
}

/// Requests and limits of a container, as Kubernetes writes quantities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// CPU to reserve.
    pub cpu_request: String,
    /// CPU at most.
    pub cpu_limit: String,
    /// Memory to reserve.
    pub memory_request: String,
    /// Memory at most.
    pub memory_limit: String,
}

impl Default for Resources {
    /// While LLVM compiles a tool, its process has several times the memory that it keeps afterwards:
    /// reserved is what seven tools keep, the limit lets all of them compile at once.
    fn default() -> Self {
        Self {
            cpu_request: "100m".to_owned(),
            cpu_limit: "2".to_owned(),
            memory_request: "400Mi".to_owned(),
            memory_limit: "2Gi".to_owned(),
        }
    }
}

impl Resources {
    pub(crate) fn requirements(&self) -> ResourceRequirements {
        let both = |cpu: &str, memory: &str| {
            Some(BTreeMap::from([
                ("cpu".to_owned(), Quantity(cpu.to_owned())),
                ("memory".to_owned(), Quantity(memory.to_owned())),
            ]))
        };
        ResourceRequirements {
            requests: both(&self.cpu_request, &self.memory_request),
            limits: both(&self.cpu_limit, &self.memory_limit),
            ..ResourceRequirements::default()
        }
    }
}

impl PullPolicy {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
        .to_owned()
    }
}

impl Rights {
    /// The container's security context.
    pub(super) fn security(self) -> SecurityContext {
        let root = SecurityContext {
            run_as_user: Some(0),
            run_as_non_root: Some(false),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        };
        let capabilities = match self {
            Self::Admin => ["SYS_ADMIN", "SYSLOG", "SYS_PTRACE"].as_slice(),
            Self::Bpf => ["BPF", "PERFMON", "SYSLOG", "SYS_PTRACE"].as_slice(),
            Self::Privileged => {
                return SecurityContext {
                    privileged: Some(true),
                    ..root
                };
            }
        };
        SecurityContext {
            // The API refuses a `false` beside SYS_ADMIN, which implies it.
            allow_privilege_escalation: (self == Self::Bpf).then_some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: Some(capabilities.iter().map(|&name| name.to_owned()).collect()),
            }),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..root
        }
    }
}
