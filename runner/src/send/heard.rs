//! Whether anybody listens: an agent whose hub was killed must not trace for ever.
//!
//! A NATS server answers at once when nobody subscribes to what it was asked to pass on ("no responders").
//! So the agent asks, every few seconds, with a message that says nothing. Whoever reads the subject counts:
//! a hub, `nats sub`, a stream of `JetStream`; none of them has to answer, and the hub needs no right to.

use std::time::Duration;

use async_nats::{Client, Request, RequestErrorKind};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Login, Message};

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How long the server may take to say that nobody listens.
const ANSWER: Duration = Duration::from_secs(3);

/// Where to ask, and with what.
pub(crate) struct Question<M> {
    /// The server.
    pub(crate) url: String,
    /// How to log in.
    pub(crate) login: Login,
    /// Where answers go: a place of this agent's own.
    pub(crate) inbox: String,
    /// Makes a message that says nothing, to the subject that is to be read.
    pub(crate) message: M,
}

impl<M: Fn() -> Message> Question<M> {
    /// Completes when nobody has listened for so long; never without a limit. Nobody listens on a server
    /// that can't be reached either.
    ///
    /// It has a connection of its own, so that it waits behind no records.
    pub(crate) async fn unheard_for(self, limit: Option<Duration>) {
        let (Some(limit), Ok(options)) = (limit, self.login.options()) else {
            return std::future::pending().await;
        };
        let options = options
            .name("x-agent: does anybody listen?")
            .custom_inbox_prefix(&self.inbox)
            .retry_on_initial_connect();
        // It fails for an address that makes no sense, which the sender reports.
        let Ok(client) = options.connect(&self.url).await else {
            return std::future::pending().await;
        };
        let mut heard = Instant::now();
        let mut next = interval(ASK_EVERY);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            next.tick().await;
            if self.is_heard(&client).await {
                heard = Instant::now();
            } else if heard.elapsed() >= limit {
                return;
            }
        }
    }

    async fn is_heard(&self, client: &Client) -> bool {
        let Message {
            subject, payload, ..
        } = (self.message)();
        let question = Request::new().payload(payload).timeout(Some(ANSWER));
        match client.send_request(subject, question).await {
            Ok(_) => true,
            Err(error) if error.kind() == RequestErrorKind::NoResponders => false,
            // Somebody read it and said nothing, or the server is away.
            Err(_) => is_there(client).await,
        }
    }
}

/// Whether the server answers. Nobody reads a new inbox, so that its answer is that.
async fn is_there(client: &Client) -> bool {
    let question = Request::new().timeout(Some(ANSWER));
    let answer = client.send_request(client.new_inbox(), question).await;
    answer.is_err_and(|error| error.kind() == RequestErrorKind::NoResponders)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use tokio::time::timeout;

    use super::*;
    use crate::cli::LoginArgs;
    use crate::nats_server::NatsServer;

    const SUBJECT: &str = "xtracer.v1.s.n.status";
    /// So long that it is asked twice.
    const LIMIT: Duration = Duration::from_secs(6);
    const PATIENCE: Duration = Duration::from_secs(60);

    fn question(server: &NatsServer) -> Question<impl Fn() -> Message + use<>> {
        Question {
            url: server.url(),
            login: Login::new(LoginArgs::default()).unwrap(),
            inbox: "_INBOX.x-agent.s.n".into(),
            message: || Message {
                subject: SUBJECT.into(),
                payload: "{}".into(),
                ledger: None,
            },
        }
    }

    #[tokio::test]
    async fn who_reads_without_a_word_is_a_listener_until_it_leaves() {
        let server = NatsServer::start();
        let reader = async_nats::connect(server.url()).await.unwrap();
        let mut read = reader.subscribe("xtracer.v1.s.>").await.unwrap();
        reader.flush().await.unwrap();
        let unheard = question(&server).unheard_for(Some(LIMIT));
        tokio::pin!(unheard);
        // The third question comes after the limit.
        for _ in 0..3 {
            tokio::select! {
                message = read.next() => assert_eq!(message.unwrap().payload, "{}"),
                () = &mut unheard => panic!("it was read"),
            }
        }
        read.unsubscribe().await.unwrap();
        reader.flush().await.unwrap();
        timeout(PATIENCE, unheard).await.unwrap();
    }

    #[tokio::test]
    async fn on_a_server_that_is_gone_nobody_listens() {
        let server = NatsServer::start();
        let unheard = question(&server).unheard_for(Some(LIMIT));
        drop(server);
        timeout(PATIENCE, unheard).await.unwrap();
    }
}
