//! A node's agent, from its making to its end. One that was taken away is replaced.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep};
use x_k8s::manifest::Bundle;
use x_k8s::rollout;

use super::fleet::Base;
use super::recruit::Recruiter;
use crate::console::{mention, say};
use crate::exit::{Exit, Failure};
use crate::session::Turn;

/// How often a node's agent is replaced, of which none has lasted: who takes it away means it.
const REPLACEMENTS: u32 = 3;
/// An agent that has run for so long has lasted.
const LASTED: Duration = Duration::from_secs(600);
/// The pause before the first replacement; each next one is four times as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A node that is to have an agent.
pub(super) struct Post {
    /// What all pods of the session have in common.
    pub base: Base,
    /// The node.
    pub node: String,
    /// Who makes another agent for it.
    pub recruiter: Arc<Mutex<Recruiter>>,
    /// Who is told what happens.
    pub turns: mpsc::Sender<Turn>,
}

/// A node without an agent.
pub(super) enum Left {
    /// Another one may come when there is something to trace.
    Free(String),
    /// No other one would do better.
    Failed(String),
    /// The session is over.
    Over,
}

/// How an agent ended.
enum End {
    /// For a reason that would repeat itself.
    Failed(Failure),
    /// By others, and how long it had run.
    TakenAway(String, Duration),
    /// With the session.
    Over,
}

/// Replacements in a row, of which none has lasted.
#[derive(Default)]
struct Attempts(u32);

impl Attempts {
    /// The pause before the next one, if there is to be one for an agent that was there for so long.
    fn next(&mut self, lasted: Duration) -> Option<Duration> {
        if lasted >= LASTED {
            self.0 = 0;
        }
        let pause = FIRST_PAUSE * 4_u32.pow(self.0);
        self.0 += 1;
        (self.0 <= REPLACEMENTS).then_some(pause)
    }
}

impl Post {
    /// Brings its agent up, and looks after it and those that replace it.
    pub(super) async fn hold(self, mut bundle: Bundle) -> Left {
        let stop = self.base.stop.clone();
        let mut attempts = Attempts::default();
        loop {
            let (words, lasted) = match self.serve(&bundle).await {
                End::Over => return Left::Over,
                End::Failed(failure) => return self.give_up(failure).await,
                End::TakenAway(words, lasted) => (words, lasted),
            };
            let Some(pause) = attempts.next(lasted) else {
                let error = anyhow!(
                    "{words}, as were the {REPLACEMENTS} before it, so that the node gets none any more: find out who takes them away, then start x-tracer again"
                );
                return self.give_up(Failure::new(Exit::Failed, error)).await;
            };
            say(format!(
                "{words}; another one comes, and what happens until it sees is not shown"
            ));
            let next = async {
                sleep(pause).await;
                // The next one has its name.
                self.base.end_one(bundle.name()).await?;
                // The one before says nothing more from now on.
                self.tell(Turn::Replaced(self.node.clone())).await;
                let mut recruiter = self.recruiter.lock().await;
                recruiter.again(&self.base, &self.node).await
            };
            let next = tokio::select! {
                next = next => next,
                () = stop.cancelled() => return Left::Over,
            };
            match next {
                Ok(Some(next)) => bundle = next,
                Ok(None) => return self.vacate().await,
                Err(failure) => {
                    let why = failure.error.context(words);
                    return self.give_up(Failure::new(failure.exit, why)).await;
                }
            }
        }
    }

    /// One agent, from its objects to its end or ours.
    async fn serve(&self, bundle: &Bundle) -> End {
        let running = match self.base.roll_out(&self.node, bundle).await {
            None => return End::Over,
            Some(Err(x_k8s::Error::Rollout(error))) if error.is_taken_away() => {
                return End::TakenAway(
                    format!("the agent on the node {}: {error}", self.node),
                    Duration::ZERO,
                );
            }
            Some(Err(error)) => return End::Failed(error.into()),
            Some(Ok(running)) => running,
        };
        let since = Instant::now();
        self.tell(Turn::Up(self.node.clone())).await;
        let ended = tokio::select! {
            ended = rollout::ended(&self.base.cluster, &running) => ended,
            () = self.base.stop.cancelled() => return End::Over,
        };
        let words = words(&self.node, &ended);
        if ended.taken_away {
            return End::TakenAway(words, since.elapsed());
        }
        End::Failed(Failure::new(
            Exit::of_agent(ended.exit_code),
            anyhow!(words),
        ))
    }

    async fn give_up(self, failure: Failure) -> Left {
        let node = self.node.clone();
        self.tell(Turn::Down {
            node: node.clone(),
            failure,
        })
        .await;
        Left::Failed(node)
    }

    async fn vacate(self) -> Left {
        let node = self.node.clone();
        mention(format!(
            "nothing is left to trace on the node {node}, which gets no agent now"
        ));
        self.tell(Turn::Vacated(node.clone())).await;
        Left::Free(node)
    }

    /// A session that is over takes no turns.
    async fn tell(&self, turn: Turn) {
        self.turns.send(turn).await.ok();
    }
}

/// The end of an agent in words.
fn words(node: &str, ended: &rollout::Ended) -> String {
    let said = match ended.said.as_str() {
        "" => String::new(),
        said => format!(", saying: {said}"),
    };
    let how = &ended.how;
    if ended.taken_away {
        format!("the agent on the node {node} was taken away ({how}){said}")
    } else {
        format!("the agent on the node {node} ended by itself ({how}){said}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_end_when_none_of_them_lasts() {
        let mut attempts = Attempts::default();
        let mut next = |lasted| attempts.next(lasted).map(|pause| pause.as_secs());
        let short = Duration::from_secs(5);
        assert_eq!([next(short), next(short)], [Some(1), Some(4)]);
        assert_eq!(next(LASTED), Some(1), "one that lasted begins anew");
        assert_eq!(
            [next(short), next(short), next(short)],
            [Some(4), Some(16), None]
        );
    }
}
