//! One connection to NATS, from its beginning to its end. With the login, the only file that names
//! the client library's types.
//!
//! The library would connect again by itself, and then first send what it still had in its queue:
//! the end of a stream before its middle, which died in the old socket. So a link's client is left
//! no server to go back to, and the sender opens a new link.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_nats::{Client, Event, ServerAddr, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use probeparser::wire::{PLACE_END, agent_inbox};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::Batch;
use super::durable::{Durable, Kept, StreamError, Unkept};
use super::login::{Login, LoginError};
use super::sender::WINDOW;

/// Pause between two attempts to connect: short, so that little is missed by a reader who is back.
const RETRY: Duration = Duration::from_millis(250);
/// How often the server is asked whether it is there while it says nothing.
const PING: Duration = Duration::from_secs(10);
/// How long the server may take for its first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(5);
/// Answers that may wait: more than one for each message that may be in flight.
const ANSWERS: usize = 65_536;
/// An address where nothing can listen.
const NOWHERE: &str = "nats://127.0.0.1:0";

/// Why NATS can't be tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NatsError {
    /// The address makes no sense.
    #[error("NATS address `{url}`: {error}: expected nats://HOST:PORT or tls://HOST:PORT")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong.
        error: std::io::Error,
    },
    /// The login can't be used.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// No connection came about.
    #[error(transparent)]
    Connect(#[from] async_nats::ConnectError),
    /// Nothing keeps what is to be kept.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// It ended at once.
    #[error("the connection ended as it began")]
    Ended,
    /// The server says nothing.
    #[error("the server did not answer within {FIRST_ANSWER:?}")]
    Silent,
}

/// Where the server is and how to get in.
#[derive(Clone, Debug)]
pub(crate) struct Nats {
    servers: Vec<ServerAddr>,
    login: Login,
    name: String,
    /// Where the answers go: a place of this agent's own, so that no other one reads them.
    inbox: String,
    /// What keeps the messages, if a stream is to.
    durable: Option<Durable>,
    /// Whether the next connection begins with making the stream.
    without_stream: bool,
}

impl Nats {
    /// A server by its address.
    ///
    /// # Errors
    /// When the address can't be one.
    pub(crate) fn new(
        url: &str,
        login: Login,
        session: &str,
        node: &str,
        durable: Option<Durable>,
    ) -> Result<Self, NatsError> {
        let server = url.parse().map_err(|error| NatsError::Address {
            url: url.to_owned(),
            error,
        })?;
        Ok(Self {
            servers: vec![server],
            login,
            name: format!("x-agent {node}"),
            inbox: agent_inbox(session, node),
            durable,
            without_stream: false,
        })
    }

    /// Whether a stream keeps the messages.
    pub(super) fn is_durable(&self) -> bool {
        self.durable.is_some()
    }

    /// The same, and the stream is made first.
    pub(super) fn make_stream(mut self) -> Self {
        self.without_stream = true;
        self
    }

