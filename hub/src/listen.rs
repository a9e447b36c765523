//! `x-tracer listen`: what agents elsewhere publish.

use anyhow::Context;

use crate::console::say;
use crate::exit::{Exit, Failure};
use crate::receive::{Access, Address, Connection};
use crate::session::{self, Settings};
use crate::stop::Signals;

/// What `x-tracer listen` was asked for.
pub(crate) struct Config {
    /// The server.
    pub nats: Address,
    /// How to log in.
    pub access: Access,
    /// The session to show; without it, all.
    pub session: Option<String>,
    /// How to show it.
    pub settings: Settings,
}

/// Shows what comes until something ends it.
///
/// # Errors
/// When the server can't be reached, or the session breaks.
pub(crate) async fn run(config: Config) -> Result<Exit, Failure> {
    let mut connection = Connection::open(config.nats, config.access).await?;
    let subscriber = connection.subscribe(config.session.as_deref()).await?;
    let mut signals = Signals::take().context("cannot take over the signals")?;
    say(format!("listening on {}", connection.address()));
    session::run(connection, subscriber, None, config.settings, &mut signals).await
}
