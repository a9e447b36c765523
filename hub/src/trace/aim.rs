//! From what the user named to containers, node by node.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use x_k8s::find::{
    self, Change, Choice, ContainerId, OwnerKind, Query, Reference, TargetContainer, TargetPod,
    Targets,
};
use x_k8s::manifest::AgentTarget;
use x_k8s::{Cluster, node};

use super::Config;
use crate::console::{mention, say};
use crate::exit::{Exit, Failure};

/// What the user named.
#[derive(Clone)]
pub(crate) struct Aim {
    /// Pods and owners of pods.
    pub references: Vec<Reference>,
    /// Where; without it, in the context's namespace.
    pub namespace: Option<String>,
    /// In all namespaces.
    pub everywhere: bool,
    /// A label selector.
    pub labels: Option<String>,
    /// A field selector.
    pub fields: Option<String>,
    /// Only on this node.
    pub node: Option<String>,
    /// Which containers of them.
    pub choice: Choice,
    /// Whether to wait until there is something to trace.
    pub wait: bool,
}

/// What there is to trace.
pub(crate) struct Found {
    /// Node by node.
    pub nodes: Vec<Node>,
    /// The pods, and how to follow them.
    pub targets: Targets,
    /// Whether pods may come that are not there yet.
    pub open_ended: bool,
}

/// A node with something to trace.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its name.
    pub name: String,
    /// The value of its label of that name, which a pod is bound by.
    pub hostname_label: Option<String>,
    /// The image that fits it.
    pub image: String,
    /// The containers.
    pub targets: Vec<AgentTarget>,
}

impl Aim {
    fn query(&self, cluster: &Cluster) -> Query {
        let namespace = self
            .namespace
            .clone()
            .unwrap_or_else(|| cluster.namespace().to_owned());
        Query {
            namespace: (!self.everywhere).then_some(namespace),
            references: self.references.clone(),
            labels: self.labels.clone(),
            fields: self.fields.clone(),
            node: self.node.clone(),
        }
    }

    /// Whether pods may come that are not there yet. A job whose pod has ended is done, as a rule.
    fn is_open_ended(&self) -> bool {
        let closed = |reference: &Reference| {
            matches!(
                reference,
                Reference::Pod(_) | Reference::Owner(OwnerKind::Job, _)
            )
        };
        self.references.is_empty() || !self.references.iter().all(closed)
    }

    /// Whether a pod was named itself, and not found by what it has in common with others.
    fn names(&self, pod: &TargetPod) -> bool {
        self.references.contains(&pod.reference())
    }
}

impl Node {
    /// A node of the cluster.
    ///
    /// # Errors
    /// When it is not known, or no image fits it.
    pub(super) async fn of(
        cluster: &Cluster,
        config: &Config,
        name: &str,
        targets: Vec<AgentTarget>,
    ) -> Result<Self, Failure> {
        let facts = node::facts(cluster, name).await?;
        Ok(Self {
            image: image(&config.pod.image, &facts)?,
            hostname_label: facts.hostname_label,
            name: facts.name,
            targets,
        })
    }

