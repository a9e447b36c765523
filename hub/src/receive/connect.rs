//! The connection to NATS.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::{
    Client, ConnectOptions, Event, Message, RequestErrorKind, ServerError, Subscriber,
};
use futures_util::StreamExt;
use probeparser::wire::{AGENT_INBOXES, PLACE_END, Store, encode_token, hub_place};
use tokio::sync::mpsc;

use super::address::Address;
use super::error::{AskError, NatsError};
use super::kept::{self, KeptError, KeptReader, Part};

/// How long a server may take to confirm a subscription.
pub(super) const CONFIRMATION: Duration = Duration::from_secs(5);
/// How long nothing may come of what the server has sent.
const SETTLING: Duration = Duration::from_secs(2);
/// Pause between two attempts to connect again: who publishes may be back already.
const RETRY: Duration = Duration::from_millis(100);
/// Messages that may wait for the hub; the client library drops what comes on top.
const BACKLOG: usize = 65_536;

/// How to log in.
#[derive(Clone, Default)]
pub(crate) struct Access {
    /// A token.
    pub token: Option<String>,
    /// A user and a password.
    pub password: Option<(String, String)>,
    /// A credentials file, as `nsc` writes it.
    pub creds: Option<PathBuf>,
    /// An nkey's seed.
    pub nkey: Option<String>,
    /// Certificates to trust besides the system's.
    pub tls_ca: Option<PathBuf>,
    /// A certificate of our own and its key.
    pub tls_cert: Option<(PathBuf, PathBuf)>,
    /// Whether the server speaks TLS before it says anything.
    pub tls_first: bool,
    /// Where messages to ourselves go, if the login is limited to a place of its own.
    pub inbox: Option<String>,
}

/// What happens to a connection after it was made.
#[derive(Debug)]
pub(crate) enum Change {
    /// It is there again.
    Back,
    /// It is gone; the client keeps trying.
    Gone,
    /// The server or the client has something to say.
    Said(String),
    /// The server does not let us subscribe.
    Refused(NatsError),
    /// It is gone for good.
    Closed,
}

/// A connection to a server.
pub(crate) struct Connection {
    client: Client,
    address: Address,
    /// What is subscribed to.
    filter: String,
    events: mpsc::Receiver<Event>,
    /// Messages to ourselves that were received, which are no records.
    confirmations: u64,
    /// Whether the server lets us answer agents.
    may_answer: Arc<AtomicBool>,
}

/// Tells agents what was read, so that none sends faster than that, and each knows what to send
/// again.
#[derive(Clone)]
pub(crate) struct Answerer {
    client: Client,
    may_answer: Arc<AtomicBool>,
}

impl Answerer {
    /// Whether a message wants to be answered.
    pub(crate) fn is_asked(message: &Message) -> bool {
        let place = message.reply.as_ref();
        place.is_some_and(|place| place.ends_with(PLACE_END))
    }

    /// Answers a message that asks for it. Only the inbox of the agent whose name the message bears
    /// is written to: a stranger may ask for anything.
    pub(crate) async fn answer(&self, message: &Message) {
        let Some(place) = &message.reply else {
            return;
        };
        if Self::is_asked(message)
            && is_of(place, &message.subject)
            && self.may_answer.load(Relaxed)
        {
            // Without a connection there is nobody to answer.
            self.client.publish(place.clone(), "".into()).await.ok();
        }
    }
}

impl Answerer {
    /// Says to the agent of a status, which came out of a stream, that somebody reads.
    pub(super) async fn greet(&self, status: &str) {
        if let (Some(place), true) = (hub_place(status), self.may_answer.load(Relaxed)) {
            self.client.publish(place, "".into()).await.ok();
        }
    }
}

