//! `x-tracer listen`.

use std::path::PathBuf;

use clap::Args;
use probeparser::Probe;

use super::shared::{ProbeList, ShowArgs, probes};
use crate::exit::Failure;
use crate::listen::Config;
use crate::receive::{Access, Address};
use crate::secret::read_secret;

/// Flags of `listen`.
#[derive(Args, Debug)]
pub struct ListenArgs {
    /// NATS server that the agents publish to
    #[arg(long, env = "XTRACER_NATS", value_name = "URL")]
    nats: Address,
    /// Show this session only
    #[arg(long, env = "XTRACER_SESSION", value_name = "NAME")]
    session: Option<String>,
    /// Show these probes only: names separated by commas, `tcp` for the four TCP tools
    #[arg(long, value_name = "LIST", value_parser = probes)]
    probes: Option<ProbeList>,
    #[command(flatten)]
    login: LoginArgs,
    #[command(flatten)]
    show: ShowArgs,
}

/// How to log in. Secrets are read from files: everybody can read a command line.
#[derive(Args, Debug)]
#[command(next_help_heading = "Login")]
struct LoginArgs {
    /// File that holds a token
    #[arg(long, env = "XTRACER_NATS_TOKEN_FILE", value_name = "FILE", conflicts_with_all = ["user", "creds", "nkey_file"])]
    token_file: Option<PathBuf>,
    /// User name
    #[arg(long, value_name = "NAME", requires = "password_file", conflicts_with_all = ["creds", "nkey_file"])]
    user: Option<String>,
    /// File that holds the user's password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Credentials file (.creds)
    #[arg(long, value_name = "FILE", conflicts_with = "nkey_file")]
    creds: Option<PathBuf>,
    /// File that holds an nkey's seed
    #[arg(long, value_name = "FILE")]
    nkey_file: Option<PathBuf>,
    /// Certificates (PEM) to trust besides the system's
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Certificate (PEM) to show to the server
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The server expects TLS before anything else (`handshake_first`)
    #[arg(long)]
    tls_first: bool,
}

impl LoginArgs {
    fn access(self) -> anyhow::Result<Access> {
        let secret = |path: Option<PathBuf>| path.as_deref().map(read_secret).transpose();
        Ok(Access {
            token: secret(self.token_file)?,
            password: self.user.zip(secret(self.password_file)?),
            creds: self.creds,
            nkey: secret(self.nkey_file)?,
            tls_ca: self.tls_ca,
            tls_cert: self.tls_cert.zip(self.tls_key),
            tls_first: self.tls_first,
            inbox: None,
        })
    }
}

impl ListenArgs {
    /// What it means.
    pub(crate) fn config(self) -> Result<Config, Failure> {
        Ok(Config {
            nats: self.nats,
            access: self.login.access()?,
            session: self.session,
            settings: self.show.settings(match self.probes {
                Some(list) => list.0,
                None => Probe::ALL.to_vec(),
            }),
        })
    }
}
