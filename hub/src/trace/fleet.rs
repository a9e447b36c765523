//! The agents of a session as pods: on their way up, running, and removed again.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::NamedTempFile;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use x_k8s::error::Cause;
use x_k8s::find::Choice;
use x_k8s::manifest::{Bundle, Session};
use x_k8s::portforward::PortForward;
use x_k8s::rollout::{self, Milestone, Running};
use x_k8s::{Cluster, teardown};

use super::Config;
use super::aim::Found;
use super::follow::{Followed, follow};
use super::nodes::{MAX_AGENTS, Nodes};
use super::orders::Orders;
use super::recruit::Recruiter;
use crate::console::{mention, say};
use crate::exit::Failure;
use crate::session::Turn;

/// How long the removal of pods may take: their grace, and a node that is busy.
pub(super) const REMOVAL: Duration = Duration::from_secs(90);
/// How long the rest of a session's things may take, if its agents took all of that.
const REST: Duration = Duration::from_secs(5);

/// What all pods of a session have in common.
#[derive(Clone)]
pub(super) struct Base {
    /// The cluster.
    pub cluster: Cluster,
    /// Their namespace.
    pub namespace: String,
    /// The session.
    pub session: Session,
    /// How long one may take to come up.
    pub start_timeout: Duration,
    /// Cancelled when no more are to come up.
    pub stop: CancellationToken,
    /// Whether anything was made, or may have been.
    made: Arc<AtomicBool>,
}

/// The way between agents and hub.
pub(super) struct Link {
    /// Where agents connect to, and what to do if they can't.
    pub remedy: String,
    /// Whether something else will be tried then.
    pub alternative: bool,
    /// The way to a server in the cluster, with the authority that it is known by and the hub's login in files
    /// that are read for each connection; all go when dropped.
    pub forward: Option<Box<(PortForward, [NamedTempFile; 2])>>,
    /// The way to give orders to agents.
    pub orders: Arc<Orders>,
}

/// The agents of a session.
pub(crate) struct Fleet {
    base: Base,
    nodes: Vec<String>,
    link: Link,
    turns: mpsc::Receiver<Turn>,
    tasks: JoinSet<()>,
    /// When all is to be removed, once that has begun.
    deadline: Option<Instant>,
}

impl Base {
    /// For a new session.
    pub(super) fn new(cluster: &Cluster, config: &Config) -> Self {
        Self {
            cluster: cluster.clone(),
            namespace: config.pod.namespace.clone(),
            session: Session::random(),
            start_timeout: config.pod.start_timeout,
            stop: CancellationToken::new(),
            made: Arc::default(),
        }
    }

    /// Brings a pod up, telling its way; `None` if it was stopped meanwhile. What is being made when it
    /// is stopped is made in full, so that a removal afterwards finds all of it.
    pub(super) async fn roll_out(
        &self,
        who: &str,
        bundle: &Bundle,
    ) -> Option<Result<Running, x_k8s::Error>> {
        self.made.store(true, Ordering::Relaxed);
        let (created, mut is_created) = watch::channel(false);
        let tell = |milestone: Milestone| {
            created.send_replace(true);
            let line = format!("{who}: {}", words(&milestone));
            match milestone {
                Milestone::Warning(_) | Milestone::Unwatched(_) => say(line),
                _ => mention(line),
            }
        };
        let stopped = async {
            self.stop.cancelled().await;
            // The sender lives as long as this function.
            is_created.wait_for(|created| *created).await.ok();
        };
        tokio::select! {
            outcome = rollout::roll_out(&self.cluster, bundle, self.start_timeout, tell) => Some(outcome),
            () = stopped => None,
        }
    }

    /// Removes a pod of the session with what belongs to it, and waits until it is gone.
    pub(super) async fn end_one(&self, pod: &str) -> Result<(), Failure> {
        let Self {
            cluster,
            namespace,
            session,
            ..
        } = self;
        teardown::end_one(cluster, namespace, session, pod, REMOVAL, held_up).await?;
        Ok(())
    }

