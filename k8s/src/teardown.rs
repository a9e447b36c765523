//! A session's end: nothing of it stays, or what stays has a name.

mod leftovers;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};

pub use leftovers::{Leftover, LeftoverState, leftovers};

use crate::client::{Namespaced, Seen, Watching};
use crate::error::{ApiError, Cause, Kind};
use crate::manifest::{AGENT, APP, Session, service_name};
use crate::text::{list, visible};
use crate::{Cluster, Error};

/// Pause before a deletion that failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);

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
/// May be repeated. Returns the names of the pods that it removed. What fails for a reason that may pass
/// is tried again until the deadline; the reason is told when it begins.
///
/// # Errors
/// [`TeardownError`] naming what stays.
pub async fn tear_down(
    cluster: &Cluster,
    namespace: &str,
    session: &Session,
    deadline: Duration,
    tell: impl FnMut(&Cause) + Send,
) -> Result<Vec<String>, Error> {
    let all = session.selector();
    remove(cluster, namespace, session, (all, None), deadline, tell).await
}

/// The same for the agents alone: their last words still need the session's NATS server.
///
/// # Errors
/// [`TeardownError`] naming what stays.
pub async fn end_agents(
    cluster: &Cluster,
    namespace: &str,
    session: &Session,
    deadline: Duration,
    tell: impl FnMut(&Cause) + Send,
) -> Result<Vec<String>, Error> {
    let agents = format!("{},{APP}={AGENT}", session.selector());
    remove(cluster, namespace, session, (agents, None), deadline, tell).await
}

/// The same for one pod and what belongs to it, so that another one can have its name.
///
/// # Errors
/// [`TeardownError`] naming what stays.
pub async fn end_one(
    cluster: &Cluster,
    namespace: &str,
    session: &Session,
    pod: &str,
    deadline: Duration,
    tell: impl FnMut(&Cause) + Send,
) -> Result<Vec<String>, Error> {
    let all = session.selector();
    let one = Some(format!("metadata.name={pod}"));
    remove(cluster, namespace, session, (all, one), deadline, tell).await
}

async fn remove(
    cluster: &Cluster,
    namespace: &str,
    session: &Session,
    (labels, fields): (String, Option<String>),
    deadline: Duration,
    mut tell: impl FnMut(&Cause) + Send,
) -> Result<Vec<String>, Error> {
    let mut removal = Removal {
        cluster,
        namespace,
        listed: Err("they could not be listed in time".to_owned()),
        pods: BTreeMap::new(),
        trouble: BTreeMap::new(),
        refused: false,
        tell: &mut tell,
        told: false,
    };
    // Late or not, what is left says it.
    tokio::time::timeout(deadline, removal.run(labels, fields))
        .await
        .ok();
    let left = removal.left();
    if left.is_empty() {
        return Ok(removal.pods.into_keys().collect());
    }
    Err(TeardownError {
        session: session.to_string(),
        namespace: namespace.to_owned(),
        left,
        forbidden: removal.refused,
    }
    .into())
}

/// What a session is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Pod,
    Secret,
    Service,
}

/// Why something could not be deleted.
struct Trouble {
    why: String,
    /// Trying again makes no difference.
    lasting: bool,
}

struct Removal<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    /// The pods are known; or why they are not.
    listed: Result<(), String>,
    /// Every pod of the session that was seen, and what keeps it; `None` once it is gone.
    pods: BTreeMap<String, Option<String>>,
    trouble: BTreeMap<(Thing, String), Trouble>,
    /// The cluster said no to something.
    refused: bool,
    /// Told of what holds the removal up for now.
    tell: &'a mut (dyn FnMut(&Cause) + Send),
    /// Whether it was told, and nothing has gone well since.
    told: bool,
}

