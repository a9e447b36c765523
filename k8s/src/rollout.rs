//! From objects to a running agent, or to the reason why not.

mod ended;
mod explain;
mod milestone;
mod progress;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};
use serde::Serialize;
use tokio::time::Instant;

pub use ended::{Ended, ended};
pub use explain::RolloutError;
pub use milestone::{Milestone, Running};

use crate::client::{Namespaced, Seen, Watching};
use crate::error::{ApiError, Cause};
use crate::manifest::{Bundle, MANAGED_BY, MANAGER, SESSION};
use crate::{Cluster, Error};
use progress::{Progress, Step};

/// Makes a bundle and waits until its pod runs (and is ready, if it says what ready means).
///
/// `tell` hears each [`Milestone`] once. Dropping the future stops the waiting and removes nothing:
/// [`crate::teardown`] does. The names are fixed for a session, so that doing it twice finds what the
/// first did: kube repeats requests that a busy server turned away, and a repeated create meets its own work.
///
/// # Errors
/// [`RolloutError`] with the pod's events when it does not come up in time or cannot,
/// [`ApiError`] when the server refuses.
pub async fn roll_out(
    cluster: &Cluster,
    bundle: &Bundle,
    deadline: Duration,
    mut tell: impl FnMut(Milestone) + Send,
) -> Result<Running, Error> {
    let until = Instant::now() + deadline;
    let pod = create_pod(cluster, bundle).await?;
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        ..OwnerReference::default()
    };
    // After the pod, because an owner must exist; long before the kubelet looks for them.
    if let Some(secret) = &bundle.secret {
        create_owned(cluster, bundle.namespace(), secret, &owner).await?;
    }
    if let Some(service) = &bundle.service {
        create_owned(cluster, bundle.namespace(), service, &owner).await?;
    }
    tell(Milestone::Created);
    wait(cluster, bundle, &pod, until, deadline, &mut tell).await
}

async fn create_pod(cluster: &Cluster, bundle: &Bundle) -> Result<Pod, Error> {
    let (namespace, name) = (bundle.namespace(), bundle.name());
    let api: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let doing = format!("create the pod {namespace}/{name}");
    match cluster
        .call(&doing, api.create(&PostParams::default(), &bundle.pod))
        .await
    {
        Ok(pod) => Ok(pod),
        Err(error) if error.is_conflict() => {
            let there = cluster
                .call(format!("read the pod {namespace}/{name}"), api.get(name))
                .await?;
            if is_same_session(&there, &bundle.pod) && there.metadata.deletion_timestamp.is_none() {
                Ok(there)
            } else {
                Err(RolloutError::Taken {
                    pod: format!("{namespace}/{name}"),
                }
                .into())
            }
        }
        Err(error) => Err(explain::refused_create(namespace, error)),
    }
}

fn is_same_session(there: &Pod, wanted: &Pod) -> bool {
    let session = wanted.labels().get(SESSION);
    session.is_some()
        && there.labels().get(SESSION) == session
        && there
            .labels()
            .get(MANAGED_BY)
            .is_some_and(|manager| manager == MANAGER)
}

/// Secrets and Services. What has such a name already can only be an earlier attempt of this session,
/// and is made anew: reading it to be sure would take the right to read Secrets.
async fn create_owned<K: Namespaced + Serialize>(
    cluster: &Cluster,
    namespace: &str,
    object: &K,
    owner: &OwnerReference,
) -> Result<(), Error> {
    let api: Api<K> = Api::namespaced(cluster.client(), namespace);
    let mut child = object.clone();
    child.meta_mut().owner_references = Some(vec![owner.clone()]);
    let name = child.name_any();
    let what = format!("the {} {namespace}/{name}", K::kind(&()));
    let params = PostParams::default();
    let create = || cluster.call(format!("create {what}"), api.create(&params, &child));
    match create().await {
        Err(error) if error.is_conflict() => {
            match cluster
                .call(
                    format!("replace {what}"),
                    api.delete(&name, &DeleteParams::default()),
                )
                .await
            {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
            create().await?;
        }
        Err(error) => return Err(explain::refused_create(namespace, error)),
        Ok(_) => {}
    }
    Ok(())
}

async fn wait(
    cluster: &Cluster,
    bundle: &Bundle,
    created: &Pod,
    until: Instant,
    deadline: Duration,
    tell: &mut (impl FnMut(Milestone) + Send),
) -> Result<Running, Error> {
    let (namespace, name) = (bundle.namespace(), bundle.name());
    let uid = created.uid().unwrap_or_default();
    let mut pods = Watching::new(
        cluster,
        Api::<Pod>::namespaced(cluster.client(), namespace),
        format!("watch the pod {namespace}/{name}"),
    )
    .fields(Some(format!("metadata.name={name}")));
    let mut events = Watching::new(
        cluster,
        Api::<Event>::namespaced(cluster.client(), namespace),
        format!("watch the events of {namespace}/{name}"),
    )
    .fields(Some(format!("involvedObject.uid={uid}")));
    let mut events_allowed = true;
    let mut progress = Progress::new(format!("{namespace}/{name}"), uid);
    loop {
        let step = tokio::select! {
            seen = pods.next() => match seen {
                Seen::Listed(listed) => progress.listed(&listed, Instant::now()),
                Seen::Changed(pod) => progress.shown(&pod, Instant::now()),
                Seen::Removed(pod) => progress.removed(&pod),
                Seen::Failed(cause @ (Cause::Forbidden { .. } | Cause::Unauthorized { .. })) => {
                    return Err(ApiError { doing: format!("watch the pod {namespace}/{name}"), cause }.into());
                }
                Seen::Failed(cause) => Step::Milestones(vec![Milestone::Unwatched(cause)]),
            },
            seen = events.next(), if events_allowed => match seen {
                Seen::Listed(listed) => progress.events(&listed),
                Seen::Changed(event) => progress.events(&[event]),
                // Reasons are a help: without the right to read them the pod's status must do.
                Seen::Failed(Cause::Forbidden { .. }) => { events_allowed = false; Step::Milestones(Vec::new()) }
                Seen::Removed(_) | Seen::Failed(_) => Step::Milestones(Vec::new()),
            },
            () = tokio::time::sleep_until(progress.give_up_at(until)) => return Err(progress.too_late(deadline).into()),
        };
        match step {
            Step::Milestones(milestones) => milestones.into_iter().for_each(&mut *tell),
            Step::Running(milestones, running) => {
                milestones.into_iter().for_each(&mut *tell);
                tell(Milestone::Running(running.clone()));
                return Ok(running);
            }
            Step::Failed(error) => return Err(error.into()),
        }
    }
}
