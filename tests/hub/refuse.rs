//! Messages that are not what they claim to be, and servers that are not there.

use crate::envelopes::{exec, subject};
use crate::nats_server::NatsServer;
use crate::plain_nats::PlainNats;
use crate::process::{Hub, run};

#[test]
fn what_is_no_record_is_counted_and_never_shown() {
    // A server that takes more than the contract allows, so that the hub must refuse it itself.
    let server = NatsServer::with_config("max_payload: 4MB");
    let url = server.url();
    let mut hub = Hub::start(&["listen", "--nats", &url, "--strict"]);
    hub.wait_for("listening on");
    let good = exec(1, b"good", b"");
    let place = subject(&good);
    let mut nats = PlainNats::connect(server.port, None);
    let contradiction = {
        let mut other = exec(1, b"bad", b"");
        other.pod = "other".into();
        other.encode()
    };
    let version = String::from_utf8(good.encode())
        .unwrap()
        .replace("\"v\":1", "\"v\":2");
    let huge = exec(1, b"bad", &vec![b'a'; 2 << 20]).encode();
    for (subject, payload) in [
        (place.as_str(), &b"{"[..]),
        (&place, b"\x1b[2J\xff"),
        (&place, b""),
        (&place, &contradiction),
        (&place, version.as_bytes()),
        (&place, &huge),
        ("xtracer.v1.s1.node%2E1.status", b"{}"),
        ("xtracer.v1.s1", &good.encode()),
        ("xtracer.v1.s1.\u{1b}[2J.a.b.c.tcptop", &good.encode()),
    ] {
        nats.publish(subject, payload);
    }
    nats.publish(&place, &good.encode());
    hub.wait_for_lines(1);
    let end = hub.interrupt();
    assert_eq!(end.stdout.len(), 1);
    assert!(end.stdout[0].contains("PNAME: good"));
    assert_eq!(end.code, Some(6), "{end:#?}");
    end.said("9 messages refused");
    end.said("its pod is `other`, its subject says `testpod`");
    end.said("version 2 of the wire contract");
    let told = end
        .stderr
        .iter()
        .filter(|line| line.contains("refused a message on"))
        .count();
    assert_eq!(told, 5, "a flood is counted, not told: {end:#?}");
    assert!(!end.stderr.concat().contains('\x1b'));
}

#[test]
fn a_wrong_address_fails_at_once_with_address_and_reason() {
    // A port of our own that nothing listens on.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    drop(taken);
    let end = run(&["listen", "--nats", &address]);
    assert_eq!(end.code, Some(1), "{end:#?}");
    let line = end.said("cannot connect to");
    assert!(
        line.contains(&format!("nats://{address}")) && line.contains("refused"),
        "{line}"
    );
}

#[test]
fn a_server_that_wants_a_login_is_named_with_the_flags() {
    let server = NatsServer::with_config("authorization { token: \"s3cret\" }");
    let url = server.url();
    let end = run(&["listen", "--nats", &url]);
    assert_eq!(end.code, Some(4), "{end:#?}");
    assert!(end.said("cannot connect to").contains("--token-file"));

    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "s3cret\n").unwrap();
    let file = token.path().to_str().unwrap();
    let end = run(&[
        "listen",
        "--nats",
        &url,
        "--token-file",
        file,
        "--timeout",
        "200ms",
    ]);
    assert_eq!(end.code, Some(0), "{end:#?}");
}

#[test]
fn a_user_without_the_right_to_subscribe_is_told() {
    let users = r#"authorization { users: [ { user: u, password: p, permissions: { subscribe: ["_INBOX.>"], publish: ">" } } ] }"#;
    let server = NatsServer::with_config(users);
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), "p\n").unwrap();
    let file = password.path().to_str().unwrap();
    let end = run(&[
        "listen",
        "--nats",
        &server.url(),
        "--user",
        "u",
        "--password-file",
        file,
    ]);
    assert_eq!(end.code, Some(4), "{end:#?}");
    assert!(
        end.said("refuses to let us subscribe")
            .contains("xtracer.v1.>")
    );
}

#[test]
fn a_user_without_an_inbox_may_listen() {
    let users = r#"authorization { users: [ { user: u, password: p, permissions: { subscribe: ["xtracer.>"], publish: { deny: ">" } } } ] }"#;
    let server = NatsServer::with_config(users);
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), "p").unwrap();
    let file = password.path().to_str().unwrap();
    let url = server.url();
    let end = run(&[
        "listen",
        "--nats",
        &url,
        "--user",
        "u",
        "--password-file",
        file,
        "--timeout",
        "200ms",
    ]);
    assert_eq!(end.code, Some(0), "{end:#?}");
}
