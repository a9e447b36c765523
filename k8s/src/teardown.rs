//! A session's end: nothing of it stays, or what stays has a name.

mod leftovers;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::api::{Api, DeleteParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

pub use leftovers::{Leftover, LeftoverState, leftovers};

use crate::client::{Seen, Watching};
use crate::error::{ApiError, Cause, Kind};
use crate::manifest::{Session, service_name};
use crate::text::{list, visible};
use crate::{Cluster, Error};

/// Something of a session could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "of the session {session} this stays in the namespace {namespace}: {}; remove it with: {}",
    list(left),
    command(namespace, session)
)]
pub struct TeardownError {
    /// The session.
    pub session: String,
    /// The namespace of its agents.
    pub namespace: String,
    /// What stays and why, one thing each.
    pub left: Vec<String>,
    /// The cluster refused, as opposed to not having been quick enough.
    pub forbidden: bool,
}

impl TeardownError {
    pub(crate) fn kind(&self) -> Kind {
        if self.forbidden {
            Kind::Forbidden
        } else {
            Kind::Failed
        }
    }
}

/// What a user types to do the same by hand.
#[must_use]
pub fn command(namespace: &str, session: &str) -> String {
    format!("kubectl delete pods,secrets,services -n {namespace} -l x-tracer/session={session}")
}

/// Deletes all pods of a session with what belongs to them, and waits until they are gone.
///
/// May be repeated. Returns the names of the pods that it removed. A server that cannot be reached is
/// tried again until the deadline.
///
/// # Errors
/// [`TeardownError`] naming what stays.
pub async fn tear_down(
    cluster: &Cluster,
    namespace: &str,
    session: &Session,
    deadline: Duration,
) -> Result<Vec<String>, Error> {
    let mut removal = Removal {
        cluster,
        namespace,
        seen: BTreeMap::new(),
        trouble: BTreeMap::new(),
        forbidden: false,
    };
    match tokio::time::timeout_at(Instant::now() + deadline, removal.run(session)).await {
        Ok(()) if removal.trouble.is_empty() => Ok(removal.seen.into_keys().collect()),
        Ok(()) => Err(removal.error(session)),
        Err(_) => {
            removal.name_what_stays();
            Err(removal.error(session))
        }
    }
}

struct Removal<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    /// Every pod of the session that was seen, and what keeps it; `None` once it is gone.
    seen: BTreeMap<String, Option<String>>,
    /// What could not be deleted and why.
    trouble: BTreeMap<String, String>,
    forbidden: bool,
}

impl Removal<'_> {
    async fn run(&mut self, session: &Session) {
        let api: Api<Pod> = Api::namespaced(self.cluster.client(), self.namespace);
        let doing = format!("watch the pods of the namespace {}", self.namespace);
        let mut pods = Watching::new(self.cluster, api, doing).labels(Some(session.selector()));
        loop {
            match pods.next().await {
                Seen::Listed(listed) => {
                    for gone in self.seen.values_mut() {
                        *gone = None;
                    }
                    self.trouble.remove("pods");
                    for pod in &listed {
                        self.remove(pod).await;
                    }
                }
                Seen::Changed(pod) => self.remove(&pod).await,
                Seen::Removed(pod) => {
                    self.seen.insert(pod.name_any(), None);
                }
                Seen::Failed(cause) => {
                    let refused =
                        matches!(cause, Cause::Forbidden { .. } | Cause::Unauthorized { .. });
                    self.trouble.insert("pods".to_owned(), cause.to_string());
                    self.forbidden |= refused;
                    if refused {
                        return;
                    }
                    continue;
                }
            }
            if self
                .seen
                .iter()
                .all(|(name, kept)| kept.is_none() || self.trouble.contains_key(name))
            {
                return;
            }
        }
    }

    async fn remove(&mut self, pod: &Pod) {
        let name = pod.name_any();
        let first_time = self
            .seen
            .insert(name.clone(), Some(what_keeps(pod)))
            .is_none();
        if pod.metadata.deletion_timestamp.is_some() && !first_time {
            return;
        }
        self.delete::<Pod>(&name).await;
        self.delete::<Secret>(&name).await;
        if let Some(service) = service_name(&name) {
            self.delete::<Service>(&service).await;
        }
    }

    async fn delete<K>(&mut self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.cluster.client(), self.namespace);
        let what = format!("{} {name}", K::kind(&()).to_lowercase());
        let doing = format!("delete the {what} of the namespace {}", self.namespace);
        match self
            .cluster
            .call(doing, api.delete(name, &DeleteParams::default()))
            .await
        {
            Ok(_) => {
                self.trouble.remove(name);
            }
            Err(error) if error.is_not_found() => {}
            Err(ApiError { cause, .. }) => {
                self.forbidden |=
                    matches!(cause, Cause::Forbidden { .. } | Cause::Unauthorized { .. });
                self.trouble
                    .insert(name.to_owned(), format!("{what} ({cause})"));
            }
        }
    }

    fn name_what_stays(&mut self) {
        for (name, kept) in &self.seen {
            if let Some(why) = kept {
                self.trouble
                    .entry(name.clone())
                    .or_insert_with(|| format!("pod {name} ({why})"));
            }
        }
        if self.trouble.is_empty() {
            self.trouble.insert(
                "pods".to_owned(),
                "its pods, which could not be listed in time".to_owned(),
            );
        }
    }

    fn error(self, session: &Session) -> Error {
        TeardownError {
            session: session.to_string(),
            namespace: self.namespace.to_owned(),
            left: self.trouble.into_values().collect(),
            forbidden: self.forbidden,
        }
        .into()
    }
}

/// Why a pod that was deleted is still there.
fn what_keeps(pod: &Pod) -> String {
    let finalizers = pod.finalizers();
    if !finalizers.is_empty() {
        return visible(&format!("held by the finalizers {}", finalizers.join(", ")));
    }
    let node = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.node_name.as_deref())
        .unwrap_or_default();
    if node.is_empty() {
        "not scheduled".to_owned()
    } else {
        format!("the node {node} has not confirmed its end")
    }
}
