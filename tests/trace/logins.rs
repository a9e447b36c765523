//! The user's own NATS server, with every login that there is: agents log in as the hub does, by a Secret,
//! and nothing else in the cluster shows what is secret.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::to_string;
use tempfile::TempDir;

use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::nats_logins::{certificate, credentials};
use crate::nats_server::NatsServer;
use crate::replay::tcpconnect;
use crate::scene::{leftovers, tools, with_web};

/// A server's lines of configuration, the flags of a hub that it lets in (`FILE=…` stands for a file of
/// that content), and what nobody may see.
struct Login {
    server: String,
    flags: Vec<(&'static str, String)>,
    secret: Vec<String>,
}

impl Login {
    fn new(server: &str, flags: &[(&'static str, &str)], secret: &[&str]) -> Self {
        Self {
            server: server.to_owned(),
            flags: flags
                .iter()
                .map(|(flag, value)| (*flag, (*value).to_owned()))
                .collect(),
            secret: secret.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A pod is traced over a server with this login; `url` is made from the server's port.
async fn traced(login: Login, url: impl FnOnce(u16) -> String) {
    let (lab, web) = with_web().await;
    let tools = tools(&[tcpconnect(web.pid, "curl", 80)]);
    let _kubelet = Kubelet::start(&lab, tools.path());
    let server = NatsServer::with_config(&login.server);
    let url = url(server.port);
    let files = TempDir::new().unwrap();
    let mut command = trace(&lab, &["web", "--probes", "tcpconnect", "--nats", &url]);
    for (flag, value) in login.flags {
        match value.strip_prefix("FILE=") {
            Some(content) => {
                let file = files.path().join(flag.trim_start_matches('-'));
                fs::write(&file, content).unwrap();
                command.arg(flag).arg(file);
            }
            None => {
                command.args([flag, &value]);
            }
        }
    }
    let mut hub = Hub::start(command);
    hub.until("PNAME:curl").await;
    let pods = lab.pods().list(&Kubelet::ours()).await.unwrap();
    let pod = to_string(&pods.items).unwrap();
    assert!(pod.contains("XTRACER_NATS"), "{pod}");
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    for secret in login.secret {
        assert!(!pod.contains(&secret), "{secret} in {pod}");
        assert!(!ended.said.contains(&secret), "{secret} in {}", ended.said);
    }
    assert_eq!(leftovers(&lab).await, [""; 0], "{}", ended.said);
}

fn plain(port: u16) -> String {
    format!("nats://127.0.0.1:{port}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token() {
    let login = Login::new(
        "authorization { token: t0ken }",
        &[("--token-file", "FILE=t0ken\n")],
        &["t0ken"],
    );
    traced(login, plain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_and_a_password() {
    let login = Login::new(
        "authorization { user: somebody, password: \"p@ss\" }",
        &[("--user", "somebody"), ("--password-file", "FILE=p@ss\n")],
        &["somebody", "p@ss"],
    );
    traced(login, plain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_nkey() {
    let key = nkeys::KeyPair::new_user();
    let seed = key.seed().unwrap();
    let login = Login::new(
        &format!(
            "authorization {{ users: [ {{ nkey: {} }} ] }}",
            key.public_key()
        ),
        &[("--nkey-file", &format!("FILE={seed}\n"))],
        &[&seed],
    );
    traced(login, plain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credentials_file() {
    let (server, creds) = credentials();
    let seed = creds.lines().find(|line| line.starts_with("SU")).unwrap();
    let login = Login::new(&server, &[("--creds", &format!("FILE={creds}"))], &[seed]);
    traced(login, plain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (servers, ours) = (certificate(&["localhost"]), certificate(&["x-tracer"]));
    let server = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true, timeout: 10 }}",
        file("server.crt", &servers.0),
        file("server.key", &servers.1),
        file("clients.crt", &ours.0)
    );
    let secret = ours.1.lines().nth(1).unwrap();
    let login = Login::new(
        &server,
        &[
            ("--tls-ca", &format!("FILE={}", servers.0)),
            ("--tls-cert", &format!("FILE={}", ours.0)),
            ("--tls-key", &format!("FILE={}", ours.1)),
        ],
        &[secret],
    );
    traced(login, |port| format!("tls://localhost:{port}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_speaks_tls_first() {
    let (lab, _web) = with_web().await;
    let server = ["--nats", "tls://nats.example:4222", "--tls-first"];
    let mut command = trace(&lab, &["web", "--dry-run=client"]);
    command.args(server);
    let ended = Hub::start(command).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    // What it makes the agent do: tests/e2e/logins.rs.
    let words = "name: XTRACER_NATS_TLS_FIRST\n      value: \"true\"";
    assert!(ended.shown.contains(words), "{}", ended.shown);
}
