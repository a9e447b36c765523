//! Which containers of a pod to trace, or why that cannot be.

use super::pod::{ContainerKind, ContainerState, TargetContainer, TargetPod};
use super::{Reference, TargetError};
use crate::text::list;

/// What the user said about containers.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// `-c NAME`; `None` is every container that runs.
    pub container: Option<String>,
    /// `--host-pid-ok`: pods in the node's PID namespace too, told from the rest by their cgroups.
    pub host_pid_ok: bool,
}

/// Why a pod cannot be traced (now), and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Odd {
    /// No node yet.
    #[error(
        "it is on no node yet ({reason}); see why with: kubectl describe pod -n {namespace} {name}"
    )]
    Unscheduled {
        /// The scheduler's words.
        reason: String,
        /// The pod's namespace.
        namespace: String,
        /// The pod's name.
        name: String,
    },
    /// It will never run again.
    #[error(
        "it has finished ({how}); choose a pod that runs, or trace its owner or labels (deployment/NAME, -l SELECTOR) to follow new pods"
    )]
    Finished {
        /// Phase and reason.
        how: String,
    },
    /// Its processes are not told apart from the node's by a PID namespace.
    #[error(
        "it uses the node's PID namespace (hostPID), so that this namespace means every process of the node: x-tracer tells processes apart by PID namespace; with --host-pid-ok it goes by the containers' cgroups instead, and the agent has to look at every event of the node"
    )]
    HostPid,
    /// No container of that name.
    #[error("it has no container {wanted:?}; it has: {known}")]
    UnknownContainer {
        /// What was asked for.
        wanted: String,
        /// The names that there are.
        known: String,
    },
    /// A container starts, fails and is started again.
    #[error(
        "its container {container} crashes again and again ({restarts} restarts, waiting: {reason}); see why with: kubectl logs --previous -n {namespace} {name} -c {container}"
    )]
    CrashLooping {
        /// The container.
        container: String,
        /// How often it was started again.
        restarts: u32,
        /// What it waits for.
        reason: String,
        /// The pod's namespace.
        namespace: String,
        /// The pod's name.
        name: String,
    },
    /// A container waits for something else.
    #[error(
        "its container {container} is not running (waiting: {reason}); wait for it, or see why with: kubectl describe pod -n {namespace} {name}"
    )]
    Waiting {
        /// The container.
        container: String,
        /// What it waits for.
        reason: String,
        /// The pod's namespace.
        namespace: String,
        /// The pod's name.
        name: String,
    },
    /// A container has ended, and the pod goes on.
    #[error(
        "its container {container} has ended ({reason}, exit status {exit_code}); wait for its next start, or choose another with -c ({known})"
    )]
    Ended {
        /// The container.
        container: String,
        /// How it ended.
        reason: String,
        /// Its exit status.
        exit_code: i32,
        /// The names that there are.
        known: String,
    },
    /// It runs, and the kubelet has not told its ID yet.
    #[error("its container {container} has no container ID yet; try again in a moment")]
    NoContainerId {
        /// The container.
        container: String,
    },
    /// A pod without any container.
    #[error("it has no containers; choose another pod")]
    Empty,
}

impl Odd {
    /// Whether it is so as long as the pod is.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(self, Self::HostPid | Self::UnknownContainer { .. })
    }
}

impl TargetPod {
    /// The containers to trace: the one that was named, or all that run.
    ///
    /// # Errors
    /// [`TargetError::Odd`] with the reason and the next step.
    pub fn choose(&self, choice: &Choice) -> Result<Vec<&TargetContainer>, TargetError> {
        self.try_choose(choice).map_err(|odd| TargetError::Odd {
            pod: self.name.clone(),
            odd: Box::new(odd),
        })
    }

    /// The pod as it would be typed.
    #[must_use]
    pub fn reference(&self) -> Reference {
        Reference::Pod(self.name.name.clone())
    }

    fn try_choose(&self, choice: &Choice) -> Result<Vec<&TargetContainer>, Odd> {
        if let Some(wanted) = &choice.container
            && !self
                .containers
                .iter()
                .any(|container| &container.name == wanted)
        {
            return Err(Odd::UnknownContainer {
                wanted: wanted.clone(),
                known: self.names(),
            });
        }
        if self.is_finished() {
            let how = self.reason.as_ref().map_or_else(
                || self.phase.clone(),
                |reason| format!("{}, {reason}", self.phase),
            );
            return Err(Odd::Finished { how });
        }
        if self.node.is_none() {
            return Err(Odd::Unscheduled {
                reason: self
                    .reason
                    .clone()
                    .unwrap_or_else(|| "the scheduler has not looked at it".to_owned()),
                namespace: self.name.namespace.clone(),
                name: self.name.name.clone(),
            });
        }
        if self.host_pid && !choice.host_pid_ok {
            return Err(Odd::HostPid);
        }
        let Some(wanted) = &choice.container else {
            let running: Vec<_> = self.running().collect();
            return if running.is_empty() {
                Err(self.why_none_runs())
            } else {
                Ok(running)
            };
        };
        let chosen = |container: &&TargetContainer| &container.name == wanted;
        match self
            .containers
            .iter()
            .filter(chosen)
            .find(|container| container.running_id().is_none())
        {
            Some(idle) => Err(self.why_idle(idle)),
            None => Ok(self.containers.iter().filter(chosen).collect()),
        }
    }

    fn names(&self) -> String {
        list(
            &self
                .containers
                .iter()
                .map(|container| container.name.as_str())
                .collect::<Vec<_>>(),
        )
    }

    /// The container that holds the pod up: an init container that has not ended well, else a regular one.
    fn why_none_runs(&self) -> Odd {
        let ended_well = |container: &TargetContainer| {
            matches!(
                container.state,
                ContainerState::Terminated { exit_code: 0, .. }
            )
        };
        let of_kind = |kind| {
            self.containers
                .iter()
                .filter(move |container| container.kind == kind)
        };
        of_kind(ContainerKind::Init)
            .find(|container| !ended_well(container))
            .or_else(|| of_kind(ContainerKind::Regular).next())
            .map_or(Odd::Empty, |container| self.why_idle(container))
    }

    fn why_idle(&self, container: &TargetContainer) -> Odd {
        let (namespace, name) = (self.name.namespace.clone(), self.name.name.clone());
        let called = container.name.clone();
        match &container.state {
            ContainerState::Running => Odd::NoContainerId { container: called },
            ContainerState::Terminated { reason, exit_code } => Odd::Ended {
                container: called,
                reason: reason.clone(),
                exit_code: *exit_code,
                known: self.names(),
            },
            ContainerState::Waiting { reason, .. } if reason == "CrashLoopBackOff" => {
                Odd::CrashLooping {
                    container: called,
                    restarts: container.restarts,
                    reason: reason.clone(),
                    namespace,
                    name,
                }
            }
            ContainerState::Waiting { reason, message } => Odd::Waiting {
                container: called,
                reason: if message.is_empty() {
                    reason.clone()
                } else {
                    format!("{reason}: {message}")
                },
                namespace,
                name,
            },
        }
    }
}
