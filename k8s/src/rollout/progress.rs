//! How far a pod is on its way up. Pure but for the clock that is handed in.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerState, Event, Pod, PodStatus};
use kube::ResourceExt;
use tokio::time::Instant;

use super::{Ended, Milestone, RolloutError, Running};
use crate::text::visible;

/// How long the scheduler may find no place before that is the answer. The pod is pinned to a node that
/// is there, so that only something else leaving could change it.
const UNSCHEDULABLE_GRACE: Duration = Duration::from_secs(15);
/// How many of the pod's warnings an error carries.
const WARNINGS: usize = 3;

/// Waiting reasons that do not end by waiting. `ErrImagePull` is left out: one failure may be the
/// registry's bad moment, the second one reads `ImagePullBackOff`.
const IMAGE_TROUBLE: [&str; 4] = [
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
];
const CONTAINER_TROUBLE: [&str; 4] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "PostStartHookError",
];

/// What an observation comes to.
pub(super) enum Step {
    Milestones(Vec<Milestone>),
    Running(Vec<Milestone>, Running),
    Failed(RolloutError),
}

pub(super) struct Progress {
    /// Namespace and name, for messages.
    pod: String,
    uid: String,
    scheduled: bool,
    pulling: bool,
    starting: bool,
    unschedulable: Option<(Instant, String)>,
    state: String,
    warnings: Vec<String>,
}

