use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use super::*;
use crate::receive::{Change, Connection};

fn plan(reach: Reach) -> Plan {
    Plan {
        session: "s.1".into(),
        nodes: vec!["n1".into(), "n.2".into()],
        reach,
        keep: Keep::Session,
    }
}

fn network(names: &[&str]) -> Reach {
    Reach::Network {
        listen: Ipv4Addr::LOCALHOST.into(),
        port: 0,
        names: names.iter().map(ToString::to_string).collect(),
    }
}

/// A client with a login, and what the server complains about.
struct Guest {
    client: Client,
    complaints: mpsc::Receiver<String>,
}

impl Guest {
    async fn enter(server: &Server, login: &Login, inbox: &str) -> Self {
        let (sender, complaints) = mpsc::channel(16);
        let options = match &server.ca {
            Some(_) => ConnectOptions::new().add_root_certificates(server.folder().join(CA)),
            None => ConnectOptions::new(),
        };
        let client = options
            .user_and_password(login.user.clone(), login.password.clone())
            .custom_inbox_prefix(inbox)
            .event_callback(move |event| {
                if let Event::ServerError(error) = event {
                    sender.try_send(error.to_string()).ok();
                }
                std::future::ready(())
            })
            .connect(server.address.to_string())
            .await
            .unwrap();
        Self { client, complaints }
    }

    /// Waits until the server has refused what was just sent.
    async fn is_refused(&mut self) {
        let complaint = tokio::time::timeout(READY, self.complaints.recv()).await;
        let complaint = complaint.expect("a refusal").unwrap().to_lowercase();
        assert!(complaint.contains("permissions violation"), "{complaint}");
    }
}

#[tokio::test]
async fn listens_on_loopback_and_is_gone_with_its_files() {
    let server = Server::start(plan(Reach::Loopback)).await.unwrap();
    let folder = server.folder().to_owned();
    let pid = server.child.id().unwrap();
    assert_eq!(
        server.address.to_string(),
        format!("nats://127.0.0.1:{}", server.port)
    );
    let argv = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap();
    for login in [server.logins().hub(), server.agent("n1").unwrap()] {
        assert!(login.password.len() >= 32);
        assert!(!argv.contains(&login.password) && !log.contains(&login.password));
        assert!(!format!("{login:?}").contains(&login.password));
    }
    assert!(server.agent("n3").is_none());
    drop(server);
    assert!(!folder.exists());
}

#[tokio::test]
async fn an_agent_writes_for_its_node_and_reads_nothing() {
    let server = Server::start(plan(Reach::Loopback)).await.unwrap();
    let mut hub = Connection::open(server.address.clone(), server.access())
        .await
        .unwrap();
    let mut records = hub.subscribe(Some("s.1")).await.unwrap();
    let login = server.agent("n.2").unwrap();
    let mut agent = Guest::enter(&server, login, "_INBOX.x-agent.s%2E1.n%2E2").await;
    for good in [
        "xtracer.v1.s%2E1.n%2E2.status",
        "xtracer.v1.s%2E1.n%2E2.a.b.c.tcplife",
    ] {
        agent.client.publish(good, "x".into()).await.unwrap();
        assert_eq!(records.next().await.unwrap().subject.as_str(), good);
    }
    let inbox = agent.client.new_inbox();
    let mut echo = agent.client.subscribe(inbox.clone()).await.unwrap();
    agent.client.publish(inbox, "".into()).await.unwrap();
    echo.next().await.unwrap();
    for bad in [
        "xtracer.v1.s%2E1.n1.status",
        "xtracer.v1.other.n%2E2.status",
        "xtracer.v1.s%2E1",
        "anything",
        "$JS.API.INFO",
    ] {
        agent.client.publish(bad, "x".into()).await.unwrap();
        agent.is_refused().await;
    }
    for bad in [
        "xtracer.v1.s%2E1.>",
        ">",
        "_INBOX.>",
        "_INBOX.x-agent.s%2E1.n1.>",
    ] {
        drop(agent.client.subscribe(bad).await.unwrap());
        agent.is_refused().await;
    }
}

