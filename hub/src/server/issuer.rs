//! Logins for a server that can't be told of new ones: it knows one key, and lets in whoever shows rights
//! that this key has signed (NATS' JWTs). The key never leaves the hub.
//!
//! A Secret takes up to minutes to reach a pod that runs, and a server in the cluster needs no reload so.

use jiff::Timestamp;
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::login::Rights;

/// How long after a question somebody may answer it, in nanoseconds.
const ANSWER_WITHIN: u64 = 120_000_000_000;

/// Who lets agents in.
#[derive(Debug)]
pub(crate) struct Issuer {
    session: String,
    operator: KeyPair,
    account: KeyPair,
}

impl Issuer {
    /// For the server of a session, with new keys.
    pub(crate) fn new(session: &str) -> Self {
        Self {
            session: session.to_owned(),
            operator: KeyPair::new_operator(),
            account: KeyPair::new_account(),
        }
    }

    /// What the server's configuration says of whom it lets in.
    ///
    /// # Errors
    /// When it can't be signed.
    pub(crate) fn trust(&self) -> Result<Value, nkeys::error::Error> {
        let operator = json!({ "type": "operator", "version": 2 });
        let unlimited = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
            "conn": -1, "leaf": -1,
        });
        let account = json!({ "type": "account", "version": 2, "limits": unlimited });
        let (by, of) = (&self.operator, &self.account);
        Ok(json!({
            "operator": token(by, &by.public_key(), "x-tracer", &operator)?,
            "resolver": "MEMORY",
            "resolver_preload": { of.public_key(): token(by, &of.public_key(), &self.session, &account)? },
        }))
    }

    /// The `.creds` file of the hub.
    ///
    /// # Errors
    /// When it can't be signed.
    pub(crate) fn hub(&self) -> Result<String, nkeys::error::Error> {
        self.credentials("x-tracer", &Rights::hub(&self.session, false))
    }

    /// The `.creds` file of the agent of a node, any node.
    ///
    /// # Errors
    /// When it can't be signed.
    pub(crate) fn agent(&self, node: &str) -> Result<String, nkeys::error::Error> {
        self.credentials("x-agent", &Rights::agent(&self.session, node))
    }

    fn credentials(&self, name: &str, rights: &Rights) -> Result<String, nkeys::error::Error> {
        let user = KeyPair::new_user();
        let mut claims = json!({
            "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1,
            "pub": { "allow": rights.publish },
            "sub": { "allow": rights.subscribe },
        });
        if rights.answers {
            claims["resp"] = json!({ "max": 1, "ttl": ANSWER_WITHIN });
        }
        let token = token(&self.account, &user.public_key(), name, &claims)?;
        Ok(format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            user.seed()?
        ))
    }
}

