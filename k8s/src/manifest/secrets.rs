//! What an agent needs to log in to NATS: files of a Secret, never environment or arguments, which
//! everybody who may read pods can read.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;

use super::SpecError;

/// Folder of the agent's container that shows the Secret.
pub(super) const FOLDER: &str = "/etc/x-tracer/nats";

/// Logins and certificates for a NATS server. Its `Debug` shows which there are and none of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NatsSecrets {
    /// A token.
    pub token: Option<String>,
    /// User and password.
    pub login: Option<(String, String)>,
    /// An nkey's seed.
    pub nkey: Option<String>,
    /// A `.creds` file.
    pub credentials: Option<Vec<u8>>,
    /// Certificates of the authorities that signed the server's, PEM.
    pub ca: Option<Vec<u8>>,
    /// The client's own certificate, PEM.
    pub certificate: Option<Vec<u8>>,
    /// The key of that certificate, PEM.
    pub key: Option<Vec<u8>>,
    /// Whether the server speaks TLS before it says anything: no secret, and not in the Secret.
    pub tls_first: bool,
}

impl fmt::Debug for NatsSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.files().into_iter().map(|file| file.name).collect();
        formatter.debug_tuple("NatsSecrets").field(&names).finish()
    }
}

/// One file of the Secret and the environment variable that tells the agent where it is.
pub(super) struct File {
    pub(super) name: &'static str,
    pub(super) variable: &'static str,
    content: Vec<u8>,
}

impl File {
    pub(super) fn path(&self) -> String {
        format!("{FOLDER}/{}", self.name)
    }
}

impl NatsSecrets {
    pub(super) fn files(&self) -> Vec<File> {
        let text = |text: &String| text.clone().into_bytes();
        let all = [
            (
                "token",
                "XTRACER_NATS_TOKEN_FILE",
                self.token.as_ref().map(text),
            ),
            (
                "user",
                "XTRACER_NATS_USER_FILE",
                self.login.as_ref().map(|(user, _)| text(user)),
            ),
            (
                "password",
                "XTRACER_NATS_PASSWORD_FILE",
                self.login.as_ref().map(|(_, password)| text(password)),
            ),
            (
                "nkey",
                "XTRACER_NATS_NKEY_FILE",
                self.nkey.as_ref().map(text),
            ),
            (
                "nats.creds",
                "XTRACER_NATS_CREDS_FILE",
                self.credentials.clone(),
            ),
            ("ca.crt", "XTRACER_NATS_CA_FILE", self.ca.clone()),
            (
                "tls.crt",
                "XTRACER_NATS_CERT_FILE",
                self.certificate.clone(),
            ),
            ("tls.key", "XTRACER_NATS_KEY_FILE", self.key.clone()),
        ];
        all.into_iter()
            .filter_map(|(name, variable, content)| {
                Some(File {
                    name,
                    variable,
                    content: content?,
                })
            })
            .collect()
    }

    pub(super) fn data(&self) -> BTreeMap<String, ByteString> {
        self.files()
            .into_iter()
            .map(|file| (file.name.to_owned(), ByteString(file.content)))
            .collect()
    }

    /// Takes what a URL says about logging in out of it: `nats://user:password@host` and
    /// `nats://token@host` become `nats://host`. What is already set stays.
    pub(super) fn take_from_url(&mut self, url: &str) -> Result<String, SpecError> {
        let wrong = |why| {
            Err(SpecError::value(
                "the URL of the NATS server",
                without_login(url),
                why,
            ))
        };
        let Some((scheme, rest)) = url.split_once("://") else {
            return wrong("it must begin with nats:// or tls://");
        };
        let (login, address) = rest
            .rsplit_once('@')
            .map_or((None, rest), |(login, address)| (Some(login), address));
        if address.is_empty()
            || address
                .contains(|character: char| character.is_whitespace() || character.is_control())
        {
            return wrong("it names no server");
        }
        if let Some(login) = login {
            if let Some((user, password)) = login.split_once(':') {
                let login = (decoded(user)?, decoded(password)?);
                self.login.get_or_insert(login);
            } else {
                let token = decoded(login)?;
                self.token.get_or_insert(token);
            }
        }
        Ok(format!("{scheme}://{address}"))
    }
}

fn without_login(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, address)| address)
}

/// Undoes `%40` and the like.
fn decoded(text: &str) -> Result<String, SpecError> {
    let wrong = || {
        SpecError::value(
            "the login in the URL of the NATS server",
            "…",
            "it has a '%' that begins no escape",
        )
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            rest.next()
                .and_then(|byte| char::from(byte).to_digit(16))
                .ok_or_else(wrong)
        };
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::NatsSecrets;

    fn taken(url: &str) -> (String, NatsSecrets) {
        let mut secrets = NatsSecrets::default();
        (secrets.take_from_url(url).unwrap(), secrets)
    }

    #[test]
    fn a_login_leaves_the_url() {
        let (url, secrets) = taken("nats://me:p%40ss:w@nats.example:4222");
        assert_eq!(url, "nats://nats.example:4222");
        assert_eq!(secrets.login, Some(("me".to_owned(), "p@ss:w".to_owned())));
        let (url, secrets) = taken("tls://t0ken@[fd00::1]:4222");
        assert_eq!(
            (url.as_str(), secrets.token.as_deref()),
            ("tls://[fd00::1]:4222", Some("t0ken"))
        );
        assert_eq!(
            taken("nats://plain"),
            ("nats://plain".to_owned(), NatsSecrets::default())
        );
    }

    #[test]
    fn what_is_no_url_is_refused_without_showing_its_login() {
        for url in [
            "nats.example",
            "nats://",
            "nats://s3cret@",
            "nats://s3cret%zz@h",
            "s3cret@h",
            "nats://a b",
        ] {
            let error = NatsSecrets::default()
                .take_from_url(url)
                .unwrap_err()
                .to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let secrets = NatsSecrets {
            token: Some("s3cret".to_owned()),
            ..NatsSecrets::default()
        };
        assert_eq!(format!("{secrets:?}"), r#"NatsSecrets(["token"])"#);
    }
}
