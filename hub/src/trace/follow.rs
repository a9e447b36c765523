//! What becomes of the pods while they are traced: containers that are started again, pods that end.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use probeparser::wire::OrderSubject;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use x_k8s::find::{Change, Choice, ContainerId, PodName, TargetPod, Targets};
use x_k8s::manifest::Bundle;

use super::aim::{running, target};
use super::fleet::Base;
use super::nodes::{MAX_AGENTS, Nodes, Spot};
use super::orders::Orders;
use super::post::{Left, Post};
use super::recruit::{Newcomer, Recruiter};
use crate::console::{mention, say};
use crate::session::Turn;

/// What is followed.
pub(super) struct Followed {
    /// The pods, and how others are found.
    pub targets: Targets,
    /// Which containers of them.
    pub choice: Choice,
    /// Whether pods may come that are not there yet.
    pub open_ended: bool,
    /// The nodes that have, or are to have, agents.
    pub nodes: Nodes,
    /// The way to give orders to them.
    pub orders: Arc<Orders>,
    /// Who makes agents that come later.
    pub recruiter: Arc<Mutex<Recruiter>>,
    /// The IDs of the containers that those agents began with.
    pub first: BTreeSet<String>,
}

/// Brings up the first agents, and follows until the session stops.
pub(super) async fn follow(
    base: Base,
    mut followed: Followed,
    first: Vec<(String, Bundle)>,
    turns: mpsc::Sender<Turn>,
) {
    let stop = base.stop.clone();
    let mut posts = JoinSet::new();
    for (node, bundle) in first {
        let post = Post {
            base: base.clone(),
            node,
            recruiter: Arc::clone(&followed.recruiter),
            turns: turns.clone(),
        };
        posts.spawn(post.hold(bundle));
    }
    let following = async {
        let mut alive: BTreeSet<PodName> = followed
            .targets
            .pods()
            .iter()
            .filter(|pod| !pod.is_finished())
            .map(|pod| pod.name.clone())
            .collect();
        let mut changes = followed.targets.watch(&base.cluster);
        loop {
            let change = tokio::select! {
                Some(left) = posts.join_next() => {
                    match left {
                        Ok(Left::Free(node)) => followed.nodes.free(&node),
                        Ok(Left::Failed(node)) => followed.nodes.fail(&node),
                        Ok(Left::Over) | Err(_) => {}
                    }
                    continue;
                }
                change = changes.next() => match change {
                    Some(change) => change,
                    None => return,
                },
            };
            let ended = match change {
                Change::Appeared(pod) => {
                    mention(format!("the pod {} has appeared", pod.name));
                    alive.insert(pod.name);
                    false
                }
                Change::ContainerStarted {
                    pod,
                    container,
                    id,
                    replaces,
                } => {
                    alive.insert(pod.name.clone());
                    let words = format!(
                        "the container {container} of {} has {}started",
                        pod.name,
                        if replaces.is_some() { "been re" } else { "" }
                    );
                    if let Some(newcomer) =
                        started(&base, &mut followed, words, &pod, &container, &id)
                    {
                        posts.spawn(newcomer.recruit(base.clone(), turns.clone()));
                    }
                    false
                }
                Change::Finished(pod) => {
                    mention(format!("the pod {} has finished ({})", pod.name, pod.phase));
                    alive.remove(&pod.name)
                }
                Change::Gone { name, .. } => {
                    mention(format!("the pod {name} is gone"));
                    alive.remove(&name)
                }
                Change::Interrupted(cause) => {
                    say(format!(
                        "pods can't be followed now, and are traced meanwhile: {cause}"
                    ));
                    false
                }
                Change::Resumed => {
                    say("pods are followed again");
                    false
                }
            };
            if ended && alive.is_empty() {
                if !followed.open_ended {
                    // A session that is over takes no turns.
                    turns.send(Turn::TargetsOver).await.ok();
                    return;
                }
                mention("no pod is left to trace; waiting for others that match");
            }
        }
    };
    tokio::select! {
        () = Box::pin(following) => {}
        () = stop.cancelled() => {}
    }
    // What they are making is made in full, and removed with the rest.
    while posts.join_next().await.is_some() {}
}

/// A container runs that did not before. Gives what there is to trace on a node that is to have an agent now.
fn started(
    base: &Base,
    followed: &mut Followed,
    what: String,
    pod: &TargetPod,
    container: &str,
    id: &ContainerId,
) -> Option<Newcomer> {
    let chosen = followed.choice.container.as_deref();
    if chosen.is_some_and(|chosen| chosen != container) || followed.first.contains(&id.id) {
        return None;
    }
    let containers = match pod.choose(&followed.choice) {
        Ok(containers) => containers,
        Err(error) => {
            say(format!("{what}, and is not traced: {error}"));
            return None;
        }
    };
    let node = pod.node.clone().unwrap_or_default();
    match followed.nodes.spot(&node) {
        Spot::Served => {}
        Spot::Failed => {
            say(format!(
                "{what} on the node {node}, whose agent has ended, and is not traced: start x-tracer again"
            ));
            return None;
        }
        Spot::Full => {
            say(format!(
                "{what} on the node {node}, which has no agent and gets none, as there are {MAX_AGENTS}: start x-tracer again to trace it as well"
            ));
            return None;
        }
        Spot::Vacant => {
            let targets: Vec<_> = running(pod, &containers).collect();
            followed.nodes.serve(&node);
            followed
                .first
                .extend(targets.iter().map(|target| target.id.clone()));
            mention(format!(
                "{what} on the node {node}, which has no agent: one comes"
            ));
            return Some(Newcomer {
                recruiter: Arc::clone(&followed.recruiter),
                node,
                targets,
            });
        }
    }
    let subject = OrderSubject {
        session: base.session.to_string(),
        node,
    };
    mention(&what);
    let orders = Arc::clone(&followed.orders);
    let targets = vec![target(pod, container, id).to_string()];
    let deadline = Instant::now() + base.start_timeout;
    let stop = base.stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            // The agent tells itself that it obeys.
            given = orders.give(&subject, targets, deadline) => if let Err(why) = given {
                say(format!(
                    "{what}, and is not traced: {why:#}; start x-tracer again to trace it as well"
                ));
            },
            () = stop.cancelled() => {}
        }
    });
    None
}
