//! Why a session ended, and what that is worth.

use std::io;

use anyhow::anyhow;

use super::board::Board;
use super::reach::Unreachable;
use crate::exit::{Exit, Failure};
use crate::receive::NatsError;

/// Why a session ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// A signal asked for it.
    Asked,
    /// Its time limit is reached.
    TimeOver,
    /// Nobody reads standard output any more.
    ReaderGone,
    /// Standard output takes nothing more.
    WriterFailed(io::Error),
    /// All that was traced has ended.
    TargetsOver,
    /// Nothing more will come from any probe of our agent.
    ProbesOver,
    /// The last of our agents has ended, or none has come up. A status of `Done` is its own.
    AgentGone(Failure),
    /// Our agents can't reach the server.
    Unreachable(Unreachable),
    /// Our server has ended, with these last words.
    ServerGone(String),
    /// The server does not let us subscribe.
    Refused(NatsError),
    /// As many records as were asked for have been shown.
    Enough,
    /// All that was kept has been shown.
    PastOver,
    /// The connection is closed and will not come back.
    ConnectionClosed,
}

impl Ending {
    /// The exit status, once the agent has said all.
    ///
    /// # Errors
    /// When the session broke, or never came to anything.
    pub(super) fn verdict(self, board: &Board) -> Result<Exit, Failure> {
        if board.is_blind() {
            let error = anyhow!(
                "every probe has failed for good, or sees nothing; each has said why above"
            );
            return Err(Failure::new(Exit::Blind, error));
        }
        match self {
            Self::ReaderGone | Self::ProbesOver | Self::PastOver | Self::Enough => Ok(Exit::Done),
            Self::Asked | Self::TimeOver if board.crew().is_none() || board.has_worked() => {
                Ok(Exit::Done)
            }
            Self::TargetsOver if board.has_worked() => Ok(Exit::Done),
            Self::TargetsOver => {
                Err(anyhow!("what was to be traced ended before any probe had attached").into())
            }
            Self::Asked => Err(anyhow!("ended before any probe had attached").into()),
            Self::TimeOver => Err(anyhow!(
                "no probe had attached when the time was over: give a longer --timeout"
            )
            .into()),
            Self::AgentGone(end) if end.exit == Exit::Done && board.is_over() => Ok(Exit::Done),
            Self::AgentGone(end) => {
                let exit = match end.exit {
                    Exit::Done => Exit::Failed,
                    exit => exit,
                };
                Err(Failure::new(exit, end.error))
            }
            Self::Unreachable(error) => Err(Failure::new(Exit::Failed, error)),
            Self::WriterFailed(error) => Err(anyhow!("standard output: {error}").into()),
            Self::ServerGone(words) => Err(anyhow!("nats-server ended by itself: {words}").into()),
            Self::Refused(error) => Err(error.into()),
            Self::ConnectionClosed => Err(anyhow!("the connection to NATS is closed").into()),
        }
    }
}
