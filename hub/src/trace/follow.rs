//! What becomes of the pods while they are traced: containers that are started again, pods that end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use probeparser::wire::{Obeyed, Order, OrderSubject};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use x_k8s::find::{Change, Choice, ContainerId, PodName, TargetPod, Targets};

use super::aim::target;
use super::fleet::Base;
use crate::console::say;
use crate::receive::Connection;
use crate::session::Turn;

/// How long until an agent that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is followed.
pub(super) struct Followed {
    /// The pods, and how others are found.
    pub targets: Targets,
    /// Which containers of them.
    pub choice: Choice,
    /// Whether pods may come that are not there yet.
    pub open_ended: bool,
    /// The nodes that have agents.
    pub nodes: BTreeSet<String>,
    /// The way to give orders to them, if there is one.
    pub orders: Option<Arc<Connection>>,
}

/// Follows until the session stops.
pub(super) async fn follow(base: Base, followed: Followed, turns: mpsc::Sender<Turn>) {
    let stop = base.stop.clone();
    let following = async {
        let mut alive: BTreeSet<PodName> = followed
            .targets
            .pods()
            .iter()
            .filter(|pod| !pod.is_finished())
            .map(|pod| pod.name.clone())
            .collect();
        let mut changes = followed.targets.watch(&base.cluster);
        while let Some(change) = changes.next().await {
            let ended = match change {
                Change::Appeared(pod) => {
                    say(format!("the pod {} has appeared", pod.name));
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
                    started(&base, &followed, &pod, &container, &id, replaces.is_some());
                    false
                }
                Change::Finished(pod) => {
                    say(format!("the pod {} has finished ({})", pod.name, pod.phase));
                    alive.remove(&pod.name)
                }
                Change::Gone { name, .. } => {
                    say(format!("the pod {name} is gone"));
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
                say("no pod is left to trace; waiting for others that match");
            }
        }
    };
    tokio::select! {
        () = Box::pin(following) => {}
        () = stop.cancelled() => {}
    }
}

/// A container runs that did not before.
fn started(
    base: &Base,
    followed: &Followed,
    pod: &TargetPod,
    container: &str,
    id: &ContainerId,
    again: bool,
) {
    let chosen = followed.choice.container.as_deref();
    if chosen.is_some_and(|chosen| chosen != container) {
        return;
    }
    let what = format!(
        "the container {container} of {} has {}started",
        pod.name,
        if again { "been re" } else { "" }
    );
    if let Err(error) = pod.choose(&followed.choice) {
        say(format!("{what}, and is not traced: {error}"));
        return;
    }
    let node = pod.node.clone().unwrap_or_default();
    if !followed.nodes.contains(&node) {
        say(format!(
            "{what} on the node {node}, which has no agent: start x-tracer again to trace it as well"
        ));
        return;
    }
    let Some(orders) = followed.orders.clone() else {
        say(format!(
            "{what}: on a NATS server of yours agents take no orders; start x-tracer again to trace it"
        ));
        return;
    };
    let subject = OrderSubject {
        session: base.session.to_string(),
        node,
    };
    let order = Order::new(vec![target(pod, container, id).to_string()]);
    say(&what);
    let deadline = Instant::now() + base.start_timeout;
    let stop = base.stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            // The agent tells itself that it obeys.
            answer = give(&orders, &subject, &order, deadline) => if let Err(why) = answer {
                say(format!("{what}, and is not traced: {why}"));
            },
            () = stop.cancelled() => {}
        }
    });
}

/// Gives an order until it is answered: an agent may be on its way up.
async fn give(
    orders: &Connection,
    subject: &OrderSubject,
    order: &Order,
    deadline: Instant,
) -> Result<(), String> {
    loop {
        let why = match orders.ask(subject.to_string(), order.encode()).await {
            Ok(Some(answer)) => {
                return match Obeyed::decode(&answer) {
                    Ok(obeyed) if obeyed.refused.is_empty() => Ok(()),
                    Ok(obeyed) => Err(obeyed.refused.join("; ")),
                    Err(error) => Err(error.to_string()),
                };
            }
            Ok(None) => "its agent takes no orders".to_owned(),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            return Err(why);
        }
        sleep(AGAIN).await;
    }
}
