//! What is different when a stream keeps the messages: each has a name by which the stream knows a
//! repeat, and the stream itself says that it keeps it.

use std::collections::VecDeque;

use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::Info;
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, HeaderMap, header};
use jiff::Timestamp;
use probeparser::wire::{STREAM, Store, encode_token};
use serde::Deserialize;

/// The server's word for: there is a stream of this name, with other limits. It is good enough.
const OTHER_LIMITS: ErrorCode = ErrorCode::STREAM_NAME_EXIST;

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    /// The server has no `JetStream`, or this login may not ask for a stream.
    #[error(
        "no stream can be made ({0}): start nats-server with JetStream (-js) and let this login publish to $JS.API.STREAM.CREATE.{STREAM}, or leave --durable out"
    )]
    Asking(jetstream::context::RequestError),
    /// The server refuses.
    #[error("the server makes no stream `{STREAM}`: {0}")]
    Refused(jetstream::Error),
}

/// A number for a numbering that begins now.
pub(crate) fn epoch() -> u64 {
    Timestamp::now().as_microsecond().unsigned_abs()
}

/// What keeps this agent's messages, and how they are named.
#[derive(Clone, Debug)]
pub(crate) struct Durable {
    store: Store,
    /// The session, the node and the moment at which the numbering began.
    agent: String,
}

impl Durable {
    /// For the messages of one numbering, by the moment of its beginning.
    pub(crate) fn new(store: Store, session: &str, node: &str, epoch: u64) -> Self {
        let (session, node) = (encode_token(session), encode_token(node));
        Self {
            store,
            agent: format!("{session}/{node}/{epoch}"),
        }
    }

    /// The name of a message, as the stream wants it.
    pub(super) fn name(&self, number: u64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let name = format!("{}/{number}", self.agent);
        headers.insert(header::NATS_MESSAGE_ID, name.as_str());
        headers
    }

    /// Makes the stream unless there is one.
    ///
    /// # Errors
    /// When there is none afterwards.
    pub(super) async fn make_stream(&self, client: &Client) -> Result<(), StreamError> {
        let subject = format!("STREAM.CREATE.{STREAM}");
        let server = jetstream::new(client.clone());
        let made = server.request(subject, &self.store).await;
        match made.map_err(StreamError::Asking)? {
            Response::Ok(Info { .. }) => Ok(()),
            Response::Err { error } if error.error_code() == OTHER_LIMITS => Ok(()),
            Response::Err { error } => Err(StreamError::Refused(error)),
        }
    }
}

/// The stream's answer to one message.
#[derive(Deserialize)]
pub(super) struct Kept {
    error: Option<jetstream::Error>,
}

impl Kept {
    /// Reads an answer; none if it is something else.
    pub(super) fn read(payload: &[u8]) -> Option<Result<(), jetstream::Error>> {
        let answer: Self = serde_json::from_slice(payload).ok()?;
        Some(answer.error.map_or(Ok(()), Err))
    }
}

/// How many messages of each batch the stream has not confirmed, oldest batch first.
#[derive(Debug, Default)]
pub(super) struct Unkept(VecDeque<(u64, usize)>);

impl Unkept {
    /// A batch is sent.
    pub(super) fn sent(&mut self, number: u64, messages: usize) {
        self.0.push_back((number, messages));
    }

    /// Nothing of what was sent is expected any more.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// One message of a batch is kept; gives the last batch of those that are kept to the end, together
    /// with all before them, if that is news.
    pub(super) fn kept(&mut self, number: u64) -> Option<u64> {
        let at = self.0.binary_search_by_key(&number, |(number, _)| *number);
        let (_, left) = self.0.get_mut(at.ok()?)?;
        *left = left.saturating_sub(1);
        let mut last = None;
        while self.0.front().is_some_and(|(_, left)| *left == 0) {
            last = self.0.pop_front().map(|(number, _)| number);
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_kept_when_all_of_it_and_all_before_it_is() {
        let mut unkept = Unkept::default();
        unkept.sent(3, 2);
        unkept.sent(4, 1);
        unkept.sent(5, 1);
        assert_eq!(unkept.kept(3), None);
        assert_eq!(unkept.kept(4), None);
        assert_eq!(unkept.kept(9), None);
        assert_eq!(unkept.kept(3), Some(4));
        assert_eq!(unkept.kept(3), None, "once more is no news");
        assert_eq!(unkept.kept(5), Some(5));
    }

    #[test]
    fn an_answer_says_kept_or_why_not() {
        assert!(matches!(
            Kept::read(br#"{"stream":"xtracer","seq":7}"#),
            Some(Ok(()))
        ));
        let refused = Kept::read(
            br#"{"error":{"code":503,"err_code":10023,"description":"insufficient resources"}}"#,
        );
        assert!(refused.unwrap().is_err());
        assert!(Kept::read(b"").is_none());
    }
}