#[tokio::test]
async fn one_more_agent_is_let_in_and_nobody_is_put_out() {
    for reach in [Reach::Loopback, network(&[])] {
        let server = Server::start(plan(reach)).await.unwrap();
        let mut hub = Connection::open(server.address.clone(), server.access())
            .await
            .unwrap();
        let mut records = hub.subscribe(Some("s.1")).await.unwrap();
        let first = server.agent("n1").unwrap();
        let first = Guest::enter(&server, first, "_INBOX.x-agent.s%2E1.n1").await;

        let mut gate = server.gate().unwrap();
        let login = gate.admit("n3").await.unwrap();
        let again = gate.admit("n3").await.unwrap();
        assert_eq!(login.password, again.password);
        let mut late = Guest::enter(&server, &login, "_INBOX.x-agent.s%2E1.n3").await;
        for (agent, subject) in [
            (&late, "xtracer.v1.s%2E1.n3.status"),
            (&first, "xtracer.v1.s%2E1.n1.status"),
        ] {
            agent.client.publish(subject, "x".into()).await.unwrap();
            assert_eq!(records.next().await.unwrap().subject.as_str(), subject);
        }
        assert_eq!(first.client.statistics().connects.load(Relaxed), 1);
        while let Some(change) = hub.change().now_or_never() {
            assert!(matches!(change, Change::Back), "{change:?}");
        }
        late.client
            .publish("xtracer.v1.s%2E1.n1.status", "x".into())
            .await
            .unwrap();
        late.is_refused().await;

        // The first one's login works as before, and so does another that comes later.
        Guest::enter(&server, server.agent("n1").unwrap(), "_INBOX.x").await;
        let login = gate.admit("n4").await.unwrap();
        Guest::enter(&server, &login, "_INBOX.x").await;
    }
}

#[tokio::test]
async fn a_login_that_the_server_does_not_take_is_none() {
    let mut server = Server::start(plan(network(&[]))).await.unwrap();
    let mut gate = server.gate().unwrap();
    let (certificate, away) = (
        server.folder().join("server.crt"),
        server.folder().join("away"),
    );
    std::fs::rename(&certificate, &away).unwrap();
    let error = gate.admit("n3").await.unwrap_err().to_string();
    assert!(
        error.starts_with("the NATS server did not read its configuration again: ")
            && error.contains("server.crt"),
        "{error}"
    );
    std::fs::rename(&away, &certificate).unwrap();
    gate.admit("n3").await.unwrap();
    server.child.kill().await.unwrap();
    let error = gate.admit("n4").await.unwrap_err().to_string();
    assert!(error.contains("No such process"), "{error}");
}

#[tokio::test]
async fn the_hub_reads_its_session_and_writes_nothing() {
    let server = Server::start(plan(Reach::Loopback)).await.unwrap();
    let mut hub = Guest::enter(&server, server.logins().hub(), &hub_inbox("s.1")).await;
    for bad in [
        "xtracer.v1.s%2E1.n1.status",
        "_INBOX.x-agent.other.n1.1",
        "x",
    ] {
        hub.client.publish(bad, "x".into()).await.unwrap();
        hub.is_refused().await;
    }
    drop(hub.client.subscribe("xtracer.v1.other.>").await.unwrap());
    hub.is_refused().await;
}

#[tokio::test]
async fn nobody_enters_without_a_login() {
    for reach in [Reach::Loopback, network(&[])] {
        let server = Server::start(plan(reach)).await.unwrap();
        let ca = server.folder().join(CA);
        for options in [
            ConnectOptions::new(),
            ConnectOptions::with_token("x".into()),
            ConnectOptions::with_user_and_password(server.logins().hub().user.clone(), "x".into()),
        ] {
            let options = match &server.ca {
                Some(_) => options.add_root_certificates(ca.clone()),
                None => options,
            };
            let error = options.connect(server.address.to_string()).await;
            assert_eq!(
                error.unwrap_err().kind(),
                ConnectErrorKind::AuthorizationViolation
            );
        }
    }
}

