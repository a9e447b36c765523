//! From what a user typed to pods, their containers and what becomes of them.

mod choose;
mod follow;
mod pod;
mod reference;
mod row;
mod select;
mod target_error;
mod watch;

use std::collections::HashSet;

use futures_util::stream::{self, Stream};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, ListParams};

pub use choose::{Choice, Odd};
pub use follow::Change;
pub use pod::{ContainerId, ContainerKind, ContainerState, PodName, TargetContainer, TargetPod};
pub use reference::{OwnerKind, Reference, ReferenceError};
pub use row::PodRow;
use select::Selection;
pub use target_error::TargetError;

use crate::client::listing;
use crate::text::{list as several, visible};
use crate::{Cluster, Error};

/// Which pods: `x-tracer trace` with its arguments and options.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Where; `None` is all namespaces (`-A`).
    pub namespace: Option<String>,
    /// What was named, in the order of the command line.
    pub references: Vec<Reference>,
    /// `-l`; narrows down names as well.
    pub labels: Option<String>,
    /// `--field-selector`.
    pub fields: Option<String>,
    /// `--node`: only pods of this node.
    pub node: Option<String>,
}

/// All namespaces, in the API's order.
///
/// # Errors
/// [`crate::error::ApiError`].
pub async fn namespaces(cluster: &Cluster) -> Result<Vec<String>, Error> {
    let api: Api<Namespace> = Api::all(cluster.client());
    let found = listing::all(cluster, &api, &ListParams::default(), "list the namespaces").await?;
    Ok(found
        .items
        .into_iter()
        .filter_map(|namespace| namespace.metadata.name)
        .collect())
}

/// All pods of a namespace, or of all, in whatever phase, in the API's order.
///
/// # Errors
/// [`crate::error::ApiError`].
pub async fn pods(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<PodRow>, Error> {
    let (api, doing): (Api<Pod>, _) = match namespace {
        None => (
            Api::all(cluster.client()),
            "list the pods of all namespaces".to_owned(),
        ),
        Some(namespace) => {
            reference::check_namespace(namespace).map_err(TargetError::from)?;
            (
                Api::namespaced(cluster.client(), namespace),
                format!("list the pods of the namespace {namespace}"),
            )
        }
    };
    let found = listing::all(cluster, &api, &ListParams::default(), &doing).await?;
    Ok(found.items.iter().map(PodRow::of).collect())
}

/// The names of all owners of a kind in a namespace, in the API's order.
///
/// # Errors
/// [`crate::error::ApiError`].
pub async fn owners(
    cluster: &Cluster,
    kind: OwnerKind,
    namespace: &str,
) -> Result<Vec<String>, Error> {
    reference::check_namespace(namespace).map_err(TargetError::from)?;
    select::owner_names(cluster, kind, namespace).await
}

/// The pods of a query, per selection, as they are now.
#[derive(Debug, Clone)]
pub struct Targets {
    found: Vec<(Selection, Vec<TargetPod>)>,
}

impl Targets {
    /// The pods, each once, in the order of the query.
    #[must_use]
    pub fn pods(&self) -> Vec<&TargetPod> {
        let mut seen = HashSet::new();
        self.found
            .iter()
            .flat_map(|(_, pods)| pods)
            .filter(|pod| seen.insert(&pod.uid))
            .collect()
    }

    /// What becomes of these pods and of others that match, from now on and without an end.
    ///
    /// Only what differs from [`Targets::pods`] is told, beginning with what happened between that list
    /// and this watch. A watch that drops is begun again, with growing pauses, and announced by
    /// [`Change::Interrupted`] and [`Change::Resumed`]. A pod that several references of the query match
    /// is told of by each of them.
    pub fn watch(&self, cluster: &Cluster) -> impl Stream<Item = Change> + Send + use<> {
        stream::select_all(
            self.found
                .iter()
                .map(|(selection, pods)| watch::watch(cluster, selection, pods)),
        )
    }
}

/// The pods that match a query now.
///
/// # Errors
/// [`TargetError`] if one of the references, or the query as a whole, matches nothing; [`crate::error::ApiError`].
pub async fn resolve(cluster: &Cluster, query: &Query) -> Result<Targets, Error> {
    let targets = resolve_if_any(cluster, query).await?;
    for (selection, pods) in &targets.found {
        if pods.is_empty() {
            return Err(nothing_there(cluster, selection).await.into());
        }
    }
    Ok(targets)
}

/// The same, where nothing may match yet: for waiting until something does.
///
/// # Errors
/// [`TargetError`] for an owner that is not there, [`crate::error::ApiError`].
pub async fn resolve_if_any(cluster: &Cluster, query: &Query) -> Result<Targets, Error> {
    let mut found = Vec::new();
    for selection in select::select(cluster, query).await? {
        let mut params = ListParams::default();
        params.label_selector.clone_from(&selection.labels);
        params.field_selector.clone_from(&selection.fields);
        let pods = listing::all(
            cluster,
            &selection.api(cluster),
            &params,
            &selection.doing("list"),
        )
        .await?;
        found.push((selection, pods.items.iter().map(TargetPod::of).collect()));
    }
    Ok(Targets { found })
}

async fn nothing_there(cluster: &Cluster, selection: &Selection) -> TargetError {
    if let Some(namespace) = &selection.namespace
        && is_unknown(cluster, namespace).await
    {
        let namespace = namespace.clone();
        return TargetError::NoNamespace { namespace };
    }
    let Some(name) = &selection.name else {
        return TargetError::NoMatch {
            what: visible(&selection.asked),
            namespace: selection.place(),
            arguments: selection.kubectl_arguments(),
        };
    };
    let hint = match &selection.namespace {
        None => "; check the name with: kubectl get pods -A".to_owned(),
        // Only to help: when this list fails, the first answer stands.
        Some(namespace) => match pods(cluster, Some(namespace)).await {
            Ok(rows) if rows.is_empty() => {
                "; that namespace has no pods: choose another with -n".to_owned()
            }
            Ok(rows) => {
                let names: Vec<_> = rows.into_iter().map(|row| row.name).collect();
                format!("; it has: {}", several(&names))
            }
            Err(_) => "; check the name and the namespace".to_owned(),
        },
    };
    TargetError::NotFound {
        kind: "pod",
        name: name.clone(),
        namespace: selection.place(),
        hint,
    }
}

/// Whether it is certain that there is no such namespace: who may not ask does not know.
async fn is_unknown(cluster: &Cluster, namespace: &str) -> bool {
    let api: Api<Namespace> = Api::all(cluster.client());
    let one = ListParams::default().fields(&format!("metadata.name={namespace}"));
    let found = listing::all(cluster, &api, &one, "list the namespaces").await;
    found.is_ok_and(|found| found.items.is_empty())
}
