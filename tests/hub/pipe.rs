//! Readers of standard output that go away, and terminals.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use nix::pty::openpty;
use nix::sys::signal::Signal;

use crate::envelopes::{exec, subject};
use crate::nats_server::NatsServer;
use crate::plain_nats::PlainNats;
use crate::process::{Hub, command};

/// A hub whose standard output is a pipe that the test may close.
fn piped(server: &NatsServer) -> (Hub, std::io::PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut hub = Hub::spawn(command(&["listen", "--nats", &server.url()]).stdout(writer));
    hub.wait_for("listening on");
    (hub, reader)
}

#[test]
fn head_ends_well() {
    let server = NatsServer::start();
    let (hub, reader) = piped(&server);
    let mut nats = PlainNats::connect(server.port, None);
    for seq in 1..100 {
        let envelope = exec(seq, b"x", b"");
        nats.publish(&subject(&envelope), &envelope.encode());
    }
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("{Probe:execsnoop"));
    drop(reader);
    let end = hub.end();
    assert_eq!(end.code, Some(0), "{end:#?}");
    assert_eq!(end.stderr.len(), 1, "no word but the first: {end:#?}");
}

#[test]
fn head_ends_a_quiet_session_too() {
    let server = NatsServer::start();
    let (hub, reader) = piped(&server);
    drop(reader);
    let end = hub.end();
    assert_eq!(end.code, Some(0), "{end:#?}");
    assert_eq!(end.stderr.len(), 1, "no word but the first: {end:#?}");
}

/// More lines than a pipe holds, to a reader that does not read.
fn held_up(server: &NatsServer) -> (Hub, std::io::PipeReader) {
    let (mut hub, reader) = piped(server);
    let mut nats = PlainNats::connect(server.port, None);
    let args = vec![b'a'; 4000];
    for seq in 1..=100 {
        let envelope = exec(seq, b"x", &args);
        nats.publish(&subject(&envelope), &envelope.encode());
    }
    hub.signal(Signal::SIGINT);
    hub.wait_for("standard output is not being read");
    (hub, reader)
}

#[test]
fn a_slow_reader_still_gets_everything() {
    let server = NatsServer::start();
    let (hub, reader) = held_up(&server);
    assert_eq!(BufReader::new(reader).lines().count(), 100);
    let end = hub.end();
    assert_eq!(end.code, Some(0), "{end:#?}");
    end.said("100 records shown, none missing among their numbers");
}

/// Nothing holds an endless flood, but every message of it is shown or counted.
#[test]
fn what_the_hub_cannot_hold_is_counted() {
    const PUBLISHED: u64 = 100_000;
    let server = NatsServer::start();
    let (mut hub, reader) = piped(&server);
    let place = subject(&exec(1, b"x", b""));
    let mut nats = PlainNats::connect(server.port, None);
    nats.publish_all((1..=PUBLISHED).map(|seq| (&*place, exec(seq, b"x", b"").encode())));
    hub.signal(Signal::SIGINT);
    hub.wait_for("standard output is not being read");
    let shown = BufReader::new(reader).lines().count() as u64;
    let end = hub.end();
    assert_eq!(end.code, Some(0), "{end:#?}");
    let line = end.said("messages reached the hub faster than it could show them");
    assert!(shown > 60_000, "the library alone holds 65,536: {shown}");
    assert!(
        line.contains(&format!(" {} messages reached", PUBLISHED - shown)),
        "{line} {shown}"
    );
}

#[test]
fn a_second_interrupt_leaves_at_once() {
    let server = NatsServer::start();
    let (hub, _reader) = held_up(&server);
    let end = hub.interrupt();
    assert_eq!(end.code, Some(1), "{end:#?}");
    end.said("left at once");
}

#[test]
fn a_full_disk_is_an_error() {
    let server = NatsServer::start();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut hub = Hub::spawn(command(&["listen", "--nats", &server.url()]).stdout(full));
    hub.wait_for("listening on");
    let mut nats = PlainNats::connect(server.port, None);
    let envelope = exec(1, b"x", b"");
    nats.publish(&subject(&envelope), &envelope.encode());
    let end = hub.end();
    assert_eq!(end.code, Some(1), "{end:#?}");
    end.said("standard output: No space left on device");
}

#[test]
fn a_terminal_gets_no_control_character_not_even_in_json() {
    let server = NatsServer::start();
    let terminal = openpty(None, None).unwrap();
    let arguments = ["listen", "--nats", &server.url(), "-o", "json"];
    let mut hub = Hub::spawn(command(&arguments).stdout(Stdio::from(terminal.slave)));
    hub.wait_for("listening on");
    let mut nats = PlainNats::connect(server.port, None);
    let envelope = exec(1, "\u{9b}2J\u{7f}\u{202e}é".as_bytes(), b"\x1b]0;t\x07\xff");
    nats.publish(&subject(&envelope), &envelope.encode());
    let mut seen = Vec::new();
    let mut master = File::from(terminal.master);
    while !seen.ends_with(b"\n") {
        let mut chunk = [0; 4096];
        let read = master.read(&mut chunk).unwrap();
        seen.extend_from_slice(&chunk[..read]);
    }
    let shown = String::from_utf8(seen).unwrap();
    let line = shown.trim_end_matches("\r\n");
    assert!(
        !line.chars().any(|c| c.is_control() || c == '\u{202e}'),
        "{line:?}"
    );
    assert!(line.contains(r#""comm":"\u009b2J\u007f\u202eé""#), "{line}");
    assert_eq!(
        probeparser::wire::Envelope::decode(line.as_bytes()).unwrap(),
        envelope
    );
    assert_eq!(hub.interrupt().code, Some(0));
}
