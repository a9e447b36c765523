//! A pod as one row of a list: the columns of `kubectl get pods -o wide`.

use std::time::SystemTime;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

use crate::text::visible;

/// One line of a pod list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRow {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What kubectl shows as STATUS: the phase, or the reason that says more (`CrashLoopBackOff`,
    /// `Init:0/1`, `Terminating`).
    pub status: String,
    /// Containers that are ready; sidecars count.
    pub ready: usize,
    /// Containers that should be.
    pub containers: usize,
    /// How often its containers were started again, all together.
    pub restarts: u32,
    /// The node's name, once scheduled.
    pub node: Option<String>,
    /// When it was made.
    pub created: Option<SystemTime>,
}

impl PodRow {
    /// Reads the API's object.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let counted = counted(pod);
        Self {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: pod.metadata.name.clone().unwrap_or_default(),
            status: visible(&status_word(pod)),
            ready: counted.iter().filter(|status| status.ready).count(),
            containers: expected(pod),
            restarts: counted
                .iter()
                .map(|status| u32::try_from(status.restart_count).unwrap_or(0))
                .sum(),
            node: pod
                .spec
                .as_ref()
                .and_then(|spec| spec.node_name.clone())
                .filter(|node| !node.is_empty()),
            created: pod
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|time| SystemTime::from(time.0)),
        }
    }

    /// How long it has been there, in whole seconds; zero if this machine's clock is behind.
    #[must_use]
    pub fn age_seconds(&self, now: SystemTime) -> Option<u64> {
        Some(
            now.duration_since(self.created?)
                .unwrap_or_default()
                .as_secs(),
        )
    }
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn sidecars(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten())
        .filter(|container| is_sidecar(container))
}

fn expected(pod: &Pod) -> usize {
    pod.spec.as_ref().map_or(0, |spec| spec.containers.len()) + sidecars(pod).count()
}

fn counted(pod: &Pod) -> Vec<&ContainerStatus> {
    let Some(status) = &pod.status else {
        return Vec::new();
    };
    let names: Vec<_> = sidecars(pod)
        .map(|container| container.name.as_str())
        .collect();
    let init = status
        .init_container_statuses
        .iter()
        .flatten()
        .filter(|one| names.contains(&one.name.as_str()));
    status
        .container_statuses
        .iter()
        .flatten()
        .chain(init)
        .collect()
}

fn status_word(pod: &Pod) -> String {
    let status = pod.status.as_ref();
    let reason = status
        .and_then(|status| status.reason.clone())
        .filter(|reason| !reason.is_empty());
    if pod.metadata.deletion_timestamp.is_some() {
        return if reason.as_deref() == Some("NodeLost") {
            "Unknown".to_owned()
        } else {
            "Terminating".to_owned()
        };
    }
    init_word(pod)
        .or_else(|| container_word(pod))
        .or(reason)
        .or_else(|| status.and_then(|status| status.phase.clone()))
        .unwrap_or_else(|| "Unknown".to_owned())
}

/// `Init:…` while an init container holds the pod up.
fn init_word(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.init_container_statuses.as_deref()?;
    let total = pod
        .spec
        .as_ref()?
        .init_containers
        .as_ref()
        .map_or(0, Vec::len);
    let names: Vec<_> = sidecars(pod)
        .map(|container| container.name.as_str())
        .collect();
    for (index, status) in statuses.iter().enumerate() {
        let state = status.state.as_ref();
        if let Some(ended) = state.and_then(|state| state.terminated.as_ref()) {
            if ended.exit_code == 0 {
                continue;
            }
            return Some(format!(
                "Init:{}",
                ended
                    .reason
                    .clone()
                    .unwrap_or_else(|| format!("ExitCode:{}", ended.exit_code))
            ));
        }
        if names.contains(&status.name.as_str()) && status.started == Some(true) {
            continue;
        }
        let waiting = state
            .and_then(|state| state.waiting.as_ref())
            .and_then(|waiting| waiting.reason.clone());
        return Some(match waiting {
            Some(reason) if reason != "PodInitializing" => format!("Init:{reason}"),
            _ => format!("Init:{index}/{total}"),
        });
    }
    None
}

