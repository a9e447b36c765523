//! Agents on nodes that have something to trace only later.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use tokio::sync::{Mutex, mpsc};
use x_k8s::manifest::{AgentTarget, Bundle};

use super::aim::{self, Node};
use super::fleet::Base;
use super::place::{Door, Route};
use super::post::{Left, Post};
use super::{Config, bundle};
use crate::console::say;
use crate::exit::Failure;
use crate::session::Turn;

/// What agents are made from that come later.
pub(super) struct Recruiter {
    config: Config,
    route: Route,
    door: Door,
}

impl Recruiter {
    /// For agents as the session's others.
    pub(super) fn new(config: &Config, route: Route, door: Door) -> Self {
        Self {
            config: config.clone(),
            route,
            door,
        }
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
        match &mut self.door {
            Door::Open => {}
            Door::Gate(gate) => {
                let login = gate.admit(&node.name).await.context("it can't log in")?;
                self.route.add(&node.name, &login, gate.ca());
            }
            Door::Shut(_) if self.route.knows(&node.name) => {}
            Door::Shut(why) => return Err(anyhow!("it can't log in: {why}").into()),
        }
        bundle(&self.config, base, &node, &self.route)
    }

    /// The pod of another agent for a node that had one, for what there is to trace now; none if there is
    /// nothing.
    ///
    /// # Errors
    /// The same, and when the cluster refuses.
    pub(super) async fn again(
        &mut self,
        base: &Base,
        node: &str,
    ) -> Result<Option<Bundle>, Failure> {
        let targets = aim::on_node(&base.cluster, &self.config, node).await?;
        if targets.is_empty() {
            return Ok(None);
        }
        self.recruit(base, node, targets).await.map(Some)
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
    /// Brings its agent up and looks after it.
    pub(super) async fn recruit(self, base: Base, turns: mpsc::Sender<Turn>) -> Left {
        let Self {
            recruiter,
            node,
            targets,
        } = self;
        let made = async { recruiter.lock().await.recruit(&base, &node, targets).await };
        let made = tokio::select! {
            made = made => made,
            () = base.stop.cancelled() => return Left::Over,
        };
        let bundle = match made {
            Ok(bundle) => bundle,
            Err(failure) => {
                say(format!(
                    "the node {node} gets no agent: {:#}; start x-tracer again to trace what is there as well",
                    failure.error
                ));
                return Left::Free(node);
            }
        };
        // A session that is over takes no turns, and wants no agent.
        if turns.send(Turn::Joined(node.clone())).await.is_err() {
            return Left::Over;
        }
        let post = Post {
            base,
            node,
            recruiter,
            turns,
        };
        Box::pin(post.hold(bundle)).await
    }
}