#[tokio::test]
async fn off_loopback_it_speaks_tls_as_one_of_its_names_or_not_at_all() {
    let reach = network(&["localhost"]);
    let server = Server::start(plan(reach)).await.unwrap();
    assert_eq!(
        server.address.to_string(),
        format!("tls://127.0.0.1:{}", server.port)
    );
    Connection::open(server.address.clone(), server.access())
        .await
        .unwrap();
    let Login { user, password } = server.agent("n1").unwrap().clone();
    let login = || ConnectOptions::with_user_and_password(user.clone(), password.clone());
    let trusting = || login().add_root_certificates(server.folder().join(CA));
    let port = server.port;
    let named = format!("localhost:{port}");
    trusting().connect(&named).await.unwrap();
    login().connect(&named).await.unwrap_err();

    let nameless = Server::start(plan(network(&[]))).await.unwrap();
    let trusting = ConnectOptions::new().add_root_certificates(nameless.folder().join(CA));
    let unnamed = format!("localhost:{}", nameless.port);
    let error = trusting.connect(&unnamed).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");

    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let hello = format!("CONNECT {{\"user\":\"{user}\",\"pass\":\"{password}\"}}\r\nPING\r\n");
    plain.write_all(hello.as_bytes()).unwrap();
    let mut answer = String::new();
    // A reset connection is as good an answer as a closed one.
    drop(plain.read_to_string(&mut answer));
    assert!(!answer.contains("PONG"), "{answer}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let reach = Reach::Network {
        listen: Ipv4Addr::LOCALHOST.into(),
        port: other.local_addr().unwrap().port(),
        names: Vec::new(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outcome = runtime.block_on(Server::start(plan(reach)));
    // Nothing writes a ports file, and its reader would be waited for.
    runtime.shutdown_background();
    let error = outcome.err().expect("it can't listen").to_string();
    assert!(error.contains("address already in use"), "{error}");
}

#[tokio::test]
async fn nobody_takes_anything_out_of_the_stream() {
    let server = Server::start(plan(Reach::Loopback)).await.unwrap();
    let connection = Connection::open(server.address.clone(), server.access()).await;
    let connection = connection.unwrap();
    let store = probeparser::wire::Store::default();
    connection.keep(store).await.unwrap();
    connection.keep(store).await.unwrap();

    let login = server.agent("n1").unwrap().clone();
    let mut agent = Guest::enter(&server, &login, "_INBOX.x-agent.s%2E1.n1").await;
    let mut hub = Guest::enter(&server, server.logins().hub(), "_INBOX.x-tracer.s%2E1").await;
    for call in [
        "STREAM.DELETE.xtracer",
        "STREAM.PURGE.xtracer",
        "STREAM.UPDATE.xtracer",
        "STREAM.MSG.DELETE.xtracer",
        "STREAM.CREATE.other",
        "CONSUMER.CREATE.xtracer",
        "CONSUMER.CREATE.xtracer.c.xtracer.v1.other.>",
        "CONSUMER.DELETE.xtracer.c",
    ] {
        for guest in [&mut agent, &mut hub] {
            let subject = format!("$JS.API.{call}");
            guest.client.publish(subject, "{}".into()).await.unwrap();
            guest.is_refused().await;
        }
    }
    // It learns from the stream's answer that it is kept, and no more.
    let subject = "xtracer.v1.s%2E1.n1.status".to_owned();
    let kept = agent.client.request(subject, "{}".into()).await.unwrap();
    assert!(
        kept.payload.starts_with(br#"{"stream":"xtracer""#),
        "{kept:?}"
    );
    agent
        .client
        .publish("$JS.API.STREAM.INFO.xtracer", "".into())
        .await
        .unwrap();
    agent.is_refused().await;
}