/// The first container that does not run says why; a pod of which one still runs is running.
fn container_word(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.container_statuses.as_deref()?;
    let mut word = None;
    for status in statuses.iter().rev() {
        let Some(state) = &status.state else { continue };
        if let Some(reason) = state
            .waiting
            .as_ref()
            .and_then(|waiting| waiting.reason.clone())
        {
            word = Some(reason);
        } else if let Some(ended) = &state.terminated {
            word = Some(
                ended
                    .reason
                    .clone()
                    .filter(|reason| !reason.is_empty())
                    .unwrap_or_else(|| match ended.signal {
                        Some(signal) if signal != 0 => format!("Signal:{signal}"),
                        _ => format!("ExitCode:{}", ended.exit_code),
                    }),
            );
        }
    }
    let runs = statuses.iter().any(|status| {
        status
            .state
            .as_ref()
            .is_some_and(|state| state.running.is_some())
    });
    if runs && word.as_deref() == Some("Completed") {
        Some("Running".to_owned())
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::PodRow;
    use serde_json::json;

    fn row(pod: serde_json::Value) -> PodRow {
        PodRow::of(&serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn a_running_pod_with_a_sidecar() {
        let row = row(json!({
            "metadata": {"name": "web.1", "namespace": "shop", "creationTimestamp": "1970-01-01T00:01:00Z"},
            "spec": {
                "nodeName": "n1",
                "initContainers": [{"name": "mesh", "restartPolicy": "Always"}, {"name": "setup"}],
                "containers": [{"name": "a"}, {"name": "b"}],
            },
            "status": {"phase": "Running",
                "initContainerStatuses": [
                    {"name": "mesh", "ready": true, "started": true, "restartCount": 2, "image": "", "imageID": "", "state": {"running": {}}},
                    {"name": "setup", "ready": true, "restartCount": 7, "image": "", "imageID": "", "state": {"terminated": {"exitCode": 0}}}],
                "containerStatuses": [
                    {"name": "a", "ready": true, "restartCount": 1, "image": "", "imageID": "", "state": {"running": {}}},
                    {"name": "b", "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": {"running": {}}}]},
        }));
        assert_eq!(
            (row.status.as_str(), row.ready, row.containers, row.restarts),
            ("Running", 2, 3, 3)
        );
        assert_eq!(row.node.as_deref(), Some("n1"));
        assert_eq!(
            row.age_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(90)),
            Some(30)
        );
        assert_eq!(row.age_seconds(SystemTime::UNIX_EPOCH), Some(0));
    }

    #[test]
    fn what_says_more_than_the_phase_is_shown() {
        let of = |extra: serde_json::Value| {
            row(json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}]}, "status": extra})).status
        };
        let state = |state: serde_json::Value| json!([{"name": "a", "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": state}]);
        assert_eq!(
            of(
                json!({"phase": "Running", "containerStatuses": state(json!({"waiting": {"reason": "CrashLoopBackOff"}}))})
            ),
            "CrashLoopBackOff"
        );
        assert_eq!(
            of(json!({"phase": "Failed", "reason": "Evicted"})),
            "Evicted"
        );
        assert_eq!(
            of(
                json!({"phase": "Failed", "containerStatuses": state(json!({"terminated": {"exitCode": 3}}))})
            ),
            "ExitCode:3"
        );
        assert_eq!(
            of(json!({"phase": "Pending", "initContainerStatuses": state(json!({"running": {}}))})),
            "Init:0/1"
        );
        assert_eq!(
            of(
                json!({"phase": "Pending", "initContainerStatuses": state(json!({"waiting": {"reason": "ImagePullBackOff"}}))})
            ),
            "Init:ImagePullBackOff"
        );
        assert_eq!(of(json!({"phase": "Pending"})), "Pending");
        assert_eq!(row(json!({"metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Running"}})).status, "Terminating");
    }
}
