//! `x-tracer listen`: what agents elsewhere publish.

use anyhow::Context;

use crate::console::mention;
use crate::durable::{self, Durable};
use crate::exit::{Exit, Failure};
use crate::receive::{Access, Address, Connection};
use crate::session::{self, Reading, Settings};
use crate::stop::Signals;

/// What `x-tracer listen` was asked for.
pub(crate) struct Config {
    /// The server.
    pub nats: Address,
    /// How to log in.
    pub access: Access,
    /// The session to show; without it, all.
    pub session: Option<String>,
    /// Read what a stream keeps, instead of what comes now.
    pub durable: Option<Durable>,
    /// How to show it.
    pub settings: Settings,
}

/// Shows what comes until something ends it.
///
/// # Errors
/// When the server can't be reached, or the session breaks.
pub(crate) async fn run(config: Config) -> Result<Exit, Failure> {
    let mut connection = Connection::open(config.nats, config.access).await?;
    let session = config.session.as_deref();
    let reading = match &config.durable {
        None => {
            let subscriber = connection.subscribe(session).await?;
            Reading::live(connection, subscriber)
        }
        Some(durable) => {
            let bookmark = durable.bookmark_at(connection.address(), session)?;
            durable::reading(connection, session, durable, Some(bookmark)).await?
        }
    };
    let mut signals = Signals::take().context("cannot take over the signals")?;
    mention(format!("listening on {}", reading.connection.address()));
    session::run(reading, None, config.settings, &mut signals).await
}
