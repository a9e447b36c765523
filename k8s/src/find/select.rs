//! From a query to lists of pods: owners are asked for their selectors.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{Api, ListParams};
use kube::core::Selector;

use super::{OwnerKind, Query, Reference, TargetError, reference};
use crate::client::Namespaced;
use crate::text::visible;
use crate::{Cluster, Error};

/// One list or watch of pods: what a [`Query`] comes to after its owners were asked for their selectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    /// Where; `None` is all namespaces.
    pub(super) namespace: Option<String>,
    /// Label selector, as text.
    pub(super) labels: Option<String>,
    /// Field selector, as text.
    pub(super) fields: Option<String>,
    /// What it was made from, for messages.
    pub(super) asked: String,
    pub(super) name: Option<String>,
}

impl Selection {
    pub(super) fn api(&self, cluster: &Cluster) -> Api<Pod> {
        match &self.namespace {
            Some(namespace) => Api::namespaced(cluster.client(), namespace),
            None => Api::all(cluster.client()),
        }
    }

    pub(super) fn place(&self) -> String {
        self.namespace.clone().unwrap_or_else(|| "any".to_owned())
    }

    pub(super) fn doing(&self, verb: &str) -> String {
        match &self.namespace {
            Some(namespace) => format!("{verb} the pods of the namespace {namespace}"),
            None => format!("{verb} the pods of all namespaces"),
        }
    }

    pub(super) fn kubectl_arguments(&self) -> String {
        let mut arguments = vec![match &self.namespace {
            Some(namespace) => format!("-n {namespace}"),
            None => "-A".to_owned(),
        }];
        arguments.extend(self.labels.iter().map(|labels| format!("-l '{labels}'")));
        arguments.extend(
            self.fields
                .iter()
                .map(|fields| format!("--field-selector '{fields}'")),
        );
        visible(&arguments.join(" "))
    }
}

/// Turns a query into lists of pods, asking owners for their selectors.
pub(super) async fn select(cluster: &Cluster, query: &Query) -> Result<Vec<Selection>, Error> {
    if let Some(namespace) = &query.namespace {
        reference::check_namespace(namespace).map_err(TargetError::from)?;
    }
    let everything = Selection {
        namespace: query.namespace.clone(),
        labels: query.labels.clone(),
        fields: joined(
            query.fields.clone(),
            query
                .node
                .as_ref()
                .map(|node| format!("spec.nodeName={node}")),
        ),
        asked: query
            .labels
            .as_ref()
            .map_or_else(|| "anything".to_owned(), |labels| format!("-l {labels}")),
        name: None,
    };
    if query.references.is_empty() {
        return Ok(vec![everything]);
    }
    let mut selections = Vec::with_capacity(query.references.len());
    for reference in &query.references {
        let mut selection = everything.clone();
        selection.asked = reference.to_string();
        match reference {
            Reference::Pod(name) => {
                selection.fields = joined(
                    Some(format!("metadata.name={name}")),
                    everything.fields.clone(),
                );
                selection.name = Some(name.clone());
            }
            Reference::Owner(kind, name) => {
                let namespace =
                    query
                        .namespace
                        .as_deref()
                        .ok_or_else(|| TargetError::OwnerEverywhere {
                            what: reference.to_string(),
                        })?;
                let labels = owner_selector(cluster, *kind, namespace, name).await?;
                selection.labels = joined(Some(labels), everything.labels.clone());
            }
        }
        selections.push(selection);
    }
    Ok(selections)
}

async fn owner_selector(
    cluster: &Cluster,
    kind: OwnerKind,
    namespace: &str,
    name: &str,
) -> Result<String, Error> {
    let selector = match kind {
        OwnerKind::Deployment => get_owner::<Deployment>(cluster, kind, namespace, name)
            .await?
            .spec
            .map(|spec| spec.selector),
        OwnerKind::StatefulSet => get_owner::<StatefulSet>(cluster, kind, namespace, name)
            .await?
            .spec
            .map(|spec| spec.selector),
        OwnerKind::DaemonSet => get_owner::<DaemonSet>(cluster, kind, namespace, name)
            .await?
            .spec
            .map(|spec| spec.selector),
        OwnerKind::ReplicaSet => get_owner::<ReplicaSet>(cluster, kind, namespace, name)
            .await?
            .spec
            .map(|spec| spec.selector),
        OwnerKind::Job => get_owner::<Job>(cluster, kind, namespace, name)
            .await?
            .spec
            .and_then(|spec| spec.selector),
    };
    Ok(
        selector_text(selector.unwrap_or_default()).map_err(|reason| TargetError::NoSelector {
            what: format!("{kind}/{name}"),
            reason,
        })?,
    )
}

/// An owner's selector as the API takes it. An empty one would select every pod of the namespace.
fn selector_text(selector: LabelSelector) -> Result<String, String> {
    let selector = Selector::try_from(selector).map_err(|error| visible(&error.to_string()))?;
    if selector.selects_all() {
        return Err("it is empty".to_owned());
    }
    Ok(selector.to_string())
}

async fn get_owner<K: Namespaced>(
    cluster: &Cluster,
    kind: OwnerKind,
    namespace: &str,
    name: &str,
) -> Result<K, Error> {
    let api: Api<K> = Api::namespaced(cluster.client(), namespace);
    let found = cluster
        .call(
            format!("read {kind}/{name} of the namespace {namespace}"),
            api.get_opt(name),
        )
        .await?;
    found.ok_or_else(|| {
        let hint = format!("; list them with: kubectl get {kind} -n {namespace}");
        TargetError::NotFound {
            kind: kind.name(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            hint,
        }
        .into()
    })
}

/// The names of all owners of a kind.
pub(super) async fn owner_names(
    cluster: &Cluster,
    kind: OwnerKind,
    namespace: &str,
) -> Result<Vec<String>, Error> {
    match kind {
        OwnerKind::Deployment => names::<Deployment>(cluster, kind, namespace).await,
        OwnerKind::StatefulSet => names::<StatefulSet>(cluster, kind, namespace).await,
        OwnerKind::DaemonSet => names::<DaemonSet>(cluster, kind, namespace).await,
        OwnerKind::ReplicaSet => names::<ReplicaSet>(cluster, kind, namespace).await,
        OwnerKind::Job => names::<Job>(cluster, kind, namespace).await,
    }
}

async fn names<K: Namespaced>(
    cluster: &Cluster,
    kind: OwnerKind,
    namespace: &str,
) -> Result<Vec<String>, Error> {
    let api: Api<K> = Api::namespaced(cluster.client(), namespace);
    let found = cluster
        .call(
            format!("list each {kind} of the namespace {namespace}"),
            api.list_metadata(&ListParams::default()),
        )
        .await?;
    let objects = found.items.into_iter();
    Ok(objects.filter_map(|object| object.metadata.name).collect())
}

fn joined(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one},{other}")),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::{LabelSelector, selector_text};

    #[test]
    fn a_selector_of_labels_and_expressions_is_one_text() {
        let selector: LabelSelector = serde_json::from_value(serde_json::json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"}],
        }))
        .unwrap();
        assert_eq!(
            selector_text(selector).unwrap(),
            "app=web,tier in (a,b),!old"
        );
    }

    #[test]
    fn an_empty_selector_is_not_every_pod() {
        selector_text(LabelSelector::default()).unwrap_err();
    }
}
