//! Every way to log in to a server, for the agent and for the hub, against that server.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::nats_logins::{certificate, credentials};
use crate::nats_server::NatsServer;
use crate::pid_namespace::Contained;
use crate::process::{Hub, run};
use crate::replay::{TCPCONNECT_HEADER, Tools, tcpconnect};

/// The first byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;

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

#[test]
fn a_credentials_file() {
    let secrets = Secrets::new();
    let (server, creds) = credentials();
    let creds = secrets.file("nats.creds", &creds);
    let server = NatsServer::with_config(&server);
    reaches(
        &server.url(),
        &[("XTRACER_NATS_CREDS_FILE", &creds)],
        &[("--creds", &creds)],
        &[],
    );
}

/// Debian's servers are older than `handshake_first`, so what the client says unasked is looked at: a TLS
/// record, where it would otherwise wait for the server's first word.
#[test]
fn tls_before_all_else() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("tls://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let first_byte = || {
        let (mut stream, _) = listener.accept().unwrap();
        let patience = Duration::from_secs(60);
        stream.set_read_timeout(Some(patience)).unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        byte[0]
    };
    let (target, tools) = (Contained::start(), Tools::new());
    let tls_first = [("XTRACER_NATS_TLS_FIRST", Path::new("true"))];
    {
        let _agent = agent(&url, target.pid, tools.path(), &tls_first);
        assert_eq!(first_byte(), TLS_HANDSHAKE, "the agent's");
    }
    let _hub = Hub::start(&["listen", "--nats", &url, "--tls-first"]);
    assert_eq!(first_byte(), TLS_HANDSHAKE, "the hub's");
}
