//! How the agent logs in to NATS: files that its pod mounts, never arguments or environment.

use std::path::{Path, PathBuf};

use async_nats::ConnectOptions;

use crate::cli::LoginArgs;

/// Why a login can't be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what} in {path}: {error}")]
pub(crate) struct LoginError {
    /// What the file should hold.
    what: &'static str,
    /// The file.
    path: PathBuf,
    /// What went wrong.
    error: std::io::Error,
}

/// The files of a login. They are read for each connection anew, so that a secret may be replaced
/// while the agent runs.
#[derive(Clone, Debug)]
pub(crate) struct Login(LoginArgs);

impl Login {
    /// A login from these files.
    ///
    /// # Errors
    /// When one can't be read now.
    pub(crate) fn new(args: LoginArgs) -> Result<Self, LoginError> {
        let files = [
            ("the NATS token", &args.nats_token_file),
            ("the NATS user", &args.nats_user_file),
            ("the NATS password", &args.nats_password_file),
            ("the NATS credentials", &args.nats_creds_file),
            ("the NATS nkey", &args.nats_nkey_file),
            ("the NATS authority", &args.nats_ca_file),
            ("the NATS certificate", &args.nats_cert_file),
            ("the key of the NATS certificate", &args.nats_key_file),
        ];
        for (what, path) in files {
            if let Some(path) = path {
                read(what, path)?;
            }
        }
        Ok(Self(args))
    }

    /// The options of a connection that logs in so.
    ///
    /// # Errors
    /// When a file can't be read or does not hold what it should.
    pub(crate) fn options(&self) -> Result<ConnectOptions, LoginError> {
        let files = &self.0;
        let mut options = ConnectOptions::new();
        if let Some(path) = &files.nats_token_file {
            options = options.token(secret("the NATS token", path)?);
        }
        if let (Some(user), Some(password)) = (&files.nats_user_file, &files.nats_password_file) {
            let user = secret("the NATS user", user)?;
            let password = secret("the NATS password", password)?;
            options = options.user_and_password(user, password);
        }
        if let Some(path) = &files.nats_nkey_file {
            options = options.nkey(secret("the NATS nkey", path)?);
        }
        if let Some(path) = &files.nats_creds_file {
            let what = "the NATS credentials";
            options = options
                .credentials(&read(what, path)?)
                .map_err(|error| LoginError {
                    what,
                    path: path.clone(),
                    error,
                })?;
        }
        if let Some(path) = &files.nats_ca_file {
            // Who names an authority wants no server that does without it.
            options = options
                .add_root_certificates(path.clone())
                .require_tls(true);
        }
        if let (Some(certificate), Some(key)) = (&files.nats_cert_file, &files.nats_key_file) {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        if files.nats_tls_first {
            options = options.tls_first();
        }
        Ok(options)
    }
}

fn read(what: &'static str, path: &Path) -> Result<String, LoginError> {
    std::fs::read_to_string(path).map_err(|error| LoginError {
        what,
        path: path.to_owned(),
        error,
    })
}

/// A secret in a file, without the newline that editors leave.
fn secret(what: &'static str, path: &Path) -> Result<String, LoginError> {
    read(what, path).map(|text| text.trim_end().to_owned())
}
