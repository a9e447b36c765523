//! Messages that a stream has kept, from a mark on, whoever was there when they came.
//!
//! The stream is read by a consumer that lives no longer than this reader and is made anew, behind what
//! was read last, whenever it is not certain that nothing is missing. How far was shown is known to the
//! hub alone (see `Bookmark`): an acknowledgement to the server can't be one step with the showing.

use std::fmt;
use std::time::{Duration, SystemTime};

use async_nats::Message;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::Info;
use async_nats::jetstream::{Context, ErrorCode};
use futures_util::StreamExt;
use probeparser::wire::{STREAM, Store};

use super::address::Address;
use crate::exit::{Exit, Failure};
use crate::secret::random_name;

/// Messages that the server is asked for at a time.
const BATCH: usize = 500;
/// How long one request for them lives.
const REQUEST: Duration = Duration::from_secs(10);
/// How often the server says that it is there while there is no message.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// When the server removes a consumer whose hub is gone.
const CONSUMER_ENDS: Duration = Duration::from_secs(30);
/// Pause between two attempts to read on.
const RETRY: Duration = Duration::from_millis(250);

/// A point in a stream: behind one of its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// When the stream was made, in nanoseconds since 1970: another one of the name counts anew.
    pub stream: i128,
    /// The message's number, from 1; 0 for the beginning.
    pub seq: u64,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// What comes after this point, without an end.
    After(Mark),
    /// What was kept since then and until now; without a time, all of it.
    Past(Option<SystemTime>),
}

/// What comes out.
pub(crate) enum Kept {
    /// A message, and the point behind it.
    Message(Box<Message>, Mark),
    /// So many messages, of all sessions, lay behind the mark and are gone by the stream's limits.
    Dropped(u64),
    /// Something that should be known.
    Note(String),
}

/// Why a stream can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeptError {
    /// There is none.
    #[error(
        "there is no stream `{STREAM}` on {0}, so nothing was kept there: agents make it that publish with --durable"
    )]
    NoStream(Address),
    /// The server has no `JetStream`, or we may not ask it.
    #[error(
        "{address} gives no stream ({error}): start nats-server with JetStream (-js) and let this login publish to $JS.API.STREAM.INFO.{STREAM}, $JS.API.CONSUMER.CREATE.{STREAM}.> and $JS.API.CONSUMER.MSG.NEXT.{STREAM}.>, or leave --durable out"
    )]
    Asking {
        /// Where.
        address: Address,
        /// What went wrong.
        error: String,
    },
    /// The server refuses to make it.
    #[error("{address} makes no stream `{STREAM}`: {error}")]
    Refused {
        /// Where.
        address: Address,
        /// Why.
        error: async_nats::jetstream::Error,
    },
}

impl From<KeptError> for Failure {
    fn from(error: KeptError) -> Self {
        Self::new(Exit::Failed, error)
    }
}

/// A reader of the stream.
pub(crate) struct KeptReader {
    server: Context,
    address: Address,
    filter: String,
    since: Option<SystemTime>,
    /// What was read last.
    last: Mark,
    /// Messages that were dropped before they were read, and of which nobody was told yet.
    dropped: u64,
    /// The last number to read, and whether that was reached, if there is an end.
    until: Option<u64>,
    over: bool,
    messages: Option<pull::Stream>,
    /// The consumer's own number of the last message.
    counted: u64,
    away_told: bool,
}

/// Makes the stream unless there is one.
///
/// # Errors
/// When there is none afterwards.
pub(super) async fn make_stream(
    server: &Context,
    address: &Address,
    store: Store,
) -> Result<(), KeptError> {
    let asking = |error: &dyn fmt::Display| KeptError::Asking {
        address: address.clone(),
        error: error.to_string(),
    };
    let known = info(server).await.map_err(|error| asking(&error))?;
    if known.is_some() {
        return Ok(());
    }
    let made = server.request(format!("STREAM.CREATE.{STREAM}"), &store);
    match made.await.map_err(|error| asking(&error))? {
        Response::Ok(Info { .. }) => Ok(()),
        // Somebody was faster, and wants other limits.
        Response::Err { error } if error.error_code() == ErrorCode::STREAM_NAME_EXIST => Ok(()),
        Response::Err { error } => Err(KeptError::Refused {
            address: address.clone(),
            error,
        }),
    }
}

/// What the server says of the stream; none if there is none.
async fn info(server: &Context) -> Result<Option<Info>, async_nats::Error> {
    let subject = format!("STREAM.INFO.{STREAM}");
    match server.request(subject, &()).await? {
        Response::Ok(info) => Ok(Some(info)),
        Response::Err { error } if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
        Response::Err { error } => Err(error.into()),
    }
}

