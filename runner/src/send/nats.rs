//! The connection to NATS. The only file that names the client library's connection types.

use std::time::Duration;

use async_nats::{Client, Event, Subject};
use tokio::sync::watch;

use super::login::{Login, LoginError};

/// How long the server may take to answer at the end, when everything has been handed over.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why something did not go to NATS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NatsError {
    /// The address makes no sense.
    #[error("NATS address `{url}`: {error}: expected nats://HOST:PORT")]
    Connect {
        /// What was given.
        url: String,
        /// What is wrong.
        error: async_nats::ConnectError,
    },
    /// The login can't be used.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The client refused a message.
    #[error("NATS did not take a message: {0}")]
    Publish(async_nats::PublishError),
    /// The server did not confirm what it was sent.
    #[error("NATS did not confirm the last messages within {FAREWELL:?}")]
    Farewell,
}

/// A connection that keeps trying: the agent may be up before its server.
#[derive(Clone, Debug)]
pub(crate) struct Nats {
    client: Client,
    closed: watch::Receiver<bool>,
}

impl Nats {
    /// Starts connecting to a server; every change of the connection is logged.
    ///
    /// # Errors
    /// When the address can't be one.
    pub(crate) async fn connect(url: &str, login: &Login, name: String) -> Result<Self, NatsError> {
        let (closing, closed) = watch::channel(false);
        let address = url.to_owned();
        let options = login
            .options()?
            .name(name)
            .retry_on_initial_connect()
            .event_callback(move |event| {
                log_event(&address, &event);
                if event == Event::Closed {
                    closing.send_replace(true);
                }
                std::future::ready(())
            });
        match options.connect(url).await {
            Ok(client) => Ok(Self { client, closed }),
            Err(error) => Err(NatsError::Connect {
                url: url.to_owned(),
                error,
            }),
        }
    }

    /// Hands a message to the client; waits while its buffer is full.
    ///
    /// # Errors
    /// When the client refuses it.
    pub(crate) async fn publish(
        &self,
        subject: Subject,
        payload: Vec<u8>,
    ) -> Result<(), NatsError> {
        self.client
            .publish(subject, payload.into())
            .await
            .map_err(NatsError::Publish)
    }

    /// Ends the connection after the server has taken what it was sent.
    ///
    /// # Errors
    /// When it does not confirm in time.
    pub(crate) async fn close(mut self) -> Result<(), NatsError> {
        let farewell = async {
            // A flush ends when the bytes are written, a drain when the client has closed.
            self.client.flush().await.ok()?;
            self.client.drain().await.ok()?;
            self.closed.wait_for(|closed| *closed).await.ok().map(drop)
        };
        match tokio::time::timeout(FAREWELL, farewell).await {
            Ok(Some(())) => Ok(()),
            Ok(None) | Err(_) => Err(NatsError::Farewell),
        }
    }
}

fn log_event(address: &str, event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to {address}"),
        Event::Disconnected => tracing::warn!("lost the connection to {address}; trying again"),
        Event::ClientError(error) => tracing::warn!("{address}: {error}"),
        Event::ServerError(error) => tracing::warn!("{address} says: {error}"),
        other => tracing::debug!("{address}: {other}"),
    }
}
