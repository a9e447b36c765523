//! Orders to agents that run: to trace containers that were not there at the start.

use std::time::Duration;

use anyhow::Context;
use nkeys::KeyPair;
use probeparser::wire::{Obeyed, Order, OrderSubject};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::exit::Failure;
use crate::receive::{Access, Address, AskError, Connection};

/// How long until an agent that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// What the hub signs its orders with: on a server of the user's, others may write to its agents too.
pub(super) struct Signer(KeyPair);

/// The way to give orders.
pub(super) struct Orders {
    /// A connection of its own: the other one counts what it receives.
    connection: Mutex<Connection>,
    signer: Signer,
}

impl Signer {
    /// A new key, which goes with the session.
    pub(super) fn new() -> Self {
        Self(KeyPair::new_user())
    }

    /// What agents know it by. No secret.
    pub(super) fn public(&self) -> String {
        self.0.public_key()
    }
}

impl Orders {
    /// Connects.
    ///
    /// # Errors
    /// When the server does not let us in.
    pub(super) async fn open(
        signer: Signer,
        address: &Address,
        access: &Access,
    ) -> Result<Self, Failure> {
        let connection = Connection::open(address.clone(), access.clone()).await?;
        Ok(Self {
            connection: Mutex::new(connection),
            signer,
        })
    }

    /// Gives an order until it is answered: an agent may be on its way up.
    ///
    /// # Errors
    /// When it can't be given, or the agent does not do what it asks for.
    pub(super) async fn give(
        &self,
        subject: &OrderSubject,
        targets: Vec<String>,
        deadline: Instant,
    ) -> anyhow::Result<()> {
        let mut order = Order::new(targets);
        let statement = order.statement(subject);
        order.signature = self
            .signer
            .0
            .sign(&statement)
            .context("the order can't be signed")?;
        loop {
            let asked = {
                let mut connection = self.connection.lock().await;
                connection.ask(subject.to_string(), order.encode()).await
            };
            let why = match asked {
                Ok(answer) => {
                    let refused = Obeyed::decode(&answer)?.refused;
                    anyhow::ensure!(refused.is_empty(), refused.join("; "));
                    return Ok(());
                }
                Err(error @ AskError::Forbidden { .. }) => return Err(error.into()),
                Err(error) => error,
            };
            if Instant::now() >= deadline {
                return Err(why.into());
            }
            sleep(AGAIN).await;
        }
    }
}
