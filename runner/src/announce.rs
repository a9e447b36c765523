//! What the agent says of itself and of its probes: on NATS for the hub, in its log for `kubectl logs`.

use std::sync::Arc;

use jiff::Timestamp;
use probeparser::Probe;
use probeparser::wire::{Ledger, State, Status, StatusSubject};

use crate::pipeline::Identity;
use crate::send::{Message, Outbox};

/// Longest text of a tool's last words that is published, in bytes.
const SAID_LIMIT: usize = 16 << 10;

/// The target of the log lines that say what a status message says too, so that a hub which shows
/// the messages can switch them off: `XTRACER_LOG=info,status=off`.
const STATUS: &str = "status";

/// Makes status messages and sends them.
#[derive(Clone)]
pub(crate) struct Announcer {
    identity: Arc<Identity>,
    subject: async_nats::Subject,
}

impl Announcer {
    /// An announcer for one agent.
    pub(crate) fn new(identity: Arc<Identity>) -> Self {
        let subject = StatusSubject {
            session: identity.session.clone(),
            node: identity.node.clone(),
        };
        Self {
            identity,
            subject: subject.to_string().into(),
        }
    }

    /// A status of the agent (`probe` is none) or of a probe, to be completed and sent.
    pub(crate) fn status(
        &self,
        probe: Option<Probe>,
        state: State,
        message: impl Into<String>,
    ) -> Status {
        Status {
            time: format!("{:.9}", Timestamp::now()),
            message: message.into(),
            ..Status::new(&self.identity.session, &self.identity.node, probe, state)
        }
    }

    /// A status that carries nothing but the ledger.
    pub(crate) fn report(&self, probe: Probe, state: State, ledger: Ledger) -> Status {
        Status {
            ledger: Some(ledger),
            ..self.status(Some(probe), state, "")
        }
    }

    /// Logs a status and queues it; it waits for room and is never dropped while NATS lives.
    pub(crate) async fn send(&self, outbox: &Outbox, mut status: Status) {
        log(&status);
        cap(&mut status.said);
        outbox.send(self.message(&status)).await;
    }

    /// The message of a status.
    pub(crate) fn message(&self, status: &Status) -> Message {
        Message {
            subject: self.subject.clone(),
            payload: status.encode().into(),
            ledger: None,
        }
    }
}

/// Keeps the last of the tool's words.
fn cap(said: &mut Vec<String>) {
    let mut room = SAID_LIMIT;
    let kept = said
        .iter()
        .rev()
        .take_while(|line| {
            let fits = line.len() <= room;
            room = room.saturating_sub(line.len());
            fits
        })
        .count();
    said.drain(..said.len() - kept);
}

fn log(status: &Status) {
    let who = status.probe.map_or("x-agent", Probe::name);
    let Status {
        message,
        remedy,
        said,
        ..
    } = status;
    match status.state {
        State::Report => {}
        State::Failed | State::GivenUp => {
            tracing::error!(target: STATUS, "{who}: {message}");
            for line in said {
                tracing::error!(target: STATUS, "{who} said: {}", line.escape_debug());
            }
            if let Some(remedy) = remedy {
                tracing::error!(target: STATUS, "{who}: {remedy}");
            }
        }
        _ if message.is_empty() => {}
        State::Note => tracing::warn!(target: STATUS, "{who}: {message}"),
        _ => tracing::info!(target: STATUS, "{who}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_kept() {
        let mut said = vec![
            "x".repeat(SAID_LIMIT),
            "y".repeat(SAID_LIMIT - 1),
            "z".into(),
        ];
        cap(&mut said);
        assert_eq!(said.len(), 2);
        assert_eq!(said[1], "z");
    }
}
