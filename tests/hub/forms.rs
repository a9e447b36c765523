//! The forms of a record besides the classic line and the JSON line.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use nix::pty::openpty;
use probeparser::wire::Envelope;
use serde_json::Value;

use crate::envelopes::{exec, golden};
use crate::listen::{listen, publish};
use crate::nats_server::NatsServer;
use crate::process::{Hub, command};

/// A record of every probe, and two whose texts are attacks.
fn records() -> Vec<Envelope<'static>> {
    let mut envelopes: Vec<_> = golden().into_iter().map(|(envelope, _)| envelope).collect();
    envelopes.push(exec(2, b"no", b"\n---\nforged: true\n"));
    envelopes.push(exec(3, b"bad\xff\x9b", "\u{202e}\u{9b}2J\"\\".as_bytes()));
    envelopes
}

/// The same as JSON lines.
fn values() -> Vec<Value> {
    let lines = records().into_iter().map(|envelope| envelope.encode());
    lines
        .map(|line| serde_json::from_slice(&line).unwrap())
        .collect()
}

/// What the hub prints of them in a form.
fn shown(form: &str, lines: usize) -> String {
    let server = NatsServer::start();
    let mut hub = listen(&server, &["-o", form]);
    publish(&server, &records());
    hub.wait_for_lines(lines);
    let end = hub.interrupt();
    assert_eq!(end.code, Some(0), "{end:#?}");
    assert_eq!(end.stdout.len(), lines, "{end:#?}");
    end.stdout.concat()
}

#[test]
fn pretty_json_is_the_same_objects() {
    let objects = values();
    let lines: usize = objects.iter().map(lines_of).sum();
    // Two braces each.
    let text = shown("jsonpretty", lines + 2 * objects.len());
    let read: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(&text)
        .into_iter()
        .collect();
    assert_eq!(read.unwrap(), objects);
}

#[test]
fn yaml_is_a_document_for_each_record() {
    let objects = values();
    let lines: usize = objects.iter().map(lines_of).sum();
    // Of an object within, YAML has no closing line; each document has its mark.
    let inner = objects.iter().filter(|object| object.get("hex").is_some());
    let text = shown("yaml", lines - inner.count() + objects.len());
    let documents = text.split("---\n").skip(1);
    let read: Result<Vec<Value>, _> = documents.map(serde_saphyr::from_str).collect();
    assert_eq!(read.unwrap(), objects);
}

#[test]
fn columns_name_the_pod_and_say_what_happened() {
    let text = shown("columns", records().len() + 1);
    let lines: Vec<_> = text.lines().collect();
    #[rustfmt::skip]
    let expected = [
        "TIME     POD                      CONTAINER    PROBE      PID     COMM             EVENT",
        "04:03:39 default/testpod          app          tcptracer  20656   iperf3           connect 127.0.0.1:42334 -> 127.0.0.1:6001",
        "04:03:39 default/testpod          app          tcptracer  8592    iperf3           close [::]:0 -- [2001:db8::1234:5678:9abc:def0]:65535",
        "04:03:40 default/testpod          app          tcpconnect 20656   iperf3           connect 127.0.0.1 -> 127.0.0.1:6001",
        "04:03:40 default/testpod          app          tcpaccept  8592    iperf3           accept [::ffff:127.0.0.1]:6001 <- [::ffff:127.0.0.1]:42336",
        "15:27:24 default/testpod          app          tcplife    5564    iperf3           lived 2043.19 ms 127.0.0.1:45126 -- 127.0.0.1:6001 sent 3975294 kB received 0 kB",
        "15:27:22 default/testpod          app          execsnoop  5564    iperf3           exec /usr/bin/iperf3 -c localhost -p 6001 -t 2",
        "15:27:22 default/testpod          app          biosnoop   312     jbd2/sda1-8      write 4096 B sda sector 12345678 0.52 ms",
        "15:27:16 default/testpod          app          cachetop   5373    iperf3           cache hits 411 misses 0 dirties 0 read 100.0 % write 0.0 %",
        "03:47:29 default/testpod          app          cachestat  -       -                cache hits 372 misses 32 dirties 7 buffers 7 MB cached 551 MB",
        "15:27:22 default/testpod          app          execsnoop  5564    no               exec \\n---\\nforged: true\\n",
        "15:27:22 default/testpod          app          execsnoop  5564    bad\\xff\\x9b      exec \\u{202e}\\u{9b}2J\"\\",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn colours_come_when_they_are_asked_for_and_headers_go() {
    let server = NatsServer::start();
    let columns = ["-o", "columns", "--max-entries", "1"];
    for (more, painted) in [
        (&["--color", "always", "--no-headers"][..], true),
        // What is no terminal gets none by itself.
        (&["--no-headers"], false),
        (&["--color=never", "--no-headers"], false),
    ] {
        let hub = listen(&server, &[&columns[..], more].concat());
        publish(&server, &[exec(1, b"x", b"y")]);
        let end = hub.end();
        let [line] = &end.stdout[..] else {
            panic!("{end:#?}");
        };
        assert_eq!(
            line.contains("\x1b[32mexecsnoop \x1b[0m "),
            painted,
            "{line}"
        );
        assert_eq!(line.contains('\x1b'), painted, "{line}");
    }
}

#[test]
fn columns_have_a_dash_for_what_there_is_not() {
    let server = NatsServer::start();
    let hub = listen(&server, &["-ocolumns", "--no-headers", "--max-entries=1"]);
    let mut bare = exec(1, b"x", b"y");
    (bare.namespace, bare.pod) = ("".into(), "".into());
    publish(&server, &[bare]);
    assert_eq!(
        hub.end().stdout,
        [
            "15:27:22 -                        app          execsnoop  5564    x                exec y\n"
        ]
    );
}

/// Lines of an object's members, those of one within and its closing brace included.
fn lines_of(object: &Value) -> usize {
    let members = object.as_object().unwrap();
    let inner = members.values().filter_map(Value::as_object);
    members.len() + inner.map(|inner| inner.len() + 1).sum::<usize>()
}

#[test]
fn a_terminal_gets_no_control_character_in_any_form() {
    for form in ["classic", "columns", "json", "jsonpretty", "yaml"] {
        let server = NatsServer::start();
        let terminal = openpty(None, None).unwrap();
        let arguments = [
            "listen",
            "--nats",
            &server.url(),
            "-o",
            form,
            "--max-entries",
            "11",
        ];
        let mut hub = {
            let mut hub = command(&arguments);
            hub.env("NO_COLOR", "1").stdout(Stdio::from(terminal.slave));
            Hub::spawn(&mut hub)
        };
        let mut master = File::from(terminal.master);
        let reader = std::thread::spawn(move || {
            let mut seen = Vec::new();
            // That nobody has the other end open any more is an error of a terminal.
            master.read_to_end(&mut seen).ok();
            seen
        });
        hub.wait_for("listening on");
        publish(&server, &records());
        assert_eq!(hub.end().code, Some(0));
        let seen = reader.join().unwrap();
        let text = String::from_utf8(seen).unwrap().replace("\r\n", "\n");
        assert!(text.contains("forged"), "{form}: {text}");
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(steers), "{form}: {text:?}");
        assert!(!text.contains("\nforged"), "{form}: {text:?}");
    }
}