    /// Connects, however long it takes: the agent may be up before its server.
    pub(super) async fn connect(mut self) -> Box<Link> {
        let mut told = String::new();
        loop {
            match self.open().await {
                Ok(link) => {
                    tracing::info!("connected to NATS");
                    return Box::new(link);
                }
                Err(error) => {
                    let error = error.to_string();
                    if error != told {
                        tracing::warn!("no connection to NATS: {error}; trying again");
                        told = error;
                    }
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn open(&mut self) -> Result<Link, NatsError> {
        let (state, mut changes) = watch::channel(State::default());
        let inbox = self.inbox.clone();
        let options = self
            .login
            .options()?
            .name(&self.name)
            .custom_inbox_prefix(&self.inbox)
            .subscription_capacity(ANSWERS)
            // Names in subjects are escaped, for each message anew it need not be checked.
            .skip_subject_validation(true)
            .ping_interval(PING)
            .max_reconnects(1)
            .event_callback(move |event| {
                note(&event, &inbox, &state);
                std::future::ready(())
            });
        let client = options.connect(&self.servers[..]).await?;
        // A cluster names its other servers: the next link may lead to one of them.
        let pool = client.server_pool().await.map_err(|_| NatsError::Ended)?;
        self.servers = pool.into_iter().map(|server| server.addr).collect();
        let nowhere: ServerAddr = NOWHERE.parse().expect("an address");
        client
            .set_server_pool(&[nowhere][..])
            .await
            .map_err(|_| NatsError::Ended)?;
        if let (Some(durable), true) = (&self.durable, self.without_stream) {
            durable.make_stream(&client).await?;
            self.without_stream = false;
        }
        let inbox = client.new_inbox();
        let mut answers = client
            .subscribe(format!("{inbox}.>"))
            .await
            .map_err(|_| NatsError::Ended)?;
        let deaf = is_deaf(&client, &inbox, &mut answers, &mut changes);
        let deaf = timeout(FIRST_ANSWER, deaf).await;
        let deaf = deaf.map_err(|_| NatsError::Silent)??;
        if deaf {
            tracing::warn!(
                "this login may not send messages to itself, so what is under way when a connection breaks is lost: let it publish and subscribe to {}.>",
                self.inbox
            );
        }
        let (work, batches) = mpsc::channel(WINDOW);
        let (written, writing) = mpsc::channel(WINDOW);
        let skipped = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            client,
            inbox,
            skipped: Arc::clone(&skipped),
            durable: self.durable.clone(),
            written: deaf.then_some(written),
        };
        Ok(Link {
            nats: self.clone(),
            work,
            skipped,
            answers,
            writing,
            unkept: Unkept::default(),
            changes,
            writer: tokio::spawn(writer.run(batches)).abort_handle(),
        })
    }
}

/// Sends itself a message. A login that may not do so gets no answers ever.
async fn is_deaf(
    client: &Client,
    inbox: &str,
    answers: &mut Subscriber,
    changes: &mut watch::Receiver<State>,
) -> Result<bool, NatsError> {
    let place = format!("{inbox}.0");
    let sent = client.publish(place, Bytes::new()).await;
    sent.map_err(|_| NatsError::Ended)?;
    tokio::select! {
        answer = answers.next() => answer.map(|_| false).ok_or(NatsError::Ended),
        state = changes.wait_for(|state| state.deaf || state.gone) => match state {
            Ok(state) if state.deaf => Ok(true),
            _ => Err(NatsError::Ended),
        }
    }
}

/// What is known of a connection besides its answers.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    gone: bool,
    /// The server does not let us send messages to ourselves.
    deaf: bool,
    /// The server refuses our messages.
    refused: bool,
}

fn note(event: &Event, inbox: &str, state: &watch::Sender<State>) {
    match event {
        Event::Disconnected | Event::Closed => {
            state.send_modify(|state| state.gone = true);
        }
        Event::ServerError(error) => {
            let reason = error.to_string();
            // A right that is missing to make a stream is told by who needs it.
            let refused = reason.to_lowercase().contains("permissions violation")
                && !reason.contains("$JS.API.");
            let deaf = refused && reason.contains(inbox);
            if refused && !deaf {
                tracing::warn!("NATS says: {reason}");
            }
            state.send_if_modified(|state| {
                let before = (state.deaf, state.refused);
                state.deaf |= deaf;
                state.refused |= refused && !deaf;
                before != (state.deaf, state.refused)
            });
        }
        other => tracing::debug!("NATS: {other}"),
    }
}

/// What came of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The server has taken it, or the stream keeps it. If somebody did not read all of it, that was said
    /// before.
    Taken(u64),
    /// The server has seen it pass, if a stream is to keep it.
    Passed(u64),
    /// The stream does not keep one of its messages, for this reason.
    Unkept(u64, String),
    /// A hub has read all of it.
    Read(u64),
    /// Nobody reads; at least one of its messages went nowhere.
    Unheard(u64),
    /// The server does not let us publish.
    Refused,
    /// The connection has ended.
    Gone,
}

/// A connection.
pub(super) struct Link {
    /// What makes the next one.
    pub(super) nats: Nats,
    work: mpsc::Sender<(u64, Arc<Batch>)>,
    /// The last batch that the writer need not write any more.
    skipped: Arc<AtomicU64>,
    answers: Subscriber,
    /// Batches that went into the socket, of a login that gets no better answer.
    writing: mpsc::Receiver<u64>,
    /// What the stream has not confirmed.
    unkept: Unkept,
    changes: watch::Receiver<State>,
    writer: AbortHandle,
}

impl Link {
    /// Hands a batch over; there is room for as many as may be without an answer.
    pub(super) fn send(&mut self, number: u64, batch: &Arc<Batch>) {
        self.unkept.sent(number, batch.messages.len());
        // A writer that has ended will be noticed by its connection's end.
        self.work.try_send((number, Arc::clone(batch))).ok();
    }

