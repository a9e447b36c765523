//! The end of a pod that was up.

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::ResourceExt;
use kube::api::Api;

use super::Running;
use super::progress::states;
use crate::Cluster;
use crate::client::{Seen, Watching};
use crate::text::visible;

/// How a pod that is never started again has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its container's exit status, where one is known.
    pub exit_code: Option<i32>,
    /// In words: `Error, exit status 3`, `Failed, Evicted`, `deleted`.
    pub how: String,
    /// Its last words, often none.
    pub said: String,
    /// Somebody else ended it, so that another one may fare better: it was deleted, evicted or preempted, or its
    /// node went away.
    pub taken_away: bool,
}

/// The condition that says so, where the cluster sets it, and the reasons of those that do not.
const DISRUPTED: &str = "DisruptionTarget";
const DISRUPTIONS: [&str; 6] = [
    "Evicted",
    "NodeLost",
    "NodeShutdown",
    "Preempting",
    "Shutdown",
    "Terminated",
];

impl Ended {
    /// What the status says of a container that has ended.
    fn of(status: &PodStatus) -> Option<Self> {
        let ended = states(status).find_map(|state| state.terminated.as_ref())?;
        let reason = visible(ended.reason.as_deref().unwrap_or("terminated"));
        Some(Self {
            exit_code: Some(ended.exit_code),
            how: format!("{reason}, exit status {}", ended.exit_code),
            said: last_words(ended.message.as_deref().unwrap_or_default()),
            taken_away: is_disrupted(status),
        })
    }

    /// What a pod says of its own end, if that has come.
    pub(super) fn of_pod(pod: &Pod) -> Option<Self> {
        let status = pod.status.as_ref()?;
        let phase = status.phase.as_deref().unwrap_or_default();
        let ended = Self::of(status).or_else(|| {
            // The kubelet ends a pod (evicted, deadline exceeded) before it tells of its containers.
            let words = [Some(phase), status.reason.as_deref()];
            matches!(phase, "Failed" | "Succeeded").then(|| Self {
                exit_code: None,
                how: visible(&words.into_iter().flatten().collect::<Vec<_>>().join(", ")),
                said: visible(status.message.as_deref().unwrap_or_default()),
                taken_away: is_disrupted(status),
            })
        })?;
        // The kubelet ends the containers of a pod that somebody deletes.
        if pod.metadata.deletion_timestamp.is_some() {
            return Some(Self {
                how: format!("deleted; {}", ended.how),
                taken_away: true,
                ..ended
            });
        }
        Some(ended)
    }

    fn deleted() -> Self {
        Self {
            exit_code: None,
            how: "deleted".to_owned(),
            said: String::new(),
            taken_away: true,
        }
    }
}

/// Whether the cluster says that the pod was ended by what happened around it.
fn is_disrupted(status: &PodStatus) -> bool {
    let mut conditions = status.conditions.iter().flatten();
    let reason = status.reason.as_deref().unwrap_or_default();
    DISRUPTIONS.contains(&reason)
        || conditions.any(|condition| condition.type_ == DISRUPTED && condition.status == "True")
}

/// The end of a message: it is the end of a log, whose last lines say why.
fn last_words(message: &str) -> String {
    const LINES: usize = 3;
    let lines: Vec<_> = message.trim().lines().collect();
    visible(&lines[lines.len().saturating_sub(LINES)..].join("\n"))
}

/// Waits until a pod has ended or is gone. While the API server cannot be watched, nobody knows: the
/// waiting goes on.
pub async fn ended(cluster: &Cluster, pod: &Running) -> Ended {
    let Running {
        namespace, name, ..
    } = pod;
    let is_it = |one: &Pod| one.uid().as_deref() == Some(pod.uid.as_str());
    let api = Api::<Pod>::namespaced(cluster.client(), namespace);
    let mut pods = Watching::new(cluster, api, format!("watch the pod {namespace}/{name}"))
        .fields(Some(format!("metadata.name={name}")));
    loop {
        let end = match pods.next().await {
            Seen::Listed(listed) => match listed.iter().find(|one| is_it(one)) {
                Some(one) => Ended::of_pod(one),
                None => Some(Ended::deleted()),
            },
            Seen::Changed(one) if is_it(&one) => Ended::of_pod(&one),
            Seen::Removed(one) if is_it(&one) => {
                Some(Ended::of_pod(&one).unwrap_or_else(Ended::deleted))
            }
            Seen::Changed(_) | Seen::Removed(_) | Seen::Failed(_) => None,
        };
        if let Some(end) = end {
            return end;
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    use super::{Ended, last_words};

    fn ended(metadata: &Value, status: &Value) -> Option<Ended> {
        let pod = json!({"metadata": metadata, "status": status});
        Ended::of_pod(&serde_json::from_value::<Pod>(pod).unwrap())
    }

    #[test]
    fn who_was_ended_by_others_was_taken_away() {
        let state = |code: i32| json!([{"name": "agent", "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": {"terminated": {"exitCode": code, "reason": "Error"}}}]);
        let deleted = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        let conditions = json!([{"type": "DisruptionTarget", "status": "True"}]);
        for (metadata, status, taken_away) in [
            (
                json!({}),
                json!({"phase": "Failed", "reason": "Evicted"}),
                true,
            ),
            (
                json!({}),
                json!({"phase": "Failed", "reason": "DeadlineExceeded"}),
                false,
            ),
            (
                json!({}),
                json!({"phase": "Failed", "conditions": conditions, "containerStatuses": state(137)}),
                true,
            ),
            (
                json!({}),
                json!({"phase": "Failed", "containerStatuses": state(4)}),
                false,
            ),
            (
                json!({}),
                json!({"phase": "Succeeded", "containerStatuses": state(0)}),
                false,
            ),
            (
                deleted.clone(),
                json!({"phase": "Running", "containerStatuses": state(0)}),
                true,
            ),
        ] {
            let ended = ended(&metadata, &status).unwrap();
            assert_eq!(ended.taken_away, taken_away, "{ended:?} of {status}");
        }
        // It is on its way out, and has time for its last words.
        assert_eq!(ended(&deleted, &json!({"phase": "Running"})), None);
    }

    #[test]
    fn the_last_lines_are_what_is_said() {
        assert_eq!(last_words("one\ntwo\nthree\nfour\n"), "two; three; four");
        assert_eq!(last_words(""), "");
    }
}
