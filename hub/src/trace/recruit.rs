//! Agents on nodes that have something to trace only later.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{Mutex, mpsc};
use x_k8s::manifest::{AgentTarget, Bundle};

use super::aim::Node;
use super::fleet::{Base, look_after};
use super::place::{Door, Route};
use super::{Config, bundle};
use crate::console::say;
use crate::exit::Failure;
use crate::server::Gate;
use crate::session::Turn;

/// Agents beyond which a session brings none to another node by itself.
pub(super) const MAX_AGENTS: usize = 128;

/// What agents of more nodes are made from.
pub(super) struct Recruiter {
    config: Config,
    route: Route,
    /// Lets them in to the server, where each has a login of its own.
    gate: Option<Box<Gate>>,
}

impl Recruiter {
    /// For agents as the session's others; none if no more can log in.
    pub(super) fn new(config: &Config, route: Route, door: Door) -> Option<Self> {
        let gate = match door {
            Door::Shut => return None,
            Door::Open => None,
            Door::Gate(gate) => Some(gate),
        };
        Some(Self {
            config: config.clone(),
            route,
            gate,
        })
    }

    /// The pod of an agent that traces this on a node, which may log in from now on.
    ///
    /// # Errors
    /// When the node is not known, no image fits it, or the server does not take the login.
    async fn recruit(
        &mut self,
        base: &Base,
        node: &str,
        targets: Vec<AgentTarget>,
    ) -> Result<Bundle, Failure> {
        let node = Node::of(&base.cluster, &self.config, node, targets).await?;
        if let Some(gate) = &mut self.gate {
            let login = gate.admit(&node.name).await.context("it can't log in")?;
            self.route.add(&node.name, &login, gate.ca());
        }
        bundle(&self.config, base, &node, &self.route)
    }
}

/// A node that is to have an agent as well.
pub(super) struct Newcomer {
    /// Who makes it.
    pub recruiter: Arc<Mutex<Recruiter>>,
    /// The node.
    pub node: String,
    /// What it begins with.
    pub targets: Vec<AgentTarget>,
}

impl Newcomer {
    /// Brings its agent up and looks after it. Gives the node back if none could be made.
    pub(super) async fn recruit(self, base: Base, turns: mpsc::Sender<Turn>) -> Result<(), String> {
        let Self {
            recruiter,
            node,
            targets,
        } = self;
        let made = async { recruiter.lock().await.recruit(&base, &node, targets).await };
        let made = tokio::select! {
            made = made => made,
            () = base.stop.cancelled() => return Ok(()),
        };
        let bundle = match made {
            Ok(bundle) => bundle,
            Err(failure) => {
                say(format!(
                    "the node {node} gets no agent: {:#}; start x-tracer again to trace what is there as well",
                    failure.error
                ));
                return Err(node);
            }
        };
        // A session that is over takes no turns, and wants no agent.
        if turns.send(Turn::Joined(node.clone())).await.is_ok() {
            Box::pin(look_after(base, node, bundle, turns)).await;
        }
        Ok(())
    }
}
