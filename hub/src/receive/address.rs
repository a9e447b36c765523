//! Where a server is, as it may be written on a command line.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use async_nats::ServerAddr;

/// Where a NATS server listens. It holds no secrets: an address stands in the process list.
#[derive(Clone, Debug)]
pub(crate) struct Address(pub(super) ServerAddr);

/// Why a text is no address.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum AddressError {
    /// It does not read as one.
    #[error("expected nats://HOST:PORT (or tls://, ws://, wss://): {0}")]
    Form(String),
    /// It names a user.
    #[error(
        "an address is no place for a user name or a secret, since everybody on this machine can read it: give --token-file, --user with --password-file, --creds or --nkey-file"
    )]
    Secret,
}

impl Address {
    /// A server that speaks plain text there.
    pub(crate) fn plain(host: IpAddr, port: u16) -> Self {
        Self::of("nats", host, port)
    }

    /// A server that speaks TLS there.
    pub(crate) fn tls(host: IpAddr, port: u16) -> Self {
        Self::of("tls", host, port)
    }

    fn of(scheme: &str, host: IpAddr, port: u16) -> Self {
        let text = format!("{scheme}://{}", SocketAddr::new(host, port));
        Self(text.parse().expect("a socket's address reads as one"))
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.0.port()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let address: ServerAddr = text
            .parse()
            .map_err(|error: std::io::Error| AddressError::Form(error.to_string()))?;
        if address.username().is_some() || address.password().is_some() {
            return Err(AddressError::Secret);
        }
        if address.host().is_empty() {
            return Err(AddressError::Form("it names no host".into()));
        }
        Ok(Self(address))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host();
        if host.contains(':') {
            write!(f, "{}://[{host}]:{}", self.0.scheme(), self.0.port())
        } else {
            write!(f, "{}://{host}:{}", self.0.scheme(), self.0.port())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match text.parse::<Address>() {
            Ok(address) => address.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_address_is_shown_in_full() {
        assert_eq!(shown("127.0.0.1:4223"), "nats://127.0.0.1:4223");
        assert_eq!(shown("nats.example"), "nats://nats.example:4222");
        assert_eq!(shown("tls://[::1]:1"), "tls://[::1]:1");
    }

    #[test]
    fn a_secret_is_refused_and_not_repeated() {
        for text in [
            "nats://s3cret@host",
            "nats://user:s3cret@host:4222",
            "user:s3cret@host",
        ] {
            let answer = shown(text);
            assert!(answer.starts_with("an address is no place"), "{answer}");
            assert!(!answer.contains("s3cret"));
        }
    }

    #[test]
    fn another_scheme_is_named() {
        assert!(shown("http://host").contains("invalid scheme for NATS server URL: http"));
        assert!(shown("nats://").starts_with("expected nats://HOST:PORT"));
    }
}