impl KeptReader {
    /// Begins to read.
    ///
    /// # Errors
    /// When there is no stream, or it can't be read.
    pub(super) async fn open(
        server: Context,
        address: Address,
        filter: String,
        part: Part,
    ) -> Result<Self, KeptError> {
        let (last, since) = match part {
            Part::After(mark) => (mark, None),
            Part::Past(since) => (Mark::default(), since),
        };
        let mut reader = Self {
            server,
            address,
            filter,
            since,
            last,
            dropped: 0,
            until: None,
            over: false,
            messages: None,
            counted: 0,
            away_told: false,
        };
        let asking = |error: async_nats::Error, address: &Address| KeptError::Asking {
            address: address.clone(),
            error: error.to_string(),
        };
        let info = info(&reader.server).await;
        let info = info.map_err(|error| asking(error, &reader.address))?;
        let info = info.ok_or_else(|| KeptError::NoStream(reader.address.clone()))?;
        if matches!(part, Part::Past(_)) {
            reader.until = Some(info.state.last_sequence);
        }
        // Another stream of the name is noticed by `next`, and told.
        if reader.last.stream == 0 {
            reader.last.stream = created(&info);
        }
        if reader.last.seq > 0 && reader.last.stream == created(&info) {
            let next = reader.last.seq.saturating_add(1);
            reader.dropped = info.state.first_sequence.saturating_sub(next);
        }
        reader
            .consume()
            .await
            .map_err(|error| asking(error, &reader.address))?;
        Ok(reader)
    }

    /// Whether it reads on, whatever comes.
    pub(super) fn is_endless(&self) -> bool {
        self.until.is_none()
    }

    /// What comes next; none at the end of what was asked for.
    pub(crate) async fn next(&mut self) -> Option<Kept> {
        loop {
            if self.over {
                return None;
            }
            let dropped = std::mem::take(&mut self.dropped);
            if dropped > 0 {
                return Some(Kept::Dropped(dropped));
            }
            let Some(messages) = &mut self.messages else {
                if let Some(note) = self.resume().await {
                    return Some(Kept::Note(note));
                }
                continue;
            };
            let Some(Ok(message)) = messages.next().await else {
                // The server is away, or has not said for a while that it is there.
                self.messages = None;
                continue;
            };
            let (number, seq, pending) = match message.info() {
                Ok(info) => (info.consumer_sequence, info.stream_sequence, info.pending),
                Err(_) => continue,
            };
            if number != self.counted + 1 {
                self.messages = None;
                continue;
            }
            self.counted = number;
            self.last.seq = seq;
            self.over = self.until.is_some_and(|until| seq >= until || pending == 0);
            return Some(Kept::Message(Box::new(message.message), self.last));
        }
    }

    /// Tries once to go on; gives what there is to tell.
    async fn resume(&mut self) -> Option<String> {
        let problem = match info(&self.server).await {
            Ok(Some(info)) if created(&info) != self.last.stream => {
                self.last = Mark {
                    stream: created(&info),
                    seq: 0,
                };
                return Some(format!(
                    "the stream `{STREAM}` on {} is a new one: what the one before held, and was not shown, is gone",
                    self.address
                ));
            }
            Ok(Some(_)) => match self.consume().await {
                Ok(()) => {
                    self.away_told = false;
                    return None;
                }
                Err(error) => error.to_string(),
            },
            Ok(None) => "there is none".to_owned(),
            Err(error) => error.to_string(),
        };
        tokio::time::sleep(RETRY).await;
        if std::mem::replace(&mut self.away_told, true) {
            return None;
        }
        Some(format!(
            "cannot read the stream `{STREAM}` on {}: {problem}; trying again",
            self.address
        ))
    }

    /// Makes a consumer that begins behind what was read last.
    async fn consume(&mut self) -> Result<(), async_nats::Error> {
        let deliver_policy = match (self.last.seq, self.since) {
            (0, None) => DeliverPolicy::All,
            (0, Some(since)) => DeliverPolicy::ByStartTime {
                start_time: since.into(),
            },
            (seq, _) => DeliverPolicy::ByStartSequence {
                start_sequence: seq + 1,
            },
        };
        let consumer = self.server.create_consumer_on_stream(
            pull::Config {
                name: Some(format!("x-tracer-{}", random_name(8)?)),
                description: Some("x-tracer reads".to_owned()),
                deliver_policy,
                ack_policy: AckPolicy::None,
                filter_subject: self.filter.clone(),
                inactive_threshold: CONSUMER_ENDS,
                memory_storage: true,
                ..pull::Config::default()
            },
            STREAM,
        );
        let consumer = consumer.await?;
        let pending = consumer.cached_info().num_pending;
        self.over = self.until.is_some() && pending == 0;
        let messages = consumer
            .stream()
            .max_messages_per_batch(BATCH)
            .expires(REQUEST)
            .heartbeat(HEARTBEAT)
            .messages();
        self.messages = Some(messages.await?);
        self.counted = 0;
        Ok(())
    }
}

/// When a stream was made.
fn created(info: &Info) -> i128 {
    info.created.unix_timestamp_nanos()
}
