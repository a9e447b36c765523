//! Why nothing can be received, and what to do about it.

use std::path::PathBuf;

use async_nats::{ConnectError, ConnectErrorKind};

use super::address::Address;
use super::connect::CONFIRMATION;
use crate::exit::{Exit, Failure};

/// Why nothing can be received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NatsError {
    /// The credentials file.
    #[error("cannot read the credentials in {path}: {error}")]
    Creds {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: std::io::Error,
    },
    /// No server, or none that lets us in.
    #[error("cannot connect to {address}: {error}: {}", connect_remedy(.error.kind()))]
    Connect {
        /// Where.
        address: Address,
        /// What went wrong.
        error: ConnectError,
    },
    /// The server refuses the subscription.
    #[error(
        "{address} refuses to let us subscribe to {filter}: {reason}: ask for the right to subscribe to it"
    )]
    Refused {
        /// Where.
        address: Address,
        /// To what.
        filter: String,
        /// The server's words.
        reason: String,
    },
    /// The server says nothing.
    #[error("{address} did not confirm the subscription to {filter} within {CONFIRMATION:?}")]
    Silent {
        /// Where.
        address: Address,
        /// To what.
        filter: String,
    },
    /// The connection is closed.
    #[error("the connection to {address} is closed: {reason}")]
    Closed {
        /// Where.
        address: Address,
        /// Why.
        reason: String,
    },
}

impl NatsError {
    /// Whether a right is missing.
    #[must_use]
    pub(crate) fn is_forbidden(&self) -> bool {
        match self {
            Self::Connect { error, .. } => matches!(
                error.kind(),
                ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation
            ),
            Self::Refused { .. } => true,
            Self::Creds { .. } | Self::Silent { .. } | Self::Closed { .. } => false,
        }
    }
}

impl From<NatsError> for Failure {
    fn from(error: NatsError) -> Self {
        let exit = if error.is_forbidden() {
            Exit::Forbidden
        } else {
            Exit::Failed
        };
        Self::new(exit, error)
    }
}

fn connect_remedy(kind: ConnectErrorKind) -> &'static str {
    match kind {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            "give --token-file, --user with --password-file, --creds or --nkey-file"
        }
        ConnectErrorKind::Tls => "check --tls-ca, --tls-cert and --tls-first",
        ConnectErrorKind::Dns => "check the host's name",
        _ => "check that a nats-server listens there",
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody is there to be asked.
    #[error(
        "nobody reads {subject}: the agent is not there, or may not read its orders (SECURITY.md has the rights)"
    )]
    Nobody {
        /// Where it was asked.
        subject: String,
    },
    /// The server does not let us ask, or hear the answer.
    #[error(
        "the server does not let us give orders ({reason}): give this login and the agents' the rights that SECURITY.md names"
    )]
    Forbidden {
        /// The server's words.
        reason: String,
    },
    /// No answer came.
    #[error("no answer to an order came: {error}")]
    Unanswered {
        /// Why.
        error: async_nats::RequestError,
    },
}