/// Whether a place is in the inbox of the agent that a subject names. Both escape names alike.
fn is_of(place: &str, subject: &str) -> bool {
    let agent = subject.strip_prefix("xtracer.v1.").and_then(|rest| {
        let (session, rest) = rest.split_once('.')?;
        Some((session, rest.split_once('.')?.0))
    });
    let inbox = place.strip_prefix(AGENT_INBOXES);
    agent.is_some_and(|(session, node)| {
        let rest = inbox.and_then(|inbox| inbox.strip_prefix(session)?.strip_prefix('.'));
        rest.and_then(|rest| rest.strip_prefix(node))
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

impl Connection {
    /// Connects, at once or not at all: a wrong address should be said, not retried.
    ///
    /// # Errors
    /// When there is no server or it does not let us in.
    pub(crate) async fn open(address: Address, access: Access) -> Result<Self, NatsError> {
        // The client library offers events and drops them when nobody listens, so may this.
        let (sender, events) = mpsc::channel(64);
        let mut options = ConnectOptions::new()
            .name("x-tracer")
            .subscription_capacity(BACKLOG)
            .reconnect_delay_callback(|attempts| if attempts <= 1 { Duration::ZERO } else { RETRY })
            .event_callback(move |event| {
                let lost = sender.try_send(event);
                drop(lost);
                std::future::ready(())
            });
        if let Some(token) = access.token {
            options = options.token(token);
        }
        if let Some((user, password)) = access.password {
            options = options.user_and_password(user, password);
        }
        if let Some(seed) = access.nkey {
            options = options.nkey(seed);
        }
        if let Some(path) = access.creds {
            options = options
                .credentials_file(&path)
                .await
                .map_err(|error| NatsError::Creds { path, error })?;
        }
        if let Some(path) = access.tls_ca {
            // Who names an authority wants no server that does without it.
            options = options.add_root_certificates(path).require_tls(true);
        }
        if let Some((certificate, key)) = access.tls_cert {
            options = options.add_client_certificate(certificate, key);
        }
        if access.tls_first {
            options = options.tls_first();
        }
        if let Some(inbox) = access.inbox {
            options = options.custom_inbox_prefix(inbox);
        }
        match options.connect(&address.0).await {
            Ok(client) => Ok(Self {
                client,
                address,
                filter: String::new(),
                events,
                confirmations: 0,
                may_answer: Arc::new(AtomicBool::new(true)),
            }),
            Err(error) => Err(NatsError::Connect { address, error }),
        }
    }

    /// Where it leads.
    #[must_use]
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// What answers agents on this connection.
    pub(crate) fn answerer(&self) -> Answerer {
        Answerer {
            client: self.client.clone(),
            may_answer: Arc::clone(&self.may_answer),
        }
    }

    /// Subscribes to a session, or to all, and returns once the server has taken it: what is
    /// published from then on arrives.
    ///
    /// # Errors
    /// When the server refuses, or does not answer in time.
    pub(crate) async fn subscribe(
        &mut self,
        session: Option<&str>,
    ) -> Result<Subscriber, NatsError> {
        self.filter = filter(session);
        let subscriber = self.client.subscribe(self.filter.clone()).await;
        let subscriber = subscriber.map_err(|error| self.closed(&error))?;
        match tokio::time::timeout(CONFIRMATION, self.confirm()).await {
            Ok(Ok(None)) => Ok(subscriber),
            Ok(Ok(Some(reason))) => Err(self.refused(reason)),
            Ok(Err(error)) => Err(self.closed(&error)),
            Err(_) => Err(NatsError::Silent {
                address: self.address.clone(),
                filter: self.filter.clone(),
            }),
        }
    }

    /// Lets a stream keep what is published from now on, if none does.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) async fn keep(&self, store: Store) -> Result<(), KeptError> {
        let server = jetstream::new(self.client.clone());
        kept::make_stream(&server, &self.address, store).await
    }

    /// Reads what a stream keeps of a session, or of all.
    ///
    /// # Errors
    /// When there is no stream, or it can't be read.
    pub(crate) async fn read(
        &self,
        session: Option<&str>,
        part: Part,
    ) -> Result<KeptReader, KeptError> {
        let server = jetstream::new(self.client.clone());
        KeptReader::open(server, self.address.clone(), filter(session), part).await
    }

    /// Sends a message to ourselves: the server handles one connection's lines in order, so its
    /// arrival, or any complaint about it, says that it has handled the subscription before it.
    /// Gives the server's reason if it complains about the subscription itself.
    async fn confirm(&mut self) -> Result<Option<String>, async_nats::Error> {
        let inbox = self.client.new_inbox();
        let mut echo = self.client.subscribe(inbox.clone()).await?;
        self.client.publish(inbox, "".into()).await?;
        self.client.flush().await?;
        tokio::select! {
            message = echo.next() => {
                self.confirmations += u64::from(message.is_some());
                Ok(None)
            }
            reason = complaint(&mut self.events) => {
                Ok(reason.filter(|reason| self.is_refusal(reason)))
            }
        }
    }

    /// Waits until everything that the server has sent so far is here. A server that is gone, or
    /// sends nothing for a while, has nothing more to say.
    ///
    /// The client's own drain does not do that: it ends a subscription as soon as nothing can be
    /// read for a moment, whether or not the server has answered.
    pub(crate) async fn settle(&mut self) {
        let statistics = self.client.statistics();
        let come = || statistics.in_bytes.load(Relaxed);
        let confirmed = self.confirm();
        tokio::pin!(confirmed);
        let mut before = come();
        while tokio::time::timeout(SETTLING, &mut confirmed)
            .await
            .is_err()
        {
            let now = come();
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// Waits until a server that is back has handled the subscription: what is published from then on
    /// comes.
    ///
    /// # Errors
    /// When it refuses the subscription now.
    pub(crate) async fn resume(&mut self) -> Result<(), NatsError> {
        match tokio::time::timeout(CONFIRMATION, self.confirm()).await {
            Ok(Ok(Some(reason))) => Err(self.refused(reason)),
            // Gone again, or slow to answer: its next events say which.
            Ok(Ok(None) | Err(_)) | Err(_) => Ok(()),
        }
    }

    fn is_refusal(&self, reason: &str) -> bool {
        reason.contains("Permissions Violation for Subscription")
            && !self.filter.is_empty()
            && reason.contains(&self.filter)
    }

    fn refused(&self, reason: String) -> NatsError {
        NatsError::Refused {
            address: self.address.clone(),
            filter: self.filter.clone(),
            reason,
        }
    }

    fn closed(&self, reason: &dyn fmt::Display) -> NatsError {
        NatsError::Closed {
            address: self.address.clone(),
            reason: reason.to_string(),
        }
    }

    /// Sends a message that is to be answered. For a connection that receives nothing else.
    ///
    /// # Errors
    /// When no answer came, or can come.
    pub(crate) async fn ask(
        &mut self,
        subject: String,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, AskError> {
        // What happened before is about something else.
        while self.events.try_recv().is_ok() {}
        tokio::select! {
            answer = self.client.request(subject.clone(), payload.into()) => match answer {
                Ok(answer) => Ok(answer.payload.into()),
                Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                    Err(AskError::Nobody { subject })
                }
                Err(error) => Err(AskError::Unanswered { error }),
            },
            reason = prohibition(&mut self.events) => Err(AskError::Forbidden { reason }),
        }
    }

    /// The next thing that happens to the connection; never ends while the connection lives.
    pub(crate) async fn change(&mut self) -> Change {
        loop {
            return match self.events.recv().await {
                Some(Event::Connected) => Change::Back,
                Some(Event::Disconnected) => Change::Gone,
                // The server's errors take another way through the client than its messages: this
                // one may come after the confirmation.
                Some(Event::ServerError(ServerError::Other(reason)))
                    if self.is_refusal(&reason) =>
                {
                    Change::Refused(self.refused(reason))
                }
                Some(Event::ServerError(error)) if is_muzzle(&error.to_string()) => {
                    if !self.may_answer.swap(false, Relaxed) {
                        continue;
                    }
                    Change::Said(format!(
                        "{error}: agents can't be told what was read: they may send faster than that, and end when a stream keeps their records and they hear of no hub for long: ask for the right to publish to {AGENT_INBOXES}>"
                    ))
                }
                Some(Event::ServerError(error)) => Change::Said(error.to_string()),
                Some(Event::ClientError(error)) => Change::Said(error.to_string()),
                Some(Event::LameDuckMode) => Change::Said("the server is going to stop".into()),
                // Counted exactly by `received`, hinted at by the library.
                Some(Event::SlowConsumer(_) | Event::Draining) => continue,
                Some(Event::Closed) | None => Change::Closed,
            };
        }
    }

    /// Messages that the client library has taken from the server, whether or not they found
    /// room in the backlog.
    #[must_use]
    pub(crate) fn received(&self) -> u64 {
        let all = self.client.statistics().in_messages.load(Relaxed);
        all.saturating_sub(self.confirmations)
    }
}

/// The subjects of a session, or of all.
fn filter(session: Option<&str>) -> String {
    match session {
        Some(session) => format!("xtracer.v1.{}.>", encode_token(session)),
        None => "xtracer.v1.>".to_owned(),
    }
}

/// Whether the server complains about our answers.
fn is_muzzle(complaint: &str) -> bool {
    complaint
        .to_lowercase()
        .contains("permissions violation for publish")
        && complaint.contains(AGENT_INBOXES)
}

/// What the server says to forbid something.
async fn prohibition(events: &mut mpsc::Receiver<Event>) -> String {
    while let Some(reason) = complaint(events).await {
        if reason.to_lowercase().contains("permissions violation") {
            return reason;
        }
    }
    std::future::pending().await
}

/// The next error that the server reports.
async fn complaint(events: &mut mpsc::Receiver<Event>) -> Option<String> {
    while let Some(event) = events.recv().await {
        if let Event::ServerError(ServerError::Other(reason)) = event {
            return Some(reason);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agent_that_a_subject_names_is_answered() {
        let subject = "xtracer.v1.s%2E1.n.ns.p.c.tcplife";
        assert!(is_of("_INBOX.x-agent.s%2E1.n.id.7.end", subject));
        assert!(is_of(
            "_INBOX.x-agent.s%2E1.n.7.end",
            "xtracer.v1.s%2E1.n.status"
        ));
        for place in [
            "_INBOX.x-agent.s%2E1.n2.7.end",
            "_INBOX.x-agent.s%2E1.end",
            "_INBOX.x-agent.other.n.7.end",
            "_INBOX.7.end",
            "xtracer.v1.s%2E1.n.7.end",
            "$JS.API.STREAM.DELETE.x.end",
        ] {
            assert!(!is_of(place, subject), "{place}");
        }
        assert!(!is_of("_INBOX.x-agent.s.n.7.end", "xtracer.v1.s"));
    }
}
