//! What is published is shown, in order, once, and accounted for.

use nix::sys::signal::Signal;
use probeparser::wire::Envelope;
use tempfile::TempDir;

use crate::envelopes::{exec, golden, subject};
use crate::nats_server::NatsServer;
use crate::plain_nats::PlainNats;
use crate::process::{Hub, run};

pub(crate) fn listen(server: &NatsServer, more: &[&str]) -> Hub {
    let url = server.url();
    let mut arguments = vec!["listen", "--nats", &url];
    arguments.extend(more);
    let mut hub = Hub::start(&arguments);
    hub.wait_for("listening on nats://127.0.0.1:");
    hub
}

pub(crate) fn publish(server: &NatsServer, envelopes: &[Envelope<'_>]) {
    let mut nats = PlainNats::connect(server.port, None);
    for envelope in envelopes {
        nats.publish(&subject(envelope), &envelope.encode());
    }
}

/// A server with streams, and the folder that it has them in.
fn keeping() -> (TempDir, NatsServer) {
    let folder = tempfile::tempdir().unwrap();
    let jetstream = format!(
        "jetstream: {{ store_dir: \"{}\" }}",
        folder.path().display()
    );
    let server = NatsServer::with_config(&jetstream);
    (folder, server)
}

#[test]
fn shows_every_probe_as_the_original_did() {
    let server = NatsServer::start();
    let mut hub = listen(&server, &[]);
    let (envelopes, lines): (Vec<_>, Vec<_>) = golden().into_iter().unzip();
    publish(&server, &envelopes);
    hub.wait_for_lines(lines.len());
    let end = hub.interrupt();
    assert_eq!(end.stdout, lines);
    assert_eq!(end.code, Some(0), "{end:#?}");
    end.said("9 records shown, none missing among their numbers");
    end.said("node.1: tcptracer: shown 2; missing 0");
}

#[test]
fn a_plain_client_reads_what_the_hub_shows_as_json() {
    let server = NatsServer::start();
    let mut plain = PlainNats::connect(server.port, None);
    plain.subscribe("xtracer.v1.>");
    let mut hub = listen(&server, &["-o", "json"]);
    let mut envelopes: Vec<_> = golden().into_iter().map(|(envelope, _)| envelope).collect();
    envelopes.push(exec(2, b"bad\xff\n", b"/bin/x \x1b[2J"));
    publish(&server, &envelopes);
    hub.wait_for_lines(envelopes.len());
    let end = hub.interrupt();
    for (envelope, shown) in envelopes.iter().zip(&end.stdout) {
        let message = plain.next();
        assert_eq!(message.subject, subject(envelope));
        assert_eq!(
            String::from_utf8(message.payload.clone()).unwrap() + "\n",
            *shown
        );
        assert_eq!(Envelope::decode(&message.payload).unwrap(), *envelope);
    }
}

#[test]
fn a_strangers_name_stays_in_its_line() {
    let server = NatsServer::start();
    let mut hub = listen(&server, &[]);
    let forged = b"x\n{Probe:execsnoop |Sys_Time: 00:00:00 | T:0 | PNAME: forged";
    let envelopes = [
        exec(1, b"\x1b[2J\xc2\x9b", forged),
        exec(2, b"a\tb\xff", "\u{202e}gnp.exe\r".as_bytes()),
    ];
    publish(&server, &envelopes);
    hub.wait_for_lines(2);
    let end = hub.interrupt();
    assert_eq!(
        end.stdout,
        [
            "{Probe:execsnoop |Sys_Time: 15:27:22 | T:1.804 | PNAME: \\x1b[2J\\u{9b} | PID:5564 | PPID:406 | RET:0 | ARGS:x\\n{Probe:execsnoop |Sys_Time: 00:00:00 | T:0 | PNAME: forged \n",
            "{Probe:execsnoop |Sys_Time: 15:27:22 | T:1.804 | PNAME: a\\tb\\xff | PID:5564 | PPID:406 | RET:0 | ARGS:\\u{202e}gnp.exe\\r \n",
        ]
    );
}

#[test]
fn gaps_are_counted_repeats_dropped_and_strict_minds() {
    let server = NatsServer::start();
    let mut hub = listen(&server, &["--strict"]);
    let numbers = [10, 11, 15, 15, 16, 12];
    let envelopes: Vec<_> = numbers.map(|seq| exec(seq, b"x", b"")).into();
    publish(&server, &envelopes);
    hub.wait_for_lines(5);
    let end = hub.interrupt();
    assert_eq!(end.stdout.len(), 5);
    assert_eq!(end.code, Some(6), "{end:#?}");
    end.said("node.1: execsnoop: shown 5; missing 2; came twice 1");
    end.said("incomplete: node.1: execsnoop: 2 lost between the agent and the hub");
}

#[test]
fn an_agent_that_starts_again_is_shown_again() {
    let server = NatsServer::start();
    let mut hub = listen(&server, &["--strict"]);
    let mut again = exec(1, b"second", b"");
    again.time = "2026-11-23T19:00:00.000000000Z".into();
    publish(
        &server,
        &[exec(1, b"first", b""), exec(2, b"first", b""), again],
    );
    hub.wait_for_lines(3);
    let end = hub.interrupt();
    // The one before did not say goodbye.
    assert_eq!(end.code, Some(6));
    end.said(
        "incomplete: node.1: execsnoop: its agent was started again 1 times without having ended",
    );
}

#[test]
fn session_and_probes_are_filters() {
    let server = NatsServer::start();
    let mut hub = listen(
        &server,
        &["--session", "a.b", "--probes", "tcp", "--strict"],
    );
    let mut envelopes: Vec<_> = golden().into_iter().map(|(envelope, _)| envelope).collect();
    publish(&server, &envelopes);
    for envelope in &mut envelopes {
        envelope.session = "a.b".into();
    }
    publish(&server, &envelopes);
    hub.wait_for_lines(5);
    let end = hub.interrupt();
    assert_eq!(end.stdout.len(), 5);
    assert!(
        end.stdout.iter().all(|line| line.starts_with("{Probe:tcp")),
        "{end:#?}"
    );
    assert_eq!(
        end.code,
        Some(0),
        "what was filtered out is no loss: {end:#?}"
    );
}

#[test]
fn a_status_is_told_with_the_tools_own_words() {
    let server = NatsServer::start();
    let mut hub = listen(&server, &[]);
    let mut nats = PlainNats::connect(server.port, None);
    let status = |state: &str, more: &str| {
        format!(
            r#"{{"v":1,"session":"s1","node":"node.1","time":"t","probe":"biosnoop","state":"{state}"{more}}}"#
        )
    };
    let subject = "xtracer.v1.s1.node%2E1.status";
    nats.publish(
        subject,
        status("attached", r#","took_ms":31249"#).as_bytes(),
    );
    let words = r#","message":"cannot attach","said":["Exception: \u001b[31mno"],"remedy":"boot another kernel""#;
    nats.publish(subject, status("given_up", words).as_bytes());
    hub.wait_for("boot another kernel");
    hub.signal(Signal::SIGTERM);
    let end = hub.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(
        end.stderr[1..5],
        [
            "x-tracer: node.1: biosnoop: attached after 31.2 s\n",
            "x-tracer: node.1: biosnoop: given up: cannot attach\n",
            "x-tracer: node.1: biosnoop: | Exception: \\x1b[31mno\n",
            "x-tracer: node.1: biosnoop: what to do: boot another kernel\n",
        ]
    );
}

#[test]
fn quiet_says_only_what_goes_wrong() {
    let (folder, server) = keeping();
    let url = server.url();
    // It makes the stream.
    let bookmark = folder.path().join("bookmark");
    let durable = ["--durable", "--bookmark", bookmark.to_str().unwrap()];
    let mut hub = listen(&server, &[&durable[..], &["--max-entries", "2"]].concat());
    publish(&server, &[exec(1, b"x", b""), exec(2, b"x", b"")]);
    hub.wait_for_lines(2);
    assert_eq!(hub.end().code, Some(0));
    let replay = ["replay", "--nats", &url];
    let told = run(&replay);
    told.said("2 records shown, none missing among their numbers");
    let end = run(&[&replay[..], &["--quiet"]].concat());
    assert_eq!((end.code, end.stdout.len()), (Some(0), 2), "{end:#?}");
    assert_eq!(end.stderr, [""; 0]);
    publish(&server, &[exec(5, b"x", b"")]);
    let end = run(&[&replay[..], &["-q"]].concat());
    assert_eq!((end.code, end.stdout.len()), (Some(0), 3), "{end:#?}");
    end.said("node.1: execsnoop: 2 records are missing before number 5");
    end.said("incomplete: node.1: execsnoop: 2 lost between the agent and the hub");
}

#[test]
fn ends_after_as_many_records_as_were_asked_for() {
    let server = NatsServer::start();
    let mut hub = listen(&server, &["--max-entries", "3", "--probes", "execsnoop"]);
    let mut envelopes: Vec<_> = golden().into_iter().map(|(envelope, _)| envelope).collect();
    envelopes.extend([2, 3, 4, 5].map(|seq| exec(seq, b"x", b"")));
    publish(&server, &envelopes);
    hub.wait_for_lines(3);
    let end = hub.end();
    assert_eq!((end.code, end.stdout.len()), (Some(0), 3), "{end:#?}");
}

/// Who goes on from a stream begins behind the last record that was asked for.
#[test]
fn what_was_not_asked_for_is_left_to_the_next() {
    let (folder, server) = keeping();
    let bookmark = folder.path().join("bookmark");
    let durable = ["--durable", "--bookmark", bookmark.to_str().unwrap()];
    let mut hub = listen(&server, &[&durable[..], &["--max-entries", "2"]].concat());
    let numbered = [1, 2, 3, 4, 5].map(|seq: u64| exec(seq, seq.to_string().as_bytes(), b""));
    publish(&server, &numbered);
    hub.wait_for_lines(2);
    assert_eq!(hub.end().stdout.len(), 2);
    let mut hub = listen(&server, &[&durable[..], &["--max-entries", "3"]].concat());
    hub.wait_for_lines(3);
    let end = hub.end();
    let of = |name: &str| end.stdout.iter().filter(|line| line.contains(name)).count();
    let names = ["PNAME: 3", "PNAME: 4", "PNAME: 5"];
    assert_eq!(names.map(of), [1, 1, 1], "{end:#?}");
}

#[test]
fn ends_when_the_time_is_over() {
    let server = NatsServer::start();
    let url = server.url();
    let end = run(&["listen", "--nats", &url, "--timeout", "300ms"]);
    assert_eq!(end.code, Some(0), "{end:#?}");
}

#[test]
fn a_server_that_comes_back_is_listened_to_again() {
    let server = NatsServer::start();
    let port = server.port;
    let mut hub = listen(&server, &[]);
    publish(&server, &[exec(1, b"before", b"")]);
    hub.wait_for_lines(1);
    drop(server);
    hub.wait_for("lost the connection to nats://127.0.0.1:");
    let server = NatsServer::on_port(port.into(), "");
    hub.wait_for("connected to nats://127.0.0.1:");
    publish(&server, &[exec(4, b"after", b"")]);
    hub.wait_for_lines(2);
    let end = hub.interrupt();
    assert!(end.stdout[1].contains("PNAME: after"));
    end.said("incomplete: node.1: execsnoop: 2 lost between the agent and the hub");
}
