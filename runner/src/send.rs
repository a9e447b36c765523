//! Messages to NATS, and the proof that they came there.
//!
//! ```text
//! Outbox ─bounded queue─▶ backlog (memory, then spool) ─▶ link ─▶ server
//!                            ▲ put back: the connection ended, or nobody listened │
//!                            └────────────────────────────────────────────────────┘
//! ```
//!
//! What was handed to a socket may die with it, so a message is kept until the server has answered
//! on the same connection that it has taken it. Until then it is sent again, in order; the reader
//! knows a repeat by its number.

mod backlog;
mod durable;
mod heard;
mod journal;
mod link;
mod login;
mod orders;
mod second;
mod sender;
mod sending;
mod spool;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use tokio::sync::mpsc;

pub(crate) use durable::{Durable, epoch};
pub(crate) use heard::{alone_for, unheard_for};
pub(crate) use journal::{Journal, JournalError};
pub(crate) use link::Nats;
pub(crate) use login::{Login, LoginError};
pub(crate) use orders::obey;
pub(crate) use second::Second;
pub(crate) use sending::{LastWords, start};
pub(crate) use spool::{Left, Spool, SpoolConfig};

use crate::ledger::{End, Ledger};

/// One message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Where to.
    pub(crate) subject: async_nats::Subject,
    /// What.
    pub(crate) payload: Bytes,
    /// The ledger to enter its end in; none for a status message.
    pub(crate) ledger: Option<Arc<Ledger>>,
}

impl Message {
    fn ended(&self, end: End) {
        if let Some(ledger) = &self.ledger {
            ledger.ended(end);
        }
    }
}

/// Messages that are sent, and confirmed, together.
#[derive(Debug)]
struct Batch {
    /// The number of its first message among all of this agent's; the others follow.
    first: u64,
    messages: Vec<Message>,
    /// Whether their end is in the ledger.
    ended: AtomicBool,
}

impl Batch {
    fn new(first: u64, messages: Vec<Message>) -> Self {
        Self {
            first,
            messages,
            ended: AtomicBool::new(false),
        }
    }

    /// The memory that it takes, about.
    fn size(&self) -> usize {
        let fixed = size_of::<Message>() * self.messages.len();
        let texts = self
            .messages
            .iter()
            .map(|message| message.payload.len() + message.subject.len());
        fixed + texts.sum::<usize>()
    }

    /// Enters the end of its messages; gives how many, which is none when that was done before.
    fn ended(&self, end: End) -> u64 {
        if self.ended.swap(true, Relaxed) {
            return 0;
        }
        for message in &self.messages {
            message.ended(end);
        }
        self.messages.len() as u64
    }

    /// Its first message and the others, in batches of their own.
    fn split(&self) -> (Self, Self) {
        self.split_at(1)
    }

    /// Its messages up to this number and the others, in batches of their own.
    fn after(self, number: u64) -> (Self, Self) {
        let before = (number + 1).saturating_sub(self.first);
        self.split_at(usize::try_from(before).unwrap_or(usize::MAX))
    }

    fn split_at(&self, at: usize) -> (Self, Self) {
        let part = |first: u64, messages: &[Message]| Self {
            first,
            messages: messages.to_vec(),
            ended: AtomicBool::new(self.ended.load(Relaxed)),
        };
        let (first, rest) = self.messages.split_at(self.messages.len().min(at));
        (
            part(self.first, first),
            part(self.first + first.len() as u64, rest),
        )
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
