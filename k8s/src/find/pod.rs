//! A pod as tracing sees it. Pure: from the API's object, no I/O.

use std::fmt;

use k8s_openapi::api::core::v1::{ContainerState as ApiState, ContainerStatus, Pod};

use crate::text::visible;

/// Where a pod is and how it is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for PodName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// A pod and all that decides whether and where it can be traced.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four fields of the API, none of which excludes another"
)]
pub struct TargetPod {
    /// Namespace and name.
    pub name: PodName,
    /// Unique in time too: a pod made again under its old name has another.
    pub uid: String,
    /// The node's name, once scheduled.
    pub node: Option<String>,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Why the pod is in that phase, where the API says so (`Evicted`, `Unschedulable: 0/3 nodes …`).
    pub reason: Option<String>,
    /// It is being deleted.
    pub terminating: bool,
    /// Its processes are in the node's PID namespace.
    pub host_pid: bool,
    /// Its containers have one PID namespace in common.
    pub share_process_namespace: bool,
    /// It uses the node's network.
    pub host_network: bool,
    /// Init, then regular, then ephemeral containers, each in the order of the pod's status.
    pub containers: Vec<TargetContainer>,
}

/// One container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetContainer {
    /// Its name, unique in the pod.
    pub name: String,
    /// The runtime's ID; `None` before its first start. Of a container that is not running: of its last run.
    pub id: Option<ContainerId>,
    /// What it does now.
    pub state: ContainerState,
    /// Init, regular or ephemeral.
    pub kind: ContainerKind,
    /// How often it was started again.
    pub restarts: u32,
}

/// A container's ID as the API gives it, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContainerId {
    /// `containerd`, `cri-o`, `docker`.
    pub runtime: String,
    /// What the runtime calls it, 64 hexadecimal digits as a rule.
    pub id: String,
}

impl ContainerId {
    /// Takes `containerd://0123…` apart; an ID without a runtime is kept as it is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (runtime, id) = text.split_once("://").unwrap_or(("", text));
        (!id.is_empty()).then(|| Self {
            runtime: visible(runtime),
            id: visible(id),
        })
    }
}

/// Which of a pod's three lists a container is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerKind {
    /// Runs before the others, or beside them as a sidecar.
    Init,
    /// What the pod is there for.
    Regular,
    /// Added later by `kubectl debug`.
    Ephemeral,
}

/// What a container does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Not (or not yet again) running.
    Waiting {
        /// `ContainerCreating`, `CrashLoopBackOff`, `ImagePullBackOff`, …
        reason: String,
        /// More words, often empty.
        message: String,
    },
    /// Running.
    Running,
    /// Ended.
    Terminated {
        /// `Completed`, `Error`, `OOMKilled`, …
        reason: String,
        /// Its exit status.
        exit_code: i32,
    },
}

impl TargetContainer {
    /// Its ID if it runs now: only then there is something to trace.
    #[must_use]
    pub fn running_id(&self) -> Option<&ContainerId> {
        if self.state == ContainerState::Running {
            self.id.as_ref()
        } else {
            None
        }
    }
}

impl TargetPod {
    /// Reads the API's object.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let spec = pod.spec.as_ref();
        let status = pod.status.as_ref();
        Self {
            name: PodName {
                namespace: pod.metadata.namespace.clone().unwrap_or_default(),
                name: pod.metadata.name.clone().unwrap_or_default(),
            },
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            node: spec
                .and_then(|spec| spec.node_name.clone())
                .filter(|node| !node.is_empty()),
            phase: status
                .and_then(|status| status.phase.clone())
                .unwrap_or_else(|| "Unknown".to_owned()),
            reason: reason(pod),
            terminating: pod.metadata.deletion_timestamp.is_some(),
            host_pid: spec.and_then(|spec| spec.host_pid).unwrap_or(false),
            share_process_namespace: spec
                .and_then(|spec| spec.share_process_namespace)
                .unwrap_or(false),
            host_network: spec.and_then(|spec| spec.host_network).unwrap_or(false),
            containers: containers(pod),
        }
    }

    /// It has ended for good: nothing of it will run again.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }

    /// The containers that run now, of every kind.
    pub fn running(&self) -> impl Iterator<Item = &TargetContainer> {
        self.containers
            .iter()
            .filter(|container| container.running_id().is_some())
    }
}

fn containers(pod: &Pod) -> Vec<TargetContainer> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let status = pod.status.as_ref();
    let mut all = Vec::new();
    let names = |list: &[k8s_openapi::api::core::v1::Container]| {
        list.iter().map(|one| one.name.clone()).collect::<Vec<_>>()
    };
    append(
        &mut all,
        ContainerKind::Init,
        spec.init_containers
            .as_deref()
            .map(names)
            .unwrap_or_default(),
        status.and_then(|status| status.init_container_statuses.as_deref()),
    );
    append(
        &mut all,
        ContainerKind::Regular,
        names(&spec.containers),
        status.and_then(|status| status.container_statuses.as_deref()),
    );
    append(
        &mut all,
        ContainerKind::Ephemeral,
        spec.ephemeral_containers
            .iter()
            .flatten()
            .map(|one| one.name.clone())
            .collect(),
        status.and_then(|status| status.ephemeral_container_statuses.as_deref()),
    );
    all
}

/// Status order first, because the original printed IDs in it; then what has no status yet.
fn append(
    all: &mut Vec<TargetContainer>,
    kind: ContainerKind,
    names: Vec<String>,
    statuses: Option<&[ContainerStatus]>,
) {
    let statuses = statuses.unwrap_or_default();
    let without_status: Vec<_> = names
        .into_iter()
        .filter(|name| !statuses.iter().any(|status| &status.name == name))
        .collect();
    all.extend(statuses.iter().map(|status| TargetContainer {
        name: status.name.clone(),
        id: status.container_id.as_deref().and_then(ContainerId::parse),
        state: state(status.state.as_ref()),
        kind,
        restarts: u32::try_from(status.restart_count).unwrap_or(0),
    }));
    all.extend(without_status.into_iter().map(|name| TargetContainer {
        name,
        id: None,
        state: state(None),
        kind,
        restarts: 0,
    }));
}

fn state(state: Option<&ApiState>) -> ContainerState {
    if let Some(state) = state {
        if state.running.is_some() {
            return ContainerState::Running;
        }
        if let Some(ended) = &state.terminated {
            let reason = ended.reason.as_deref().unwrap_or("terminated");
            return ContainerState::Terminated {
                reason: visible(reason),
                exit_code: ended.exit_code,
            };
        }
        if let Some(waiting) = &state.waiting {
            return ContainerState::Waiting {
                reason: visible(waiting.reason.as_deref().unwrap_or("waiting")),
                message: visible(waiting.message.as_deref().unwrap_or_default()),
            };
        }
    }
    ContainerState::Waiting {
        reason: "not started".to_owned(),
        message: String::new(),
    }
}

fn reason(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let words = |reason: Option<&str>, message: Option<&str>| match (reason, message) {
        (Some(reason), Some(message)) => Some(visible(&format!("{reason}: {message}"))),
        (reason, message) => reason.or(message).map(visible),
    };
    words(status.reason.as_deref(), status.message.as_deref()).or_else(|| {
        let unscheduled =
            status.conditions.iter().flatten().find(|condition| {
                condition.type_ == "PodScheduled" && condition.status == "False"
            })?;
        words(
            unscheduled.reason.as_deref(),
            unscheduled.message.as_deref(),
        )
    })
}
