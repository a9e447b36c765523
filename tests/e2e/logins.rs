//! Every way to log in to a server, for the agent and for the hub, against that server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::nats_server::NatsServer;
use crate::pid_namespace::Contained;
use crate::process::{Hub, run};
use crate::replay::{TCPCONNECT_HEADER, Tools, tcpconnect};

/// A folder of secrets.
struct Secrets(TempDir);

impl Secrets {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

/// An agent that publishes one line and waits; killed when dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn agent(url: &str, target: u32, tools: &Path, login: &[(&str, &Path)]) -> Agent {
    let program = Path::new(env!("CARGO_BIN_EXE_x-tracer")).with_file_name("x-agent");
    let target = format!("pid:{target},namespace=ns,pod=p,name=c");
    let mut command = Command::new(program);
    command
        .args(["--session", "s", "--node", "n", "--target", &target])
        .args(["--probes", "tcpconnect", "--nats", url, "--tools-dir"])
        .arg(tools)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    // As the pod's manifest does.
    for (variable, file) in login {
        command.env(variable, file);
    }
    Agent(command.spawn().unwrap())
}

/// The agent's record reaches the hub; neither gets in without its secret.
fn reaches(url: &str, for_agent: &[(&str, &Path)], for_hub: &[(&str, &Path)], outside: &[&str]) {
    let target = Contained::start();
    let line = tcpconnect(target.pid, "curl", 80);
    let tools = Tools::new().script(
        "tcpconnect",
        &format!("import signal\nprint({TCPCONNECT_HEADER:?})\nprint({line:?})\nsignal.pause()\n"),
    );
    let mut refused = vec!["listen", "--nats", url];
    refused.extend(outside);
    let end = run(&refused);
    assert!(matches!(end.code, Some(1 | 4)), "{end:#?}");

    let mut arguments = vec!["listen", "--nats", url, "--session", "s"];
    for (flag, file) in for_hub {
        arguments.extend([flag, file.to_str().unwrap()]);
    }
    let mut hub = Hub::start(&arguments);
    hub.wait_for("listening on");
    let _agent = agent(url, target.pid, tools.path(), for_agent);
    hub.wait_for_lines(1);
    let end = hub.interrupt();
    assert!(end.stdout[0].contains("PNAME:curl"), "{end:#?}");
}

#[test]
fn a_token() {
    let secrets = Secrets::new();
    let token = secrets.file("token", "t0ken\n");
    let server = NatsServer::with_config("authorization { token: \"t0ken\" }");
    reaches(
        &server.url(),
        &[("XTRACER_NATS_TOKEN_FILE", &token)],
        &[("--token-file", &token)],
        &[],
    );
}

#[test]
fn a_user_and_a_password() {
    let secrets = Secrets::new();
    let (user, password) = (
        secrets.file("user", "u\n"),
        secrets.file("password", "p@ss\n"),
    );
    let server = NatsServer::with_config("authorization { user: u, password: \"p@ss\" }");
    reaches(
        &server.url(),
        &[
            ("XTRACER_NATS_USER_FILE", &user),
            ("XTRACER_NATS_PASSWORD_FILE", &password),
        ],
        &[("--user", Path::new("u")), ("--password-file", &password)],
        &[],
    );
}

#[test]
fn an_nkey() {
    let secrets = Secrets::new();
    let key = nkeys::KeyPair::new_user();
    let seed = secrets.file("nkey", &key.seed().unwrap());
    let users = format!(
        "authorization {{ users: [ {{ nkey: {} }} ] }}",
        key.public_key()
    );
    let server = NatsServer::with_config(&users);
    reaches(
        &server.url(),
        &[("XTRACER_NATS_NKEY_FILE", &seed)],
        &[("--nkey-file", &seed)],
        &[],
    );
}

#[test]
fn a_client_certificate() {
    let secrets = Secrets::new();
    let server_side = certificate(&["localhost"]);
    let client_side = certificate(&["x-tracer"]);
    let ca = secrets.file("ca.crt", &server_side.0);
    let (certificate, key) = (
        secrets.file("tls.crt", &client_side.0),
        secrets.file("tls.key", &client_side.1),
    );
    let server_key = secrets.file("server.key", &server_side.1);
    let tls = format!(
        "tls {{ cert_file: {ca:?}, key_file: {server_key:?}, ca_file: {certificate:?}, verify: true, timeout: 10 }}"
    );
    let server = NatsServer::with_config(&tls);
    let url = format!("tls://localhost:{}", server.port);
    reaches(
        &url,
        &[
            ("XTRACER_NATS_CA_FILE", &ca),
            ("XTRACER_NATS_CERT_FILE", &certificate),
            ("XTRACER_NATS_KEY_FILE", &key),
        ],
        &[
            ("--tls-ca", &ca),
            ("--tls-cert", &certificate),
            ("--tls-key", &key),
        ],
        &["--tls-ca", ca.to_str().unwrap()],
    );
}

/// A certificate that is its own authority, and its key.
fn certificate(names: &[&str]) -> (String, String) {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn a_credentials_file() {
    let secrets = Secrets::new();
    let [operator, account, user] = [
        nkeys::KeyPair::new_operator(),
        nkeys::KeyPair::new_account(),
        nkeys::KeyPair::new_user(),
    ];
    let operator_claims = claims(&operator, &operator, "operator");
    let account_claims = claims(&operator, &account, "account");
    let user_claims = claims(&account, &user, "user");
    let creds = format!(
        "-----BEGIN NATS USER JWT-----\n{user_claims}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed().unwrap()
    );
    let creds = secrets.file("nats.creds", &creds);
    let server = NatsServer::with_config(&format!(
        "operator: \"{operator_claims}\"\nresolver: MEMORY\nresolver_preload: {{ {}: \"{account_claims}\" }}",
        account.public_key()
    ));
    reaches(
        &server.url(),
        &[("XTRACER_NATS_CREDS_FILE", &creds)],
        &[("--creds", &creds)],
        &[],
    );
}

/// A NATS JWT: who signs, about whom, as what.
fn claims(issuer: &nkeys::KeyPair, subject: &nkeys::KeyPair, kind: &str) -> String {
    let unlimited = serde_json::json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1,
    });
    let nats = match kind {
        "account" => serde_json::json!({ "type": kind, "version": 2, "limits": unlimited }),
        "user" => serde_json::json!({
            "type": kind, "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1,
        }),
        _ => serde_json::json!({ "type": kind, "version": 2 }),
    };
    let body = serde_json::json!({
        "jti": "x", "iat": 1_700_000_000, "iss": issuer.public_key(), "name": kind,
        "sub": subject.public_key(), "nats": nats,
    });
    let part = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let signed = format!(
        "{}.{}",
        part(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#),
        part(&body.to_string())
    );
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!(
        "{signed}.{}",
        data_encoding::BASE64URL_NOPAD.encode(&signature)
    )
}