    /// Leaves out what has not been written up to this batch; the answers come all the same.
    pub(super) fn skip(&mut self, number: u64) {
        self.unkept.forget();
        self.skipped.store(number, Relaxed);
    }

    /// The next answer.
    pub(super) async fn answer(&mut self) -> Answer {
        loop {
            tokio::select! {
                biased;
                answer = self.answers.next() => match answer {
                    Some(answer) => {
                        if let Some(answer) = self.understand(&answer) {
                            return answer;
                        }
                    }
                    None => return Answer::Gone,
                },
                Some(number) = self.writing.recv() => return Answer::Taken(number),
                change = self.changes.changed() => {
                    let state = *self.changes.borrow_and_update();
                    if change.is_err() || state.gone {
                        return Answer::Gone;
                    }
                    if state.refused {
                        return Answer::Refused;
                    }
                }
            }
        }
    }

    /// The place says which batch an answer is about, its end and its payload who gives it: only a stream
    /// says more than nothing.
    fn understand(&mut self, answer: &async_nats::Message) -> Option<Answer> {
        let (place, by_hub) = match answer.subject.strip_suffix(PLACE_END) {
            Some(place) => (place, true),
            None => (answer.subject.as_str(), false),
        };
        let number = place.rsplit('.').next()?.parse().ok()?;
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            return Some(Answer::Unheard(number));
        }
        match (self.nats.is_durable(), answer.payload.is_empty()) {
            (true, true) => Some(Answer::Passed(number)),
            (true, false) => match Kept::read(&answer.payload)? {
                Ok(()) => self.unkept.kept(number).map(Answer::Taken),
                Err(reason) => Some(Answer::Unkept(number, reason.to_string())),
            },
            // A stream that somebody else has made.
            (false, false) => None,
            (false, true) if by_hub => Some(Answer::Read(number)),
            (false, true) => Some(Answer::Taken(number)),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

/// Writes batches until the connection has ended.
struct Writer {
    client: Client,
    inbox: String,
    skipped: Arc<AtomicU64>,
    /// What names the messages, if a stream is to know them.
    durable: Option<Durable>,
    /// Where to say that a batch is in the socket, if that is all that can be known.
    written: Option<mpsc::Sender<u64>>,
}

impl Writer {
    async fn run(self, mut batches: mpsc::Receiver<(u64, Arc<Batch>)>) {
        while let Some((number, batch)) = batches.recv().await {
            if let Err(error) = self.write(number, &batch).await {
                tracing::debug!("NATS: {error}");
                return;
            }
        }
    }

    /// Each message names the batch's number as the place for answers: that is where the server says
    /// that it found no reader, where a hub says that it has read the last one, and where a stream says of
    /// each that it keeps it. A message to that same place follows, which the server delivers after it has
    /// taken everything before it.
    async fn write(&self, number: u64, batch: &Batch) -> Result<(), async_nats::Error> {
        let place = Subject::from(format!("{}.{number}", self.inbox));
        if number > self.skipped.load(Relaxed) {
            let end = Subject::from(format!("{place}{PLACE_END}"));
            let last = batch.messages.len().saturating_sub(1);
            for (at, message) in batch.messages.iter().enumerate() {
                let (subject, payload) = (message.subject.clone(), message.payload.clone());
                let client = &self.client;
                if let Some(durable) = &self.durable {
                    let name = durable.name(batch.first + at as u64);
                    let sent = client.publish_with_reply_and_headers(
                        subject,
                        place.clone(),
                        name,
                        payload,
                    );
                    sent.await?;
                } else {
                    let place = if at == last { &end } else { &place };
                    let sent = client.publish_with_reply(subject, place.clone(), payload);
                    sent.await?;
                }
            }
        }
        match &self.written {
            None => self.client.publish(place, Bytes::new()).await?,
            Some(written) => {
                self.client.flush().await?;
                written.send(number).await?;
            }
        }
        Ok(())
    }
}
