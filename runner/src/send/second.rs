//! A connection of its own for what must not wait behind records.

use async_nats::Client;

use super::Login;

/// Where to, and how.
#[derive(Clone, Debug)]
pub(crate) struct Second {
    /// The server.
    pub(crate) url: String,
    /// How to log in.
    pub(crate) login: Login,
    /// Where answers go: a place of this agent's own.
    pub(crate) inbox: String,
}

impl Second {
    /// Begins to connect, and goes on until it does; `None` if the login or the address can't be used.
    pub(super) async fn connect(self, name: &str) -> Option<Client> {
        let options = self.login.options().ok()?;
        let options = options
            .name(name)
            .custom_inbox_prefix(&self.inbox)
            .retry_on_initial_connect();
        options.connect(&self.url).await.ok()
    }
}
