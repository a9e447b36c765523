//! A real nats-server for a test, on a port of its own choosing.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A running server; killed when dropped.
pub(crate) struct NatsServer {
    /// Its process.
    pub(crate) child: Child,
    /// Where it listens on 127.0.0.1.
    pub(crate) port: u16,
    _config: tempfile::NamedTempFile,
}

impl NatsServer {
    /// Starts a server with its defaults, which ask for no login.
    pub(crate) fn start() -> Self {
        Self::with_config("")
    }

    /// Starts a server with these lines of configuration besides.
    pub(crate) fn with_config(lines: &str) -> Self {
        Self::on_port(-1, lines)
    }

    /// Starts a server on a given port, or on any for -1.
    pub(crate) fn on_port(port: i32, lines: &str) -> Self {
        let config = tempfile::NamedTempFile::new().expect("a temporary file");
        let text = format!("host: \"127.0.0.1\"\nport: {port}\n{lines}\n");
        std::fs::write(config.path(), text).expect("a configuration");
        let mut child = Command::new(program())
            .arg("-c")
            .arg(config.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nats-server starts; `apt-get install nats-server` gives it");
        let mut log = BufReader::new(child.stderr.take().expect("its log is piped"));
        let mut said = String::new();
        let port = loop {
            let start = said.len();
            let read = log.read_line(&mut said).expect("its log");
            assert_ne!(read, 0, "nats-server ended at its start: {said}");
            let Some((_, address)) =
                said[start..].split_once("Listening for client connections on ")
            else {
                continue;
            };
            let (_, port) = address
                .trim()
                .rsplit_once(':')
                .expect("an address with a port");
            break port.parse().expect("a port");
        };
        // A full pipe would stop the server.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self {
            child,
            port,
            _config: config,
        }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn program() -> std::ffi::OsString {
    // Debian's folder for servers is not on everybody's PATH.
    std::env::var_os("XTRACER_NATS_SERVER").unwrap_or_else(|| {
        let debian = "/usr/sbin/nats-server";
        if std::path::Path::new(debian).exists() {
            debian.into()
        } else {
            "nats-server".into()
        }
    })
}
