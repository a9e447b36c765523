//! Who may log in to our server, and what each may do there.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use probeparser::wire::{AGENT_INBOXES, STREAM, agent_inbox, encode_token};
use serde_json::{Value, json};

use crate::receive::Access;
use crate::secret::random_name;

/// Seconds that a client may take to log in. A busy machine needs more than the server's own 2.
pub(crate) const LOGIN_TIME: u32 = 10;
/// The hub's user.
const HUB: &str = "x-tracer";

/// One user of one session. Its `Debug` does not show the password.
#[derive(Clone)]
pub(crate) struct Login {
    /// The user's name.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Login").field(&self.user).finish()
    }
}

/// All who may log in to the server of a session.
#[derive(Clone, Debug)]
pub(crate) struct Logins {
    hub: User,
    agents: BTreeMap<String, User>,
}

impl Logins {
    /// The hub and an agent on each of these nodes, with new passwords.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(crate) fn new(
        session: &str,
        nodes: impl IntoIterator<Item = String>,
        streams: bool,
    ) -> io::Result<Self> {
        let agents = nodes.into_iter().map(|node| {
            let agent = User::agent(session, &node)?;
            Ok((node, agent))
        });
        Ok(Self {
            hub: User::hub(session, streams)?,
            agents: agents.collect::<io::Result<_>>()?,
        })
    }

    /// One more agent, with a new password.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(super) fn add(&mut self, session: &str, node: &str) -> io::Result<()> {
        let agent = User::agent(session, node)?;
        self.agents.insert(node.to_owned(), agent);
        Ok(())
    }

    /// The hub's.
    pub(super) fn hub(&self) -> &Login {
        &self.hub.login
    }

    /// How the hub of a session logs in, where the server is known by the authority in this file.
    pub(crate) fn access(&self, session: &str, ca: Option<PathBuf>) -> Access {
        let Login { user, password } = self.hub().clone();
        Access {
            password: Some((user, password)),
            tls_ca: ca,
            inbox: Some(hub_inbox(session)),
            ..Access::default()
        }
    }

    /// Those of the agents, by their nodes.
    pub(crate) fn agents(&self) -> impl Iterator<Item = (&str, &Login)> {
        let agents = self.agents.iter();
        agents.map(|(node, user)| (node.as_str(), &user.login))
    }

    /// That of the agent of a node.
    pub(crate) fn agent(&self, node: &str) -> Option<&Login> {
        self.agents.get(node).map(|user| &user.login)
    }

    /// The server's `authorization`.
    pub(crate) fn authorization(&self) -> Value {
        let users = self.agents.values().chain([&self.hub]);
        json!({
            "timeout": LOGIN_TIME,
            "users": users.map(User::to_json).collect::<Vec<_>>(),
        })
    }
}

/// A login and its rights, as the server's configuration has them.
#[derive(Clone, Debug)]
struct User {
    login: Login,
    rights: Rights,
}

/// What somebody may do on the server of a session.
#[derive(Clone, Debug)]
pub(super) struct Rights {
    /// The subjects that it may write to.
    pub(super) publish: Vec<String>,
    /// The subjects that it may read.
    pub(super) subscribe: Vec<String>,
    /// May answer what it reads, wherever the answer is to go.
    pub(super) answers: bool,
}

impl Rights {
    /// The hub reads its session. It may write to itself, which tells it how far the server has come, to
    /// the inboxes of its agents, which tells them how far it has read, and give them orders. Where there are
    /// streams, it makes the one and reads from it what it may read anyway; it can't take anything out.
    pub(super) fn hub(session: &str, streams: bool) -> Self {
        let inbox = format!("{}.>", hub_inbox(session));
        let session = encode_token(session);
        let mut publish = vec![
            inbox.clone(),
            format!("{AGENT_INBOXES}{session}.>"),
            format!("xtracer-orders.v1.{session}.*"),
        ];
        if streams {
            publish.extend([
                format!("$JS.API.STREAM.CREATE.{STREAM}"),
                format!("$JS.API.STREAM.INFO.{STREAM}"),
                format!("$JS.API.CONSUMER.CREATE.{STREAM}.*.xtracer.v1.{session}.>"),
                format!("$JS.API.CONSUMER.MSG.NEXT.{STREAM}.*"),
            ]);
        }
        Self {
            publish,
            subscribe: vec![format!("xtracer.v1.{session}.>"), inbox],
            answers: false,
        }
    }

    /// An agent writes in the name of its node, reads its orders and answers them. Else it reads nothing but
    /// its inbox, where its messages to itself tell it how far the server has come, the server that nobody
    /// listens, and the hub how far it has read.
    pub(super) fn agent(session: &str, node: &str) -> Self {
        let inbox = format!("{}.>", agent_inbox(session, node));
        let (session, node) = (encode_token(session), encode_token(node));
        Self {
            publish: vec![format!("xtracer.v1.{session}.{node}.>"), inbox.clone()],
            subscribe: vec![format!("xtracer-orders.v1.{session}.{node}"), inbox],
            answers: true,
        }
    }
}

impl User {
    /// The hub's.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    fn hub(session: &str, streams: bool) -> io::Result<Self> {
        Ok(Self {
            login: login(HUB.to_owned())?,
            rights: Rights::hub(session, streams),
        })
    }

    /// That of the agent of a node.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    fn agent(session: &str, node: &str) -> io::Result<Self> {
        Ok(Self {
            login: login(format!("x-agent.{}", encode_token(node)))?,
            rights: Rights::agent(session, node),
        })
    }

    /// As the server's configuration has it.
    fn to_json(&self) -> Value {
        json!({
            "user": self.login.user,
            "password": self.login.password,
            "permissions": {
                "publish": { "allow": self.rights.publish },
                "subscribe": { "allow": self.rights.subscribe },
                "allow_responses": self.rights.answers,
            },
        })
    }
}

/// Where the hub's messages to itself go.
pub(crate) fn hub_inbox(session: &str) -> String {
    format!("_INBOX.x-tracer.{}", encode_token(session))
}

fn login(user: String) -> io::Result<Login> {
    Ok(Login {
        user,
        password: random_name(32)?,
    })
}