impl Progress {
    pub(super) fn new(pod: String, uid: String) -> Self {
        Self {
            pod,
            uid,
            scheduled: false,
            pulling: false,
            starting: false,
            unschedulable: None,
            state: "created".to_owned(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn listed(&mut self, pods: &[Pod], now: Instant) -> Step {
        match pods.iter().find(|pod| self.is_it(pod)) {
            Some(pod) => self.shown(pod, now),
            None => Step::Failed(RolloutError::Deleted {
                pod: self.pod.clone(),
            }),
        }
    }

    pub(super) fn removed(&self, pod: &Pod) -> Step {
        if self.is_it(pod) {
            Step::Failed(RolloutError::Deleted {
                pod: self.pod.clone(),
            })
        } else {
            Step::Milestones(Vec::new())
        }
    }

    /// When waiting is over: the deadline, or earlier for a pod without a place.
    pub(super) fn give_up_at(&self, deadline: Instant) -> Instant {
        self.unschedulable.as_ref().map_or(deadline, |(since, _)| {
            deadline.min(*since + UNSCHEDULABLE_GRACE)
        })
    }

    pub(super) fn too_late(&self, deadline: Duration) -> RolloutError {
        if let Some((_, reason)) = &self.unschedulable {
            return RolloutError::Unschedulable {
                pod: self.pod.clone(),
                reason: reason.clone(),
                events: self.told(),
            };
        }
        RolloutError::TooLate {
            pod: self.pod.clone(),
            seconds: deadline.as_secs(),
            state: self.state.clone(),
            events: self.told(),
        }
    }

    pub(super) fn events(&mut self, events: &[Event]) -> Step {
        let mut milestones = Vec::new();
        for event in events {
            match event.reason.as_deref() {
                Some("Pulling") => self.note_pulling(&mut milestones),
                Some("Pulled") => self.note_starting(&mut milestones),
                _ => {}
            }
            if event.type_.as_deref() == Some("Warning") {
                let words = [event.reason.as_deref(), event.message.as_deref()];
                let warning = visible(&words.into_iter().flatten().collect::<Vec<_>>().join(": "));
                if !self.warnings.contains(&warning) {
                    self.warnings.push(warning.clone());
                    milestones.push(Milestone::Warning(warning));
                }
            }
        }
        Step::Milestones(milestones)
    }

    pub(super) fn shown(&mut self, pod: &Pod, now: Instant) -> Step {
        if !self.is_it(pod) {
            return Step::Milestones(Vec::new());
        }
        if pod.metadata.deletion_timestamp.is_some() {
            return Step::Failed(RolloutError::Deleted {
                pod: self.pod.clone(),
            });
        }
        let mut milestones = Vec::new();
        let node = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
            .filter(|node| !node.is_empty());
        if let Some(node) = &node {
            self.unschedulable = None;
            if !std::mem::replace(&mut self.scheduled, true) {
                milestones.push(Milestone::Scheduled { node: node.clone() });
            }
        }
        let Some(status) = &pod.status else {
            return Step::Milestones(milestones);
        };
        self.state = described(status);
        if node.is_none() {
            self.heed_scheduler(status, now, &mut milestones);
        }
        if let Some(error) = self.trouble(pod, status) {
            return Step::Failed(error);
        }
        let runs = states(status).any(|state| state.running.is_some());
        if !runs {
            return Step::Milestones(milestones);
        }
        self.note_starting(&mut milestones);
        let waits_for_ready = pod
            .spec
            .iter()
            .flat_map(|spec| &spec.containers)
            .any(|one| one.readiness_probe.is_some());
        let ready = status
            .container_statuses
            .iter()
            .flatten()
            .all(|container| container.ready);
        if waits_for_ready && !ready {
            return Step::Milestones(milestones);
        }
        let running = Running {
            namespace: pod.namespace().unwrap_or_default(),
            name: pod.name_any(),
            uid: self.uid.clone(),
            node: node.unwrap_or_default(),
            ip: status.pod_ip.clone().filter(|ip| !ip.is_empty()),
        };
        Step::Running(milestones, running)
    }

    fn is_it(&self, pod: &Pod) -> bool {
        pod.uid().as_ref() == Some(&self.uid)
    }

    fn note_pulling(&mut self, milestones: &mut Vec<Milestone>) {
        if !self.starting && !std::mem::replace(&mut self.pulling, true) {
            milestones.push(Milestone::Pulling);
        }
    }

    fn note_starting(&mut self, milestones: &mut Vec<Milestone>) {
        if !std::mem::replace(&mut self.starting, true) {
            milestones.push(Milestone::Starting);
        }
    }

    fn heed_scheduler(
        &mut self,
        status: &PodStatus,
        now: Instant,
        milestones: &mut Vec<Milestone>,
    ) {
        let refused = status.conditions.iter().flatten().find(|condition| {
            condition.type_ == "PodScheduled"
                && condition.status == "False"
                && condition.reason.as_deref() == Some("Unschedulable")
        });
        let Some(refused) = refused else { return };
        let reason = visible(
            refused
                .message
                .as_deref()
                .unwrap_or("the scheduler gives no reason"),
        );
        if self.unschedulable.is_none() {
            milestones.push(Milestone::Warning(format!("no place yet: {reason}")));
        }
        let since = self.unschedulable.as_ref().map_or(now, |(since, _)| *since);
        self.unschedulable = Some((since, reason));
    }

    fn trouble(&self, pod: &Pod, status: &PodStatus) -> Option<RolloutError> {
        let (name, events) = (self.pod.clone(), self.told());
        for state in states(status) {
            if let Some(waiting) = &state.waiting {
                let word = waiting.reason.as_deref().unwrap_or_default();
                let reason = visible(
                    &[Some(word), waiting.message.as_deref()]
                        .into_iter()
                        .flatten()
                        .collect::<Vec<_>>()
                        .join(": "),
                );
                if IMAGE_TROUBLE.contains(&word) {
                    let image = pod
                        .spec
                        .iter()
                        .flat_map(|spec| &spec.containers)
                        .find_map(|one| one.image.clone())
                        .unwrap_or_default();
                    return Some(RolloutError::Image {
                        pod: name,
                        image,
                        reason,
                        events,
                    });
                }
                if CONTAINER_TROUBLE.contains(&word) {
                    return Some(RolloutError::Container {
                        pod: name,
                        reason,
                        events,
                    });
                }
            }
        }
        // A pod that is never started again has ended with its container, whatever its phase still says.
        let ended = Ended::of_pod(pod)?;
        let said = match ended.said.as_str() {
            "" => String::new(),
            said => format!(", saying: {said}"),
        };
        Some(RolloutError::Ended {
            pod: name,
            how: ended.how,
            said,
            events,
            taken_away: ended.taken_away,
        })
    }

    /// The last warnings, as a part of a sentence.
    fn told(&self) -> String {
        if self.warnings.is_empty() {
            return String::new();
        }
        let last = &self.warnings[self.warnings.len().saturating_sub(WARNINGS)..];
        format!("; events: {}", last.join(" | "))
    }
}

pub(super) fn states(status: &PodStatus) -> impl Iterator<Item = &ContainerState> {
    status
        .container_statuses
        .iter()
        .flatten()
        .filter_map(|container| container.state.as_ref())
}

fn described(status: &PodStatus) -> String {
    let waiting = states(status).find_map(|state| {
        state
            .waiting
            .as_ref()
            .and_then(|waiting| waiting.reason.clone())
    });
    let words = [
        status.phase.clone(),
        status.reason.clone(),
        status.message.clone(),
        waiting,
    ];
    visible(
        &words
            .into_iter()
            .flatten()
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(", "),
    )
}
