//! From what the user named to containers, node by node.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use x_k8s::error::ApiError;
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
    /// How another node failed that is to be left out.
    pub failed: Option<Exit>,
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
/// left out, as are nodes that can't have an agent.
pub(crate) async fn find(cluster: &Cluster, config: &Config) -> Result<Found, Failure> {
    let aim = &config.aim;
    let all = find::resolve(cluster, &aim.query(cluster)).await?;
    let mut by_node: BTreeMap<&str, Vec<AgentTarget>> = BTreeMap::new();
    let mut left_out = Vec::new();
    for pod in all.pods() {
        match pod.choose(&aim.choice) {
            Ok(containers) => {
                let node = pod.node.as_deref().unwrap_or_default();
                let targets = by_node.entry(node).or_default();
                targets.extend(running(pod, &containers));
            }
            Err(error) if aim.names(pod) => return Err(x_k8s::Error::from(error).into()),
            Err(error) => left_out.push(error),
        }
    }
    let error = if by_node.is_empty() {
        // One that may pass is worth to be waited for.
        let passing = left_out.iter().position(|error| !error.is_lasting());
        (!left_out.is_empty()).then(|| left_out.remove(passing.unwrap_or_default()))
    } else {
        None
    };
    for error in left_out {
        say(format!("left out: {error}"));
    }
    if let Some(error) = error {
        return Err(x_k8s::Error::from(error).into());
    }
    let (nodes, failed) = nodes(cluster, config, by_node).await?;
    Ok(Found {
        nodes,
        failed,
        targets: all,
        open_ended: aim.is_open_ended(),
    })
}

/// The nodes that can have an agent, and the status of a failure if others can't.
async fn nodes(
    cluster: &Cluster,
    config: &Config,
    by_node: BTreeMap<&str, Vec<AgentTarget>>,
) -> Result<(Vec<Node>, Option<Exit>), Failure> {
    let mut nodes = Vec::with_capacity(by_node.len());
    let mut unfit = Vec::new();
    for (name, targets) in by_node {
        match Node::of(cluster, config, name, targets).await {
            Ok(node) => nodes.push(node),
            Err(failure) => unfit.push((name, failure)),
        }
    }
    if nodes.is_empty()
        && let Some((_, failure)) = unfit.pop()
    {
        return Err(failure);
    }
    for (name, failure) in &unfit {
        say(format!(
            "the node {name} gets no agent, and what is there is not traced: {:#}",
            failure.error
        ));
    }
    Ok((nodes, unfit.first().map(|(_, failure)| failure.exit)))
}

/// The same, once there is something, if the user wants to wait for it.
///
/// # Errors
/// The same, when waiting makes no difference, and when an owner of pods is not there.
pub(super) async fn find_or_wait(cluster: &Cluster, config: &Config) -> Result<Found, Failure> {
    let aim = &config.aim;
    loop {
        let why = match find(cluster, config).await {
            Err(failure) if aim.wait && may_pass(&failure) => failure.error,
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
                Change::Appeared(pod) | Change::ContainerStarted { pod, .. } => {
                    match pod.choose(&aim.choice) {
                        Ok(_) => break,
                        // It is the reason not to wait for this one.
                        Err(error) if error.is_lasting() && aim.names(&pod) => break,
                        Err(_) => {}
                    }
                }
                Change::Interrupted(cause) if cause.is_refusal() => {
                    let doing = "watch the pods to wait for".to_owned();
                    return Err(x_k8s::Error::from(ApiError { doing, cause }).into());
                }
                Change::Interrupted(cause) => say(format!("pods can't be watched now: {cause}")),
                _ => {}
            }
        }
    }
}

/// Whether what is not there may come.
fn may_pass(failure: &Failure) -> bool {
    let lasts = match failure.error.downcast_ref() {
        Some(x_k8s::Error::Target(error)) => error.is_lasting(),
        _ => true,
    };
    failure.exit == Exit::NoTarget && !lasts
}

/// What there is to trace on a node now.
///
/// # Errors
/// When the cluster refuses, or an owner of pods is gone.
pub(super) async fn on_node(
    cluster: &Cluster,
    config: &Config,
    node: &str,
) -> Result<Vec<AgentTarget>, Failure> {
    let aim = &config.aim;
    let all = find::resolve_if_any(cluster, &aim.query(cluster)).await?;
    let here = all.pods().into_iter();
    let here = here.filter(|pod| pod.node.as_deref() == Some(node));
    // Why the others can't be traced was said when they came.
    let targets = here.filter_map(|pod| {
        let containers = pod.choose(&aim.choice).ok()?;
        Some(running(pod, &containers).collect::<Vec<_>>())
    });
    Ok(targets.flatten().collect())
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