    /// Removes all that the session has made, and waits until it is gone.
    pub(super) async fn sweep(&self, within: Duration) -> Result<(), Failure> {
        if !self.made.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Self {
            cluster,
            namespace,
            session,
            ..
        } = self;
        teardown::tear_down(cluster, namespace, session, within, held_up).await?;
        Ok(())
    }
}

/// Tells why a removal takes its time.
pub(crate) fn held_up(cause: &Cause) {
    say(format!(
        "nothing can be removed now, and it is tried again: {cause}"
    ));
}

/// What a step on the way up is called.
fn words(milestone: &Milestone) -> Cow<'static, str> {
    match milestone {
        Milestone::Created => "created".into(),
        Milestone::Scheduled { .. } => "scheduled".into(),
        Milestone::Pulling => "pulling the image".into(),
        Milestone::Starting => "starting".into(),
        Milestone::Running(_) => "running".into(),
        Milestone::Warning(warning) => warning.clone().into(),
        Milestone::Unwatched(cause) => format!("it can't be watched now: {cause}").into(),
    }
}

/// What stays when we leave at once, and how to remove it.
pub(super) fn left_behind(namespace: &str, session: &Session) -> String {
    format!(
        "pods of the session {session} may stay in the namespace {namespace}: remove them with: {}",
        teardown::command(namespace, session.as_str())
    )
}

impl Fleet {
    /// Begins to bring up an agent on each node.
    pub(super) fn launch(
        base: Base,
        bundles: Vec<(String, Bundle)>,
        link: Link,
        found: &Found,
        choice: &Choice,
        recruiter: Recruiter,
    ) -> Self {
        let (turns_in, turns) = mpsc::channel(MAX_AGENTS);
        let nodes: Vec<_> = bundles.iter().map(|(node, _)| node.clone()).collect();
        let followed = Followed {
            targets: found.targets.clone(),
            choice: choice.clone(),
            open_ended: found.open_ended,
            nodes: Nodes::new(nodes.iter().cloned()),
            orders: Arc::clone(&link.orders),
            recruiter: Arc::new(Mutex::new(recruiter)),
            first: BTreeSet::new(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(base.clone(), followed, bundles, turns_in));
        Self {
            base,
            nodes,
            link,
            turns,
            tasks,
            deadline: None,
        }
    }

    /// The nodes that have, or are to have, an agent from the beginning.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(String::as_str)
    }

    /// Where agents connect to, and what to do if they can't.
    pub(crate) fn remedy(&self) -> &str {
        &self.link.remedy
    }

    /// Whether another way will be tried if agents can't reach the server.
    pub(crate) fn has_alternative(&self) -> bool {
        self.link.alternative
    }

    /// The next thing that happens to an agent.
    pub(crate) async fn turn(&mut self) -> Turn {
        match self.turns.recv().await {
            Some(turn) => turn,
            None => std::future::pending().await,
        }
    }

    /// Ends the agents and waits until they are gone.
    ///
    /// # Errors
    /// Naming what stays.
    pub(crate) async fn end_agents(&mut self) -> Result<(), Failure> {
        self.base.stop.cancel();
        // Nobody takes turns any more.
        self.turns.close();
        while self.tasks.join_next().await.is_some() {}
        let Base {
            cluster,
            namespace,
            session,
            ..
        } = &self.base;
        mention("removing the agents");
        self.deadline = Some(Instant::now() + REMOVAL);
        teardown::end_agents(cluster, namespace, session, REMOVAL, held_up).await?;
        Ok(())
    }

    /// Removes whatever the session has left, its server in the cluster among it.
    ///
    /// # Errors
    /// Naming what stays.
    pub(crate) async fn sweep(mut self) -> Result<(), Failure> {
        self.base.stop.cancel();
        self.turns.close();
        while self.tasks.join_next().await.is_some() {}
        drop(self.link.forward.take());
        let within = self.deadline.map_or(REMOVAL, |deadline| {
            deadline.saturating_duration_since(Instant::now()).max(REST)
        });
        self.base.sweep(within).await
    }

    /// What stays when we leave at once.
    pub(crate) fn behind(&self) -> String {
        left_behind(&self.base.namespace, &self.base.session)
    }
}
