//! A NATS server of our own, for one session: on loopback for an agent on this machine, or with TLS
//! for agents elsewhere. It always asks for a login, and each login has the rights that its owner
//! needs and no more.

mod certificate;
mod gate;
mod issuer;
mod login;
mod ready;
#[cfg(test)]
mod tests;

use std::fs::Permissions;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::child;
use crate::local::{NotFound, find_server};
use crate::receive::{Access, Address, NatsError};
use crate::secret::write_secret;
pub(crate) use certificate::Certificate;
pub(crate) use gate::Gate;
pub(crate) use issuer::Issuer;
pub(crate) use login::{LOGIN_TIME, Login, Logins, hub_inbox};

/// How long a server may take until it says where it listens.
const READY: Duration = Duration::from_secs(20);
/// Bytes of its log that are read for its last words.
const LAST_WORDS: usize = 2000;
/// Its log's name in its folder.
const LOG: &str = "log";
/// Its configuration's.
const CONFIGURATION: &str = "server.conf";
/// How far the server's memory may grow until it is swept, in percent of what it uses: that is little, and
/// what it passes on is garbage at once.
const GARBAGE: &str = "400";
/// How long the server waits for a reader that takes nothing, before it drops what is meant for it.
const WRITE_DEADLINE: &str = "60s";

/// For whom a server is started.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The session.
    pub session: String,
    /// The nodes whose agents may log in.
    pub nodes: Vec<String>,
    /// Who may reach it.
    pub reach: Reach,
    /// Whether it has streams.
    pub keep: Keep,
}

/// What becomes of the streams of a server (`JetStream`).
#[derive(Clone, Debug)]
pub(crate) enum Keep {
    /// It has none.
    Nothing,
    /// They are gone with it.
    Session,
    /// They stay in this folder.
    Folder(PathBuf),
}

/// Who may reach a server.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// Programs of this machine, on any port.
    Loopback,
    /// Other machines, by TLS.
    Network {
        /// The address to listen on; an unspecified one means all.
        listen: IpAddr,
        /// The port; 0 for any.
        port: u16,
        /// The addresses and host names that agents know this machine by.
        names: Vec<String>,
    },
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// It is not installed.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// Its files could not be written, or it could not be started.
    #[error("cannot {step} for the NATS server: {error}")]
    Step {
        /// What failed.
        step: &'static str,
        /// Why.
        error: io::Error,
    },
    /// A name of this machine can't stand in a certificate.
    #[error("cannot make a certificate for {}: {error}", .names.join(", "))]
    Certificate {
        /// The names.
        names: Vec<String>,
        /// Why.
        error: rcgen::Error,
    },
    /// It ended at once.
    #[error("{path} ended at its start: {words}")]
    Ended {
        /// The program.
        path: PathBuf,
        /// Its last words.
        words: String,
    },
    /// It does not say where it listens.
    #[error("{path} did not say within {READY:?} where it listens: {words}")]
    Silent {
        /// The program.
        path: PathBuf,
        /// Its last words.
        words: String,
    },
    /// It says something else.
    #[error("{path} named no address that can be used: {text}")]
    Ports {
        /// The program.
        path: PathBuf,
        /// What it wrote.
        text: String,
    },
    /// It goes on with the configuration that it had.
    #[error("the NATS server did not read its configuration again: {reason}")]
    Unread {
        /// Why.
        reason: String,
    },
    /// A login does not work.
    #[error(transparent)]
    Login(Box<NatsError>),
}

/// A running server. Dropped, it is killed and its folder removed.
pub(crate) struct Server {
    child: Child,
    session: String,
    /// Where the hub finds it.
    pub address: Address,
    /// The port that it listens on.
    pub port: u16,
    logins: Logins,
    configuration: Value,
    /// The authority that its clients must trust, PEM; none without TLS.
    pub ca: Option<String>,
    /// Removed when dropped.
    folder: TempDir,
}

#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

impl Server {
    /// Starts a server and waits until it listens. Start it on the main thread, see
    /// [`child::prepare`].
    ///
    /// # Errors
    /// When it is not installed, does not start or does not listen in time.
    pub(crate) async fn start(plan: Plan) -> Result<Self, ServerError> {
        let path = find_server()?;
        let step = |step| move |error| ServerError::Step { step, error };
        let folder = tempfile::Builder::new()
            .prefix("x-tracer-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(step("make a folder"))?;
        let logins = Logins::new(&plan.session, plan.nodes, plan.keep.is_on())
            .map_err(step("make a password"))?;
        let ports = folder.path().join("ports");
        std::fs::create_dir(&ports).map_err(step("make a folder"))?;
        let mut configuration = configuration(folder.path(), &ports);
        configuration["authorization"] = logins.authorization();
        if let Some(streams) = plan.keep.folder(folder.path()) {
            configuration["jetstream"] = json!({ "store_dir": streams });
        }
        let ca = plan
            .reach
            .configure(&plan.session, folder.path(), &mut configuration)?;
        let config = folder.path().join(CONFIGURATION);
        write_secret(&config, &configuration.to_string())
            .map_err(step("write the configuration"))?;
        let ready = ready::Watch::new(ports).map_err(step("watch a folder"))?;
        let mut command = Command::new(&path);
        command
            .arg("-c")
            .arg(&config)
            .env("GOGC", GARBAGE)
            .envs(plan.reach.threads())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        child::prepare(&mut command);
        let mut child = command.spawn().map_err(step("start the program"))?;
        let log = folder.path().join(LOG);
        let ports_file = tokio::task::spawn_blocking(move || ready.file(READY));
        let text = tokio::select! {
            text = ports_file => {
                let text = text.map_err(io::Error::other).and_then(|text| text);
                match text.map_err(step("read the ports file"))? {
                    Some(text) => text,
                    None => return Err(ServerError::Silent { path, words: last_words(&log) }),
                }
            }
            ended = child.wait() => {
                ended.map_err(step("wait"))?;
                return Err(ServerError::Ended { path, words: last_words(&log) });
            }
        };
        let port = serde_json::from_str::<Ports>(&text)
            .ok()
            .and_then(|ports| ports.nats.first()?.parse().ok())
            .map(|address: Address| address.port());
        let Some(port) = port else {
            return Err(ServerError::Ports { path, text });
        };
        Ok(Self {
            child,
            session: plan.session,
            address: plan.reach.address(port),
            port,
            logins,
            configuration,
            ca,
            folder,
        })
    }

    /// Lets more agents in than the server was started for.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn gate(&self) -> Result<Gate, ServerError> {
        Gate::of(self)
    }

