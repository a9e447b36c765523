//! Messages to NATS: a bounded queue, one task that empties it.

mod heard;
mod login;
mod nats;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) use heard::Question;
pub(crate) use login::{Login, LoginError};
pub(crate) use nats::Nats;

use crate::ledger::{End, Ledger};

/// Messages that the sender takes from the queue at a time.
const BATCH: usize = 256;

/// One message on its way.
#[derive(Debug)]
pub(crate) struct Message {
    /// Where to.
    pub(crate) subject: async_nats::Subject,
    /// What.
    pub(crate) payload: Vec<u8>,
    /// The ledger to enter its end in; none for a status message.
    pub(crate) ledger: Option<Arc<Ledger>>,
}

impl Message {
    fn ended(self, end: End) {
        if let Some(ledger) = self.ledger {
            ledger.ended(end);
        }
    }
}

/// The writing end of the queue.
#[derive(Clone, Debug)]
pub(crate) struct Outbox(mpsc::Sender<Message>);

impl Outbox {
    /// Queues an event of a running system. It can't wait: when the queue is full it is dropped
    /// and counted, or the tool would stall and the kernel drop instead, unseen.
    pub(crate) fn offer(&self, message: Message) {
        if let Err(error) = self.0.try_send(message) {
            error.into_inner().ended(End::Dropped);
        }
    }

    /// Queues what can wait: a status message, a line of recorded output.
    pub(crate) async fn send(&self, message: Message) {
        if let Err(mpsc::error::SendError(message)) = self.0.send(message).await {
            message.ended(End::Dropped);
        }
    }
}

/// Starts the task that publishes; it ends when every [`Outbox`] is gone and the queue is empty.
pub(crate) fn start(nats: Nats, capacity: usize) -> (Outbox, JoinHandle<()>) {
    let (outbox, mut queue) = mpsc::channel(capacity);
    let sender = tokio::spawn(async move {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            for message in batch.drain(..) {
                let Message {
                    subject,
                    payload,
                    ledger,
                } = message;
                let end = match nats.publish(subject, payload).await {
                    Ok(()) => End::Published,
                    Err(error) => {
                        tracing::warn!("{error}");
                        End::Dropped
                    }
                };
                if let Some(ledger) = ledger {
                    ledger.ended(end);
                }
            }
        }
    });
    (Outbox(outbox), sender)
}
