//! What an agent must know of the way to NATS, and how it logs in there.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;
use x_k8s::manifest::NatsSecrets;

use crate::exit::Failure;
use crate::receive::{Access, Address};
use crate::server::{Issuer, Login, Logins};

/// What an agent must know.
pub(in crate::trace) struct Route {
    /// Where the server is, unless it is the hub's on the original's port.
    pub url: Option<String>,
    /// A name in it that nobody else knows, and its address.
    pub host: Option<(String, IpAddr)>,
    /// How to log in.
    pub(super) logins: NodeLogins,
    /// Where the hub is.
    pub hub_address: Option<String>,
    /// Whether the server is the session's own.
    pub own_server: bool,
    /// Whose orders agents take.
    pub orders_from: String,
}

/// How agents log in.
pub(super) enum NodeLogins {
    /// All alike.
    Same(NatsSecrets),
    /// Each node's for itself.
    ByNode(BTreeMap<String, NatsSecrets>),
    /// The same, made when it is needed, with the authority to trust.
    Signed { issuer: Box<Issuer>, ca: String },
}

impl NodeLogins {
    /// Those of a server of ours, with the authority to trust if it speaks TLS.
    pub(super) fn of(logins: &Logins, ca: Option<&str>) -> Self {
        let agents = logins.agents();
        Self::ByNode(
            agents
                .map(|(node, login)| (node.to_owned(), password(login, ca)))
                .collect(),
        )
    }
}

impl Route {
    /// The way to the user's own server, for agents that log in as we do.
    pub(super) fn to(
        address: &Address,
        access: &Access,
        orders_from: String,
    ) -> Result<Self, Failure> {
        Ok(Self {
            url: Some(address.to_string()),
            host: None,
            logins: NodeLogins::Same(secrets(access)?),
            hub_address: None,
            own_server: false,
            orders_from,
        })
    }

    /// Lets the agent of one more node know how it logs in, where each has a login of its own.
    pub(in crate::trace) fn add(&mut self, node: &str, login: &Login, ca: Option<&str>) {
        if let NodeLogins::ByNode(logins) = &mut self.logins {
            logins.insert(node.to_owned(), password(login, ca));
        }
    }

    /// Whether the agent of this node can log in.
    pub(in crate::trace) fn knows(&self, node: &str) -> bool {
        match &self.logins {
            NodeLogins::Same(_) | NodeLogins::Signed { .. } => true,
            NodeLogins::ByNode(logins) => logins.contains_key(node),
        }
    }

    /// How the agent of a node logs in.
    ///
    /// # Errors
    /// When its login can't be signed.
    pub(in crate::trace) fn secrets(&self, node: &str) -> anyhow::Result<NatsSecrets> {
        Ok(match &self.logins {
            NodeLogins::Same(secrets) => secrets.clone(),
            NodeLogins::ByNode(logins) => logins.get(node).cloned().unwrap_or_default(),
            NodeLogins::Signed { issuer, ca } => {
                let credentials = issuer.agent(node).context("no login can be signed")?;
                NatsSecrets {
                    credentials: Some(credentials.into_bytes()),
                    ca: Some(ca.clone().into_bytes()),
                    ..NatsSecrets::default()
                }
            }
        })
    }
}

/// What an agent needs to log in to a server of ours.
fn password(login: &Login, ca: Option<&str>) -> NatsSecrets {
    NatsSecrets {
        login: Some((login.user.clone(), login.password.clone())),
        ca: ca.map(|ca| ca.as_bytes().to_vec()),
        ..NatsSecrets::default()
    }
}

/// What agents need to log in as we do.
fn secrets(access: &Access) -> Result<NatsSecrets, Failure> {
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let certificate = access.tls_cert.as_ref();
    Ok(NatsSecrets {
        token: access.token.clone(),
        login: access.password.clone(),
        nkey: access.nkey.clone(),
        credentials: access.creds.as_deref().map(read).transpose()?,
        ca: access.tls_ca.as_deref().map(read).transpose()?,
        certificate: certificate.map(|(path, _)| read(path)).transpose()?,
        key: certificate.map(|(_, path)| read(path)).transpose()?,
        tls_first: access.tls_first,
    })
}