    /// How the hub logs in.
    pub(crate) fn access(&self) -> Access {
        let ca = self.ca.as_ref().map(|_| self.folder.path().join(CA));
        self.logins.access(&self.session, ca)
    }

    /// Who may log in since its start.
    pub(crate) fn logins(&self) -> &Logins {
        &self.logins
    }

    /// How the agent of a node logs in; none for a node that the server was not started for.
    pub(crate) fn agent(&self, node: &str) -> Option<&Login> {
        self.logins.agent(node)
    }

    /// A private folder that goes with the server.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it. Nothing in it is worth an orderly end.
    pub(crate) async fn stop(mut self) {
        // It fails when the server has ended by itself, which is as good.
        drop(self.child.kill().await);
    }

    /// Waits until it has ended, and gives its last words.
    pub(crate) async fn gone(&mut self) -> String {
        // A failed wait means that there is no such child any more.
        drop(self.child.wait().await);
        last_words(&self.folder.path().join(LOG))
    }
}

/// The authority's certificate in the server's folder.
const CA: &str = "ca.crt";

impl Keep {
    fn is_on(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// Where the streams are, of a server with this folder.
    fn folder(&self, server: &Path) -> Option<PathBuf> {
        match self {
            Self::Nothing => None,
            Self::Session => Some(server.join("streams")),
            Self::Folder(folder) => Some(folder.clone()),
        }
    }
}

impl Reach {
    /// Completes the configuration, and writes the files that it names.
    fn configure(
        &self,
        session: &str,
        folder: &Path,
        configuration: &mut Value,
    ) -> Result<Option<String>, ServerError> {
        let Self::Network {
            listen,
            port,
            names,
        } = self
        else {
            configuration["host"] = Ipv4Addr::LOCALHOST.to_string().into();
            configuration["port"] = (-1).into();
            return Ok(None);
        };
        configuration["host"] = listen.to_string().into();
        configuration["port"] = match port {
            0 => (-1).into(),
            port => (*port).into(),
        };
        // The hub comes by the address that is listened on.
        let mut names = names.clone();
        names.push(reachable(*listen).to_string());
        let Certificate { ca, server, key } = Certificate::new(session, &names)
            .map_err(|error| ServerError::Certificate { names, error })?;
        for (name, text) in [(CA, &ca), ("server.crt", &server), ("server.key", &key)] {
            write_secret(&folder.join(name), text).map_err(|error| ServerError::Step {
                step: "write the certificate",
                error,
            })?;
        }
        configuration["tls"] = json!({
            "cert_file": folder.join("server.crt"),
            "key_file": folder.join("server.key"),
            "timeout": LOGIN_TIME,
        });
        Ok(Some(ca))
    }

    /// How many threads of the server may run at once, as its runtime is told. One publisher and one reader
    /// on a machine that is being traced wake each other for every message if it is more than one.
    fn threads(&self) -> Option<(&'static str, &'static str)> {
        matches!(self, Self::Loopback).then_some(("GOMAXPROCS", "1"))
    }

    /// How the hub reaches it.
    fn address(&self, port: u16) -> Address {
        match self {
            Self::Loopback => Address::plain(Ipv4Addr::LOCALHOST.into(), port),
            Self::Network { listen, .. } => Address::tls(reachable(*listen), port),
        }
    }
}

/// An address of this machine that leads to what listens on this one.
fn reachable(listen: IpAddr) -> IpAddr {
    match listen {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

/// What every server of ours has; its configuration language takes JSON.
fn configuration(folder: &Path, ports: &Path) -> Value {
    json!({
        "ports_file_dir": ports,
        "log_file": folder.join(LOG),
        "write_deadline": WRITE_DEADLINE,
    })
}

fn last_words(log: &Path) -> String {
    let log = std::fs::read(log).unwrap_or_default();
    let tail = &log[log.len().saturating_sub(LAST_WORDS)..];
    let words = String::from_utf8_lossy(tail).trim().replace('\n', "; ");
    if words.is_empty() {
        "it left no words".into()
    } else {
        words
    }
}
