//! `x-tracer replay`: what a stream has kept.

use std::time::{Duration, SystemTime};

use anyhow::Context;

use crate::exit::{Exit, Failure};
use crate::receive::{Access, Address, Connection, Part, Source};
use crate::session::{self, Reading, Settings};
use crate::stop::Signals;

/// What `x-tracer replay` was asked for.
pub(crate) struct Config {
    /// The server.
    pub nats: Address,
    /// How to log in.
    pub access: Access,
    /// How far back; without it, to the beginning.
    pub since: Option<Duration>,
    /// The session to show; without it, all.
    pub session: Option<String>,
    /// How to show it.
    pub settings: Settings,
}

/// Shows what was kept until now, and ends.
///
/// # Errors
/// When there is no stream, or it can't be read.
pub(crate) async fn run(config: Config) -> Result<Exit, Failure> {
    let connection = Connection::open(config.nats, config.access).await?;
    let since = config.since.map(|ago| {
        let then = SystemTime::now().checked_sub(ago);
        then.unwrap_or(SystemTime::UNIX_EPOCH)
    });
    let part = Part::Past(since);
    let reader = connection.read(config.session.as_deref(), part).await?;
    let reading = Reading {
        connection,
        source: Source::Kept(Box::new(reader)),
        bookmark: None,
    };
    let mut signals = Signals::take().context("cannot take over the signals")?;
    session::run(reading, None, config.settings, &mut signals).await
}
