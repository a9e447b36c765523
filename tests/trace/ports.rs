//! What `trace` lets the network see: its server, by TLS; and what a wrong client gets there.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use nix::sys::signal::Signal;

use crate::hub::{Hub, blocking, trace};
use crate::kubelet::Kubelet;
use crate::lab::Lab;
use crate::listeners::{family, listeners};
use crate::replay::tcpconnect;
use crate::scene::{tools, with_web};

/// What a server answers to these bytes until it closes the connection, or has nothing more to say.
fn answer(port: u16, bytes: &[u8]) -> String {
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stranger
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // The server may have had enough before the end.
    stranger.write_all(bytes).ok();
    stranger.shutdown(Shutdown::Write).ok();
    let mut answer = Vec::new();
    stranger.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The authority of a session, out of its agent's Secret.
async fn authority(lab: &Lab) -> Vec<u8> {
    let secrets: Api<Secret> = Api::namespaced(lab.client.clone(), &lab.namespace);
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=x-tracer");
    let secrets = secrets.list(&ours).await.unwrap();
    let mut files = secrets.items.into_iter().filter_map(|secret| secret.data);
    let file = files.find_map(|mut files| files.remove("ca.crt"));
    file.expect("an authority").0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_client_gets_nothing_and_the_session_goes_on() {
    let (lab, container) = with_web().await;
    let tools = tools(&[tcpconnect(container.pid, "curl", 80)]);
    let _kubelet = Kubelet::start(&lab, tools.path());
    let own = [
        "web",
        "--probes",
        "tcpconnect",
        "--hub-address",
        "127.0.0.1",
    ];
    let mut hub = Hub::start(trace(&lab, &own));
    hub.until("PNAME:curl").await;

    let listening = listeners(family(hub.pid()));
    let [server] = &listening[..] else {
        panic!("one listens: {listening:?}");
    };
    let port = server.strip_prefix("tcp 0100007F:").expect("on loopback");
    let port = u16::from_str_radix(port, 16).unwrap();
    let agents = family(std::process::id()).into_iter().filter(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "x-agent\n")
    });
    let agents: Vec<_> = agents.flat_map(family).collect();
    assert!(!agents.is_empty());
    assert_eq!(listeners(agents), [""; 0]);

    // One that says nothing is there all the time.
    let _half_open = TcpStream::connect(("127.0.0.1", port)).unwrap();
    for bytes in [
        &b""[..],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT {\"verbose\":true}\r\nSUB > 1\r\nPING\r\n",
        b"PUB xtracer.v1.s.n.status 2\r\n{}\r\nPING\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &vec![0xff; 70_000],
    ] {
        let bytes = bytes.to_vec();
        let answer = blocking(move || answer(port, &bytes)).await;
        let gets_in = ["PONG", "MSG", "+OK"].map(|word| answer.contains(word));
        assert_eq!(gets_in, [false; 3], "{answer}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    std::fs::write(&file, authority(&lab).await).unwrap();
    let login =
        async_nats::ConnectOptions::with_user_and_password("x-tracer".into(), "wrong".into());
    let login = login.add_root_certificates(file).require_tls(true);
    let refused = login.connect(format!("tls://127.0.0.1:{port}")).await;
    let refused = refused.unwrap_err();
    assert_eq!(
        refused.kind(),
        async_nats::ConnectErrorKind::AuthorizationViolation
    );

    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let complete = "complete: every record that was published is shown, 1 in all";
    assert!(ended.said.contains(complete), "{}", ended.said);
}