    /// Its containers in words.
    pub(super) fn words(&self) -> String {
        let names = self.targets.iter().map(|target| {
            let AgentTarget {
                namespace,
                pod,
                container,
                ..
            } = target;
            format!("{namespace}/{pod} ({container})")
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

/// Finds what to trace.
///
/// # Errors
/// When there is nothing, or a pod that was named can't be traced. Others that can't be are told and
/// left out.
pub(crate) async fn find(cluster: &Cluster, config: &Config) -> Result<Found, Failure> {
    let aim = &config.aim;
    let all = find::resolve(cluster, &aim.query(cluster)).await?;
    let mut by_node: BTreeMap<&str, Vec<AgentTarget>> = BTreeMap::new();
    let mut left_out = None;
    for pod in all.pods() {
        match pod.choose(&aim.choice) {
            Ok(containers) => {
                let node = pod.node.as_deref().unwrap_or_default();
                let targets = by_node.entry(node).or_default();
                targets.extend(running(pod, &containers));
            }
            Err(error) if aim.names(pod) => return Err(x_k8s::Error::from(error).into()),
            Err(error) => {
                // Said one by one; the last one is the error if nothing else is left.
                if let Some(before) = left_out.replace(error) {
                    say(format!("left out: {before}"));
                }
            }
        }
    }
    if let Some(error) = left_out {
        if by_node.is_empty() {
            return Err(x_k8s::Error::from(error).into());
        }
        say(format!("left out: {error}"));
    }
    let mut nodes = Vec::with_capacity(by_node.len());
    for (name, targets) in by_node {
        nodes.push(Node::of(cluster, config, name, targets).await?);
    }
    Ok(Found {
        nodes,
        targets: all,
        open_ended: aim.is_open_ended(),
    })
}

/// The same, once there is something, if the user wants to wait for it.
///
/// # Errors
/// The same, and when an owner of pods is not there.
pub(super) async fn find_or_wait(cluster: &Cluster, config: &Config) -> Result<Found, Failure> {
    let aim = &config.aim;
    loop {
        let why = match find(cluster, config).await {
            Err(failure) if aim.wait && failure.exit == Exit::NoTarget => failure.error,
            found => return found,
        };
        let targets = find::resolve_if_any(cluster, &aim.query(cluster)).await?;
        if targets
            .pods()
            .iter()
            .any(|pod| pod.choose(&aim.choice).is_ok())
        {
            continue;
        }
        mention(format!("waiting: {why:#}"));
        let mut changes = targets.watch(cluster);
        while let Some(change) = changes.next().await {
            match change {
                Change::ContainerStarted { pod, .. } if pod.choose(&aim.choice).is_ok() => break,
                Change::Interrupted(cause) => say(format!("pods can't be watched now: {cause}")),
                _ => {}
            }
        }
    }
}

/// Those of a pod's containers that run.
pub(super) fn running<'a>(
    pod: &'a TargetPod,
    containers: &'a [&TargetContainer],
) -> impl Iterator<Item = AgentTarget> + 'a {
    containers.iter().filter_map(|container| {
        let id = container.running_id()?;
        Some(target(pod, &container.name, id))
    })
}

pub(super) fn target(pod: &TargetPod, container: &str, id: &ContainerId) -> AgentTarget {
    AgentTarget {
        namespace: pod.name.namespace.clone(),
        pod: pod.name.name.clone(),
        container: container.to_owned(),
        id: id.id.clone(),
        by_cgroup: pod.host_pid,
    }
}

/// The image with a tag: the user's, or the one that fits the node.
fn image(wanted: &str, facts: &node::NodeFacts) -> Result<String, x_k8s::Error> {
    let name = wanted.rsplit_once('/').map_or(wanted, |(_, name)| name);
    if name.contains([':', '@']) {
        return Ok(wanted.to_owned());
    }
    Ok(format!("{wanted}:{}", facts.image(None)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(kernel: &str) -> node::NodeFacts {
        node::NodeFacts {
            kernel: kernel.into(),
            architecture: "amd64".into(),
            ..node::NodeFacts::of(&x_k8s::core::Node::default())
        }
    }

    #[test]
    fn a_tag_is_added_where_there_is_none() {
        for (wanted, image_) in [
            ("x-agent", "x-agent:debian13"),
            ("localhost:5000/x-agent", "localhost:5000/x-agent:debian13"),
            ("localhost:5000/x-agent:mine", "localhost:5000/x-agent:mine"),
            ("x-agent@sha256:00", "x-agent@sha256:00"),
        ] {
            assert_eq!(image(wanted, &facts("6.1.0-18-amd64")).unwrap(), image_);
        }
        let error = image("x-agent", &facts("7.0.0")).unwrap_err().to_string();
        assert!(error.contains("no image fits the kernel 7.0.0"), "{error}");
        assert_eq!(
            image("x-agent:mine", &facts("7.0.0")).unwrap(),
            "x-agent:mine"
        );
    }
}
