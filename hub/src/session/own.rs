//! What this hub has started itself, and ends: a child on this machine, or pods in a cluster.

use std::time::Duration;

use anyhow::anyhow;
use probeparser::Probe;
use tokio::time::timeout;

use super::board::Crew;
use super::reach::Reach;
use crate::exit::{Exit, Failure};
use crate::local::Agent;
use crate::server::Server;
use crate::trace::Fleet;

/// How long an agent on this machine may take to detach its probes and say its last words.
const FAREWELL: Duration = Duration::from_secs(20);

/// What this hub has started itself.
pub(crate) struct Own {
    /// The session that it belongs to.
    pub session: String,
    /// Those who trace.
    pub agents: Agents,
    /// The server, unless the user named one.
    pub server: Option<Server>,
    /// How something failed already that the others go on without.
    pub failed: Option<Exit>,
}

/// Those who trace.
pub(crate) enum Agents {
    /// A child of this process.
    Child {
        /// The agent.
        agent: Agent,
        /// The name that it gives this machine.
        node: String,
    },
    /// Pods, one a node.
    Pods(Fleet),
}

/// What happened to something of our own.
#[derive(Debug)]
pub(crate) enum Turn {
    /// One more node is to have an agent.
    Joined(String),
    /// The agent on this node runs, and is to be heard of.
    Up(String),
    /// The agent on this node was taken away and is gone, and another one comes.
    Replaced(String),
    /// The agent on this node was taken away, and there is nothing left for another one.
    Vacated(String),
    /// The agent on this node did not come up, has ended by itself, or can't be replaced.
    Down {
        /// The node.
        node: String,
        /// Why. A status of `Done` is the agent's own.
        failure: Failure,
    },
    /// All that was traced has ended.
    TargetsOver,
    /// The server has ended, with these last words.
    ServerGone(String),
}

impl Own {
    /// Who is to be heard of.
    pub(super) fn crew(&self, probes: &[Probe]) -> Crew {
        let nodes = match &self.agents {
            Agents::Child { node, .. } => [node.clone()].into(),
            Agents::Pods(fleet) => fleet.nodes().map(str::to_owned).collect(),
        };
        Crew::new(self.session.clone(), probes.to_vec(), nodes)
    }

    /// The watch over whether the agents reach the server. A child's way to it is this machine.
    pub(super) fn reach(&self) -> Reach {
        match &self.agents {
            Agents::Child { .. } => Reach::new(String::new(), false),
            Agents::Pods(fleet) => Reach::new(fleet.remedy().to_owned(), fleet.has_alternative()),
        }
    }

    /// The next thing that happens. Dropping the future loses nothing.
    pub(super) async fn turn(&mut self) -> Turn {
        let Self { agents, server, .. } = self;
        let server_gone = async {
            match server {
                Some(server) => server.gone().await,
                None => std::future::pending().await,
            }
        };
        let agents_turn = async {
            match agents {
                Agents::Child { agent, node } => {
                    let status = agent.exited().await;
                    Turn::Down {
                        node: node.clone(),
                        failure: Failure::new(
                            Exit::of_agent(status.code()),
                            anyhow!("x-agent ended by itself: {status}"),
                        ),
                    }
                }
                Agents::Pods(fleet) => fleet.turn().await,
            }
        };
        tokio::select! {
            turn = agents_turn => turn,
            words = server_gone => Turn::ServerGone(words),
        }
    }

    /// Ends the agents and waits until they are gone; what they have to say still arrives.
    ///
    /// # Errors
    /// When one does not end.
    pub(super) async fn end_agents(&mut self) -> Result<(), Failure> {
        match &mut self.agents {
            Agents::Child { agent, .. } => {
                agent.terminate();
                if timeout(FAREWELL, agent.exited()).await.is_err() {
                    return Err(anyhow!(
                        "x-agent did not end within {FAREWELL:?} of being asked and was killed"
                    )
                    .into());
                }
                Ok(())
            }
            Agents::Pods(fleet) => Box::pin(fleet.end_agents()).await,
        }
    }

    /// Waits until what a child wrote to its log has been passed on.
    pub(super) async fn last_words(&mut self) {
        if let Agents::Child { agent, .. } = &mut self.agents {
            agent.last_words().await;
        }
    }

    /// Ends what is left, once nothing more is wanted from it.
    ///
    /// # Errors
    /// Naming what stays.
    pub(super) async fn end(self) -> Result<(), Failure> {
        if let Some(server) = self.server {
            server.stop().await;
        }
        match self.agents {
            Agents::Child { .. } => Ok(()),
            Agents::Pods(fleet) => Box::pin(fleet.sweep()).await,
        }
    }

    /// What stays when we leave at once, as a part of a sentence.
    pub(super) fn behind(&self) -> String {
        match &self.agents {
            // Our end is the end of our children.
            Agents::Child { .. } => String::new(),
            Agents::Pods(fleet) => format!("; {}", fleet.behind()),
        }
    }
}
