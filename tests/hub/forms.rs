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

/// Lines of an object's members, those of one within and its closing brace included.
fn lines_of(object: &Value) -> usize {
    let members = object.as_object().unwrap();
    let inner = members.values().filter_map(Value::as_object);
    members.len() + inner.map(|inner| inner.len() + 1).sum::<usize>()
}

#[test]
fn a_terminal_gets_no_control_character_in_any_form() {
    for form in ["classic", "json", "jsonpretty", "yaml"] {
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
        let mut hub = Hub::spawn(command(&arguments).stdout(Stdio::from(terminal.slave)));
        hub.wait_for("listening on");
        publish(&server, &records());
        assert_eq!(hub.end().code, Some(0));
        let mut seen = Vec::new();
        // A terminal whose other end is closed is an error at its end.
        File::from(terminal.master).read_to_end(&mut seen).ok();
        let text = String::from_utf8(seen).unwrap().replace("\r\n", "\n");
        assert!(text.contains("forged"), "{form}: {text}");
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(steers), "{form}: {text:?}");
        assert!(!text.contains("\nforged"), "{form}: {text:?}");
    }
}
