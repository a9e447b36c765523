//! How to log in to a NATS server.

use std::path::PathBuf;

use clap::Args;

use crate::receive::Access;
use crate::secret::read_secret;

/// How to log in. Secrets are read from files: everybody can read a command line.
#[derive(Args, Debug)]
#[command(next_help_heading = "NATS login")]
pub(super) struct LoginArgs {
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
    /// What it means, secrets read.
    pub(super) fn access(self) -> anyhow::Result<Access> {
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
