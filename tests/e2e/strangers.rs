//! Whoever else is on the network: refused or counted, never shown, never a crash.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::nats_server::NatsServer;
use crate::outage::{Ordered, numbers};
use crate::plain_nats::PlainNats;
use crate::process::Hub;

/// What one record of a session looks like, and where it is.
fn a_record(plain: &mut PlainNats) -> (String, serde_json::Value) {
    loop {
        let message = plain.next();
        if message.subject.ends_with(".tcpconnect") {
            let record = serde_json::from_slice(&message.payload).unwrap();
            return (message.subject, record);
        }
    }
}

#[test]
fn what_strangers_send_is_counted_and_the_session_goes_on() {
    let server = NatsServer::with_config("max_payload: 16MB");
    let mut plain = PlainNats::connect(server.port, None);
    plain.subscribe("xtracer.v1.>");
    let mut session = Ordered::start(&server.url(), &[]);
    session.print(10);
    session.hub.wait_for_lines(10);
    let (subject, record) = a_record(&mut plain);
    let with = |member: &str, value: serde_json::Value| {
        let mut record = record.clone();
        record[member] = value;
        record.to_string().into_bytes()
    };
    let mut stranger = PlainNats::connect(server.port, None);
    for payload in [
        with("node", "another".into()),
        with("v", 2.into()),
        with("v", "1".into()),
        with("seq", 0.into()),
        with("pid", "one".into()),
        with("raw", "x".repeat(10 << 20).into()),
        b"{".to_vec(),
        b"\x00\xff\x1b[2J".to_vec(),
        vec![b'['; 1 << 20],
    ] {
        stranger.publish(&subject, &payload);
    }
    let status = subject.split('.').take(4).collect::<Vec<_>>().join(".") + ".status";
    stranger.publish(&status, b"{}");
    // A message once more is no lie, and is not shown twice.
    stranger.publish(&subject, record.to_string().as_bytes());
    session.print(10);
    session.hub.wait_for_lines(20);
    let end = session.end();
    assert_eq!(numbers(&end), (0..20).collect::<Vec<_>>());
    assert_eq!(end.code, Some(6), "{:#?}", end.stderr);
    end.said("10 messages refused, since they were not what they claimed");
    end.said("came twice 1");
    assert!(!end.stderr.concat().contains(['\x1b', '\0']));
}

#[test]
fn bytes_that_are_no_protocol_disturb_nobody() {
    let server = NatsServer::with_config("authorization { token: \"t0ken\" }");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "t0ken").unwrap();
    let url = server.url();
    let token = file.path().to_str().unwrap();
    let mut hub = Hub::start(&["listen", "--nats", &url, "--token-file", token]);
    hub.wait_for("listening on");
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"CONNECT {}\r\nSUB > 1\r\nPING\r\n",
        b"PUB xtracer.v1.s.n.status 2\r\n{}\r\n",
        &vec![0xff; 70_000],
    ] {
        let mut stranger = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        // The server may have had enough before the end.
        stranger.write_all(bytes).ok();
        let mut answer = Vec::new();
        stranger.read_to_end(&mut answer).ok();
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            !answer.contains("PONG") && !answer.contains("MSG"),
            "{answer}"
        );
    }
    let end = hub.interrupt();
    assert_eq!((end.code, end.stdout.len()), (Some(0), 0), "{end:#?}");
    end.said("0 records shown, none missing among their numbers");
}
