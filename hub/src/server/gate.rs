//! Letting one more agent in while the server runs: it reads its configuration again.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::Value;

use super::login::{Login, Logins};
use super::ready::Log;
use super::{CONFIGURATION, LOG, READY, Server, ServerError};
use crate::receive::{Access, Address, Connection};
use crate::secret::replace_secret;

/// What the server's log says once a login may be used.
const TAKEN: &str = "Reloaded server configuration";
/// How the reason begins if it can't be.
const REFUSED: &str = "Failed to reload server configuration: ";

/// The way in to a server for more agents.
pub(crate) struct Gate {
    /// The server: a process ID alone may be another's one day.
    process: OwnedFd,
    session: String,
    configuration: Value,
    logins: Logins,
    folder: PathBuf,
    address: Address,
    /// How anybody logs in there, but for the name and the password.
    access: Access,
    ca: Option<String>,
}

impl Gate {
    /// That of a server. There is to be one: it writes all logins that it knows of.
    ///
    /// # Errors
    /// When the server has ended.
    pub(super) fn of(server: &Server) -> Result<Self, ServerError> {
        let id = server.child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(rustix::process::Pid::from_raw);
        let process = id
            .ok_or_else(|| io::Error::other("it has ended"))
            .and_then(|id| Ok(pidfd_open(id, PidfdFlags::empty())?))
            .map_err(step("find the process"))?;
        Ok(Self {
            process,
            session: server.session.clone(),
            configuration: server.configuration.clone(),
            logins: server.logins.clone(),
            folder: server.folder.path().to_owned(),
            address: server.address.clone(),
            access: server.access(),
            ca: server.ca.clone(),
        })
    }

    /// Lets the agent of a node in, and returns once it may come. Who is connected stays so.
    ///
    /// # Errors
    /// When the server does not take the login.
    pub(crate) async fn admit(&mut self, node: &str) -> Result<Login, ServerError> {
        if let Some(login) = self.logins.agent(node) {
            return Ok(login.clone());
        }
        let mut logins = self.logins.clone();
        logins
            .add(&self.session, node)
            .map_err(step("make a password"))?;
        self.configuration["authorization"] = logins.authorization();
        self.reload().await?;
        let login = logins.agent(node).expect("it was added").clone();
        let access = Access {
            password: Some((login.user.clone(), login.password.clone())),
            ..self.access.clone()
        };
        Connection::open(self.address.clone(), access)
            .await
            .map_err(|error| ServerError::Login(Box::new(error)))?;
        self.logins = logins;
        Ok(login)
    }

    /// The authority that agents must trust, PEM; none without TLS.
    pub(crate) fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// Lets the server read its configuration as it is now.
    async fn reload(&self) -> Result<(), ServerError> {
        let text = self.configuration.to_string();
        replace_secret(&self.folder.join(CONFIGURATION), &text)
            .map_err(step("write the configuration"))?;
        let log = Log::follow(&self.folder.join(LOG)).map_err(step("watch the log"))?;
        pidfd_send_signal(&self.process, Signal::HUP)
            .map_err(io::Error::from)
            .map_err(step("send a signal"))?;
        let outcome = tokio::task::spawn_blocking(move || {
            log.find(READY, |message| match message.strip_prefix(REFUSED) {
                Some(reason) => Some(Err(reason.to_owned())),
                None => (message == TAKEN).then_some(Ok(())),
            })
        });
        let outcome = outcome.await.map_err(io::Error::other);
        match outcome
            .and_then(|found| found)
            .map_err(step("read the log"))?
        {
            Some(Ok(())) => Ok(()),
            Some(Err(reason)) => Err(ServerError::Unread { reason }),
            None => Err(ServerError::Unread {
                reason: format!("it said nothing of it within {READY:?}"),
            }),
        }
    }
}

fn step(step: &'static str) -> impl Fn(io::Error) -> ServerError {
    move |error| ServerError::Step { step, error }
}
