//! What earlier sessions left behind.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::client::listing;
use crate::manifest::{AGENT, APP, MADE_BY, MANAGED_BY, MANAGER, SESSION, Session};
use crate::text::visible;
use crate::{Cluster, Error};

/// A pod that has not started for so long is nobody's any more: no hub waits that long.
const ABANDONED_AFTER: Duration = Duration::from_secs(15 * 60);

/// The pods of one session, found in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The session.
    pub session: Session,
    /// The namespace of its pods.
    pub namespace: String,
    /// Names of its pods.
    pub pods: Vec<String>,
    /// Who started it, as `user@machine`, if that is known. Anybody who may make pods can write this.
    pub made_by: Option<String>,
    /// When its first pod was made.
    pub created: Option<SystemTime>,
    /// Whether somebody still uses it.
    pub state: LeftoverState,
}

/// Whether a session is over.
///
/// An agent ends itself within two minutes after nobody listens any more. So an agent that runs has a
/// hub, and one that has ended has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftoverState {
    /// All agents have ended, or never came up: to be swept.
    Over,
    /// An agent runs: another hub's session. Sweeping it would end that trace.
    InUse,
    /// It is coming up.
    Starting,
}

/// All sessions that have pods in a namespace, or anywhere; those that are over first.
///
/// # Errors
/// [`crate::error::ApiError`].
pub async fn leftovers(
    cluster: &Cluster,
    namespace: Option<&str>,
    now: SystemTime,
) -> Result<Vec<Leftover>, Error> {
    let (api, doing): (Api<Pod>, _) = match namespace {
        Some(namespace) => (
            Api::namespaced(cluster.client(), namespace),
            format!("list the pods of the namespace {namespace}"),
        ),
        None => (
            Api::all(cluster.client()),
            "list the pods of all namespaces".to_owned(),
        ),
    };
    let params = ListParams::default().labels(&format!("{MANAGED_BY}={MANAGER},{SESSION}"));
    Ok(grouped(
        &listing::all(cluster, &api, &params, &doing).await?.items,
        now,
    ))
}

fn grouped(pods: &[Pod], now: SystemTime) -> Vec<Leftover> {
    let mut sessions: BTreeMap<(String, String), Vec<&Pod>> = BTreeMap::new();
    for pod in pods {
        let session = pod.labels().get(SESSION).cloned().unwrap_or_default();
        sessions
            .entry((pod.namespace().unwrap_or_default(), session))
            .or_default()
            .push(pod);
    }
    let mut found: Vec<_> = sessions
        .into_iter()
        // A label that no session of ours has was set by somebody else, and so was that pod.
        .filter_map(|((namespace, session), pods)| {
            Some(leftover(session.parse().ok()?, namespace, &pods, now))
        })
        .collect();
    found.sort_by_key(|leftover| (leftover.state, leftover.created));
    found
}

fn leftover(session: Session, namespace: String, pods: &[&Pod], now: SystemTime) -> Leftover {
    Leftover {
        session,
        namespace,
        pods: pods.iter().map(|pod| pod.name_any()).collect(),
        made_by: pods
            .iter()
            .find_map(|pod| pod.annotations().get(MADE_BY))
            .map(|who| visible(who)),
        created: pods.iter().filter_map(|pod| created(pod)).min(),
        state: state(pods, now),
    }
}

fn state(pods: &[&Pod], now: SystemTime) -> LeftoverState {
    let phase = |pod: &Pod| {
        pod.status
            .as_ref()
            .and_then(|status| status.phase.clone())
            .unwrap_or_default()
    };
    let agents: Vec<_> = pods
        .iter()
        .filter(|pod| pod.labels().get(APP).is_some_and(|app| app == AGENT))
        .collect();
    if agents.iter().any(|pod| phase(pod) == "Running") {
        return LeftoverState::InUse;
    }
    let young = |pod: &Pod| {
        created(pod)
            .is_some_and(|then| now.duration_since(then).unwrap_or_default() < ABANDONED_AFTER)
    };
    // Before its first agent, a session may have its NATS server only.
    let coming_up = agents
        .iter()
        .any(|pod| !matches!(phase(pod).as_str(), "Succeeded" | "Failed") && young(pod));
    if coming_up || agents.is_empty() && pods.iter().any(|pod| young(pod)) {
        return LeftoverState::Starting;
    }
    LeftoverState::Over
}

fn created(pod: &Pod) -> Option<SystemTime> {
    pod.metadata
        .creation_timestamp
        .as_ref()
        .map(|time| SystemTime::from(time.0))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{LeftoverState, Pod, grouped};
    use serde_json::json;

    const START: &str = "1970-01-01T00:00:00Z";

    fn pod(session: &str, app: &str, phase: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": format!("{app}-{session}"), "namespace": "x", "creationTimestamp": START,
                "labels": {"app": app, "x-tracer/session": session, "app.kubernetes.io/managed-by": "x-tracer"},
                "annotations": {"x-tracer/made-by": "me@\u{1b}host"}},
            "status": {"phase": phase},
        }))
        .unwrap()
    }

    fn state_of(pods: &[Pod], minutes: u64) -> LeftoverState {
        let found = grouped(
            pods,
            SystemTime::UNIX_EPOCH + Duration::from_secs(minutes * 60),
        );
        assert_eq!(found.len(), 1);
        found[0].state
    }

    #[test]
    fn an_agent_that_runs_has_a_hub() {
        let nats = pod("s", "x-tracer-nats", "Running");
        assert_eq!(
            state_of(&[pod("s", "x-agent", "Running"), nats.clone()], 999),
            LeftoverState::InUse
        );
        assert_eq!(
            state_of(&[pod("s", "x-agent", "Succeeded"), nats.clone()], 1),
            LeftoverState::Over
        );
        assert_eq!(
            state_of(&[pod("s", "x-agent", "Pending")], 1),
            LeftoverState::Starting
        );
        assert_eq!(
            state_of(&[pod("s", "x-agent", "Pending")], 16),
            LeftoverState::Over
        );
        assert_eq!(
            state_of(std::slice::from_ref(&nats), 1),
            LeftoverState::Starting
        );
        assert_eq!(state_of(&[nats], 16), LeftoverState::Over);
    }

    #[test]
    fn sessions_are_told_apart_and_foreign_labels_left_alone() {
        let pods = [
            pod("b", "x-agent", "Running"),
            pod("a", "x-agent", "Failed"),
            pod("NOT_OURS", "x-agent", "Failed"),
        ];
        let found = grouped(&pods, SystemTime::UNIX_EPOCH);
        let names: Vec<_> = found
            .iter()
            .map(|leftover| leftover.session.as_str())
            .collect();
        assert_eq!(names, ["a", "b"], "what is over comes first");
        assert_eq!(found[0].made_by.as_deref(), Some("me@\\u{1b}host"));
    }
}
