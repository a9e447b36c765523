//! A NATS client of fifty lines, which knows the protocol and nothing of x-tracer: what any
//! program in any language could be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub(crate) struct PlainNats {
    reader: BufReader<TcpStream>,
}

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its subject.
    pub(crate) subject: String,
    /// Its payload.
    pub(crate) payload: Vec<u8>,
}

impl PlainNats {
    /// Connects to a server on this machine, with a token if it wants one.
    pub(crate) fn connect(port: u16, token: Option<&str>) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time limit");
        let mut nats = Self {
            reader: BufReader::new(stream),
        };
        let info = nats.line();
        assert!(info.starts_with("INFO "), "{info}");
        let login = token
            .map(|token| format!(r#","auth_token":"{token}""#))
            .unwrap_or_default();
        nats.write(format!(r#"CONNECT {{"verbose":false,"pedantic":false{login}}}"#).as_bytes());
        nats.write(b"\r\n");
        nats.settle();
        nats
    }

    /// Subscribes; what is published after this returns arrives.
    pub(crate) fn subscribe(&mut self, subject: &str) {
        self.write(format!("SUB {subject} 1\r\n").as_bytes());
        self.settle();
    }

    /// Publishes; the server has the message when this returns.
    pub(crate) fn publish(&mut self, subject: &str, payload: &[u8]) {
        self.publish_all([(subject, payload.to_vec())]);
    }

    /// Publishes many messages at once; the server has them when this returns.
    pub(crate) fn publish_all<'a>(
        &mut self,
        messages: impl IntoIterator<Item = (&'a str, Vec<u8>)>,
    ) {
        let mut lines = Vec::new();
        for (subject, payload) in messages {
            write!(lines, "PUB {subject} {}\r\n", payload.len()).expect("a vector takes it");
            lines.extend_from_slice(&payload);
            lines.extend_from_slice(b"\r\n");
        }
        self.write(&lines);
        self.settle();
    }

    /// Waits for the next message.
    pub(crate) fn next(&mut self) -> Message {
        loop {
            let line = self.line();
            if line == "PING" {
                self.write(b"PONG\r\n");
            }
            if let Some(words) = line.strip_prefix("MSG ") {
                let words: Vec<_> = words.split(' ').collect();
                let length: usize = words.last().unwrap().parse().expect("a length");
                let mut payload = vec![0; length + 2];
                self.reader.read_exact(&mut payload).expect("a payload");
                payload.truncate(length);
                return Message {
                    subject: words[0].to_owned(),
                    payload,
                };
            }
        }
    }

    /// Waits until the server has handled everything before.
    fn settle(&mut self) {
        self.write(b"PING\r\n");
        loop {
            match self.line().as_str() {
                "PONG" => return,
                "PING" => self.write(b"PONG\r\n"),
                line => assert!(line.starts_with("INFO "), "the server says: {line}"),
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader
            .read_line(&mut line)
            .expect("a line from the server");
        line.trim_end().to_owned()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.reader
            .get_mut()
            .write_all(bytes)
            .expect("the server takes it");
    }
}