impl Removal<'_> {
    async fn run(&mut self, labels: String, fields: Option<String>) {
        let api: Api<Pod> = Api::namespaced(self.cluster.client(), self.namespace);
        let doing = format!("watch the pods of the namespace {}", self.namespace);
        let mut pods = Watching::new(self.cluster, api, doing)
            .labels(Some(labels))
            .fields(fields);
        while !self.is_settled() {
            let again = self.trouble.values().any(|trouble| !trouble.lasting);
            tokio::select! {
                seen = pods.next() => match seen {
                    Seen::Listed(listed) => {
                        self.listed = Ok(());
                        self.told = false;
                        self.pods.values_mut().for_each(|kept| *kept = None);
                        for pod in &listed {
                            self.remove(pod).await;
                        }
                    }
                    Seen::Changed(pod) => self.remove(&pod).await,
                    Seen::Removed(pod) => {
                        self.pods.insert(pod.name_any(), None);
                    }
                    Seen::Failed(cause) => {
                        self.listed = Err(cause.to_string());
                        if cause.is_refusal() {
                            self.refused = true;
                            return;
                        }
                        self.held_up(&cause);
                    }
                },
                () = tokio::time::sleep(AGAIN), if again => {
                    let open: Vec<_> = self.trouble.keys().cloned().collect();
                    for (thing, name) in open {
                        self.delete(thing, &name).await;
                    }
                }
            }
        }
    }

    /// Nothing is left to do: all is gone, or what stays stays for a reason that lasts.
    fn is_settled(&self) -> bool {
        let given_up = |name: &String| self.trouble.contains_key(&(Thing::Pod, name.clone()));
        self.listed.is_ok()
            && self.trouble.values().all(|trouble| trouble.lasting)
            && self
                .pods
                .iter()
                .all(|(name, kept)| kept.is_none() || given_up(name))
    }

    async fn remove(&mut self, pod: &Pod) {
        let name = pod.name_any();
        let first_time = self
            .pods
            .insert(name.clone(), Some(what_keeps(pod)))
            .is_none();
        if !first_time {
            return;
        }
        self.delete(Thing::Pod, &name).await;
        self.delete(Thing::Secret, &name).await;
        if let Some(service) = service_name(&name) {
            self.delete(Thing::Service, &service).await;
        }
    }

    async fn delete(&mut self, thing: Thing, name: &str) {
        let outcome = match thing {
            Thing::Pod => ask::<Pod>(self.cluster, self.namespace, name).await,
            Thing::Secret => ask::<Secret>(self.cluster, self.namespace, name).await,
            Thing::Service => ask::<Service>(self.cluster, self.namespace, name).await,
        };
        let key = (thing, name.to_owned());
        match outcome {
            Err(error) if !error.is_not_found() => {
                let lasting = error.cause.is_refusal();
                self.refused |= lasting;
                if !lasting {
                    self.held_up(&error.cause);
                }
                self.trouble.insert(
                    key,
                    Trouble {
                        why: error.cause.to_string(),
                        lasting,
                    },
                );
            }
            _ => {
                self.trouble.remove(&key);
            }
        }
    }

    /// For a reason that may pass.
    fn held_up(&mut self, cause: &Cause) {
        if !std::mem::replace(&mut self.told, true) {
            (self.tell)(cause);
        }
    }

    /// What stays and why, one thing each.
    fn left(&self) -> Vec<String> {
        let unlisted = self
            .listed
            .as_ref()
            .err()
            .map(|why| format!("its pods ({why})"));
        let refused = self.trouble.iter().map(|((thing, name), trouble)| {
            format!(
                "{} {name} ({})",
                format!("{thing:?}").to_lowercase(),
                trouble.why
            )
        });
        let kept = self
            .pods
            .iter()
            .filter(|(name, _)| !self.trouble.contains_key(&(Thing::Pod, (*name).clone())))
            .filter_map(|(name, kept)| Some(format!("pod {name} ({})", kept.as_ref()?)));
        unlisted.into_iter().chain(refused).chain(kept).collect()
    }
}

/// Deletes one thing.
async fn ask<K: Namespaced>(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<(), ApiError> {
    let api: Api<K> = Api::namespaced(cluster.client(), namespace);
    let doing = format!("delete the {} {namespace}/{name}", K::kind(&()));
    cluster
        .call(doing, api.delete(name, &DeleteParams::default()))
        .await
        .map(drop)
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