/// A token: who says, of whom, what.
fn token(
    by: &KeyPair,
    of: &str,
    name: &str,
    claims: &Value,
) -> Result<String, nkeys::error::Error> {
    let body = json!({
        "jti": of,
        "iat": Timestamp::now().as_second(),
        "iss": by.public_key(),
        "name": name,
        "sub": of,
        "nats": claims,
    });
    let text = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
    let head = text(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let signed = format!("{head}.{}", text(body.to_string().as_bytes()));
    let signature = by.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", text(&signature)))
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use async_nats::{ConnectOptions, Event};
    use futures_util::StreamExt;
    use probeparser::wire::agent_inbox;
    use tempfile::TempDir;
    use tokio::process::{Child, Command};
    use tokio::sync::mpsc;

    use super::super::login::hub_inbox;
    use super::super::{CONFIGURATION, Ports, READY, configuration, ready};
    use super::*;
    use crate::local::find_server;
    use crate::receive::{Access, Address, Connection};

    /// A server that trusts an issuer. Killed when dropped.
    async fn server(issuer: &Issuer) -> (Child, TempDir, Address) {
        let folder = TempDir::new().unwrap();
        let ports = folder.path().join("ports");
        std::fs::create_dir(&ports).unwrap();
        let mut all = issuer.trust().unwrap();
        let own = configuration(folder.path(), &ports);
        all.as_object_mut()
            .unwrap()
            .extend(own.as_object().unwrap().clone());
        all["host"] = "127.0.0.1".into();
        all["port"] = (-1).into();
        let file = folder.path().join(CONFIGURATION);
        std::fs::write(&file, all.to_string()).unwrap();
        let ready = ready::Watch::new(ports).unwrap();
        let child = Command::new(find_server().unwrap())
            .arg("-c")
            .arg(&file)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let text = tokio::task::spawn_blocking(move || ready.file(READY)).await;
        let text = text.unwrap().unwrap().expect("the server's port");
        let ports: Ports = serde_json::from_str(&text).unwrap();
        (child, folder, ports.nats[0].parse().unwrap())
    }

    #[tokio::test]
    async fn who_shows_signed_rights_is_let_in_and_may_do_no_more() {
        let issuer = Issuer::new("s.1");
        let (_child, folder, address) = server(&issuer).await;
        let creds = folder.path().join("hub.creds");
        std::fs::write(&creds, issuer.hub().unwrap()).unwrap();
        let access = Access {
            creds: Some(creds),
            inbox: Some(hub_inbox("s.1")),
            ..Access::default()
        };
        let mut hub = Connection::open(address.clone(), access.clone())
            .await
            .unwrap();
        let mut records = hub.subscribe(Some("s.1")).await.unwrap();
        let mut orders = Connection::open(address.clone(), access).await.unwrap();

        let (complain, mut complaints) = mpsc::channel(16);
        let agent = ConnectOptions::new()
            .credentials(&issuer.agent("n.2").unwrap())
            .unwrap()
            .custom_inbox_prefix(agent_inbox("s.1", "n.2"))
            .event_callback(move |event| {
                if let Event::ServerError(error) = event {
                    complain.try_send(error.to_string()).ok();
                }
                std::future::ready(())
            })
            .connect(address.to_string())
            .await
            .unwrap();
        let status = "xtracer.v1.s%2E1.n%2E2.status";
        agent.publish(status, "x".into()).await.unwrap();
        assert_eq!(records.next().await.unwrap().subject.as_str(), status);

        let place = "xtracer-orders.v1.s%2E1.n%2E2";
        let mut ordered = agent.subscribe(place).await.unwrap();
        agent.flush().await.unwrap();
        let answer = async {
            let reply = ordered.next().await.unwrap().reply.unwrap();
            agent.publish(reply, "done".into()).await.unwrap();
        };
        let (answer, ()) = tokio::join!(orders.ask(place.to_owned(), b"do".to_vec()), answer);
        assert_eq!(answer.unwrap(), b"done");

        for forbidden in [
            "xtracer.v1.s%2E1.n1.status",
            place,
            "_INBOX.x-tracer.s%2E1.a",
        ] {
            agent.publish(forbidden, "x".into()).await.unwrap();
            let complaint = complaints.recv().await.unwrap().to_lowercase();
            assert!(complaint.contains("permissions violation"), "{complaint}");
        }
        // Another session's hub has signed nothing here.
        let stranger = Issuer::new("s.1").agent("n.2").unwrap();
        let stranger = ConnectOptions::new().credentials(&stranger).unwrap();
        assert!(stranger.connect(address.to_string()).await.is_err());
    }

    /// What a token says, if this key has signed it.
    fn read(token: &str, by: &KeyPair) -> Value {
        let bytes = |text: &str| {
            data_encoding::BASE64URL_NOPAD
                .decode(text.as_bytes())
                .unwrap()
        };
        let (signed, signature) = token.rsplit_once('.').unwrap();
        by.verify(signed.as_bytes(), &bytes(signature)).unwrap();
        let (_, body) = signed.split_once('.').unwrap();
        serde_json::from_slice(&bytes(body)).unwrap()
    }

    #[test]
    fn an_agent_is_given_the_rights_of_its_node_and_a_key_of_its_own() {
        let issuer = Issuer::new("s.1");
        let credentials = issuer.agent("n.2").unwrap();
        let lines: Vec<_> = credentials.lines().collect();
        let claims = read(lines[1], &issuer.account);
        assert_eq!(
            claims["sub"],
            KeyPair::from_seed(lines[5]).unwrap().public_key()
        );
        let publish = ["xtracer.v1.s%2E1.n%2E2.>", "_INBOX.x-agent.s%2E1.n%2E2.>"];
        assert_eq!(claims["nats"]["pub"], json!({ "allow": publish }));
        let subscribe = [
            "xtracer-orders.v1.s%2E1.n%2E2",
            "_INBOX.x-agent.s%2E1.n%2E2.>",
        ];
        assert_eq!(claims["nats"]["sub"], json!({ "allow": subscribe }));
        assert_ne!(credentials, issuer.agent("n.2").unwrap());
    }

    #[test]
    fn the_server_is_given_public_keys_only() {
        let issuer = Issuer::new("s");
        let trust = issuer.trust().unwrap();
        let operator = read(trust["operator"].as_str().unwrap(), &issuer.operator);
        assert_eq!(operator["sub"], issuer.operator.public_key());
        let account = &trust["resolver_preload"][issuer.account.public_key()];
        read(account.as_str().unwrap(), &issuer.operator);
        for key in [&issuer.operator, &issuer.account] {
            assert!(!trust.to_string().contains(&key.seed().unwrap()));
        }
        assert!(!format!("{issuer:?}").contains(&issuer.account.seed().unwrap()));
    }
}
