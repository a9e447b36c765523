//! The sending task, seen from the agent.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::link::Nats;
use super::sender::Sender;
use super::spool::Spool;
use super::{Message, Outbox};

/// How long the last words may take: whoever asked us to end does not wait for ever.
const LAST_WORDS: Duration = Duration::from_secs(6);

/// The running task.
pub(crate) struct Sending {
    task: JoinHandle<(Sender, bool)>,
    give_up: CancellationToken,
}

/// Starts the task. It ends when every [`Outbox`] is gone and the server has taken everything.
pub(crate) fn start(nats: Nats, capacity: usize, spool: Spool) -> (Outbox, Sending) {
    let (outbox, queue) = mpsc::channel(capacity);
    let give_up = CancellationToken::new();
    let sender = Sender::new(nats, Backlog::new(spool));
    let task = tokio::spawn(sender.run(queue, give_up.clone()));
    (Outbox(outbox), Sending { task, give_up })
}

impl Sending {
    /// Waits until everything has gone, or nothing moves any more, or the time is over. What is left
    /// then counts as dropped, and afterwards every ledger is final: the last words may be said. With a
    /// journal it stays there instead, and the last word is the next agent's.
    pub(crate) async fn finish(self, limit: Option<Duration>) -> Option<LastWords> {
        let Self { mut task, give_up } = self;
        let sender = match limit {
            None => task.await,
            Some(limit) => {
                if let Ok(sender) = timeout(limit, &mut task).await {
                    sender
                } else {
                    give_up.cancel();
                    task.await
                }
            }
        };
        // A panic has been reported by its thread.
        let (sender, all) = sender.ok()?;
        (all || !sender.has_journal()).then_some(LastWords(sender))
    }
}

/// A sender whose queue is closed.
pub(crate) struct LastWords(Sender);

impl LastWords {
    /// Sends messages after all others; false when that did not come about in time.
    pub(crate) async fn say(self, messages: Vec<Message>) -> bool {
        let mut sender = self.0;
        sender.add(messages);
        let (_, closed) = mpsc::channel(1);
        let sent = sender.run(closed, CancellationToken::new());
        let Ok((sender, all)) = timeout(LAST_WORDS, sent).await else {
            return false;
        };
        if let (Some(journal), true) = (sender.into_journal(), all)
            && let Err(error) = journal.remove()
        {
            tracing::warn!("the journal, of which nothing is wanted any more, stays: {error}");
        }
        all
    }
}
