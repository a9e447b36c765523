//! Whether anybody listens: an agent whose hub was killed must not trace for ever.
//!
//! A NATS server answers at once when nobody subscribes to what it was asked to pass on ("no responders").
//! So the agent asks, every few seconds, with a message that says nothing. Whoever reads the subject counts:
//! a hub, `nats sub`, a stream of `JetStream`; none of them has to answer, and the hub needs no right to.

use std::time::Duration;

use async_nats::{Client, Request, RequestErrorKind};
use futures_util::StreamExt;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::{Message, Second};

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How often it is asked for a hub, each time by a message that the stream keeps.
const HUB_EVERY: Duration = Duration::from_secs(60);
/// How long the server may take to say that nobody listens.
const ANSWER: Duration = Duration::from_secs(3);

/// Completes when nobody has read these messages for so long; never without a limit. Nobody reads on a
/// server that can't be reached either. Without a message it is asked for no more than that.
pub(crate) async fn unheard_for(
    limit: Option<Duration>,
    second: Second,
    message: Option<impl Fn() -> Message>,
) {
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    // Where there can be no connection, the sender says why.
    let Some(client) = second.connect("x-agent: does anybody listen?").await else {
        return std::future::pending().await;
    };
    let mut heard = Instant::now();
    let mut next = interval(ASK_EVERY);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        next.tick().await;
        let is_heard = match &message {
            Some(message) => is_heard(&client, message()).await,
            None => is_there(&client).await,
        };
        if is_heard {
            heard = Instant::now();
        } else if heard.elapsed() >= limit {
            return;
        }
    }
}

/// Completes when no hub has read the stream for so long; never without a limit. A stream hears everything,
/// so that it takes a hub's own word: the agent asks by a status, and a hub that reads it answers.
pub(crate) async fn alone_for(
    limit: Option<Duration>,
    second: Second,
    place: String,
    question: impl Fn() -> Message,
) {
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    let Some(client) = second.connect("x-agent: is there a hub?").await else {
        return std::future::pending().await;
    };
    let Ok(mut answers) = client.subscribe(place).await else {
        return std::future::pending().await;
    };
    let mut heard = Instant::now();
    let mut next = interval(HUB_EVERY.min(limit / 4));
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(_) = answers.next() => heard = Instant::now(),
            _ = next.tick() => {
                let Message { subject, payload, .. } = question();
                // Without a connection there is no answer either.
                client.publish(subject, payload).await.ok();
            }
            () = sleep_until(heard + limit) => return,
        }
    }
}

async fn is_heard(client: &Client, message: Message) -> bool {
    let question = Request::new()
        .payload(message.payload)
        .timeout(Some(ANSWER));
    match client.send_request(message.subject, question).await {
        Ok(_) => true,
        Err(error) if error.kind() == RequestErrorKind::NoResponders => false,
        // Somebody read it and said nothing, or the server is away.
        Err(_) => is_there(client).await,
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
    use probeparser::wire::hub_place;
    use tokio::time::timeout;

    use super::super::Login;
    use super::*;
    use crate::cli::LoginArgs;
    use crate::nats_server::NatsServer;

    const SUBJECT: &str = "xtracer.v1.s.n.status";
    /// So long that it is asked twice.
    const LIMIT: Duration = Duration::from_secs(6);
    const PATIENCE: Duration = Duration::from_secs(60);

    fn unheard(server: &NatsServer) -> impl Future<Output = ()> + use<> {
        let second = Second {
            url: server.url(),
            login: Login::new(LoginArgs::default()).unwrap(),
            inbox: "_INBOX.x-agent.s.n".into(),
        };
        let message = || Message {
            subject: SUBJECT.into(),
            payload: "{}".into(),
            ledger: None,
        };
        unheard_for(Some(LIMIT), second, Some(message))
    }

    #[tokio::test]
    async fn who_reads_without_a_word_is_a_listener_until_it_leaves() {
        let server = NatsServer::start();
        let reader = async_nats::connect(server.url()).await.unwrap();
        let mut read = reader.subscribe("xtracer.v1.s.>").await.unwrap();
        reader.flush().await.unwrap();
        let unheard = unheard(&server);
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
        let unheard = unheard(&server);
        drop(server);
        timeout(PATIENCE, unheard).await.unwrap();
    }

    #[tokio::test]
    async fn an_agent_is_alone_when_no_hub_answers_any_more() {
        let server = NatsServer::start();
        let hub = async_nats::connect(server.url()).await.unwrap();
        let mut asked = hub.subscribe(SUBJECT).await.unwrap();
        hub.flush().await.unwrap();
        let second = Second {
            url: server.url(),
            login: Login::new(LoginArgs::default()).unwrap(),
            inbox: "_INBOX.x-agent.s.n".into(),
        };
        let place = hub_place(SUBJECT).unwrap();
        let question = || Message {
            subject: SUBJECT.into(),
            payload: "{}".into(),
            ledger: None,
        };
        let alone = alone_for(
            Some(Duration::from_secs(2)),
            second,
            place.clone(),
            question,
        );
        tokio::pin!(alone);
        // The last question comes after the limit.
        for _ in 0..6 {
            tokio::select! {
                _ = asked.next() => hub.publish(place.clone(), "".into()).await.unwrap(),
                () = &mut alone => panic!("there was a hub"),
            }
        }
        timeout(PATIENCE, alone).await.unwrap();
    }
}
