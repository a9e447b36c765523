//! A NATS server of our own: loopback only, a random port, a token that only we and our agent know.

use std::fs::Permissions;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::child;
use super::find::{NotFound, find_server};
use super::secret::{random_name, write_secret};
use crate::receive::Address;

/// How long a server may take until it says where it listens.
const READY: Duration = Duration::from_secs(20);
/// Bytes of its log that are read for its last words.
const LAST_WORDS: usize = 2000;
/// Its log's name in its folder.
const LOG: &str = "log";

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// It is not installed.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// Its files could not be written, or it could not be started.
    #[error("cannot {step} for the NATS server: {error}")]
    Step {
        /// What failed.
        step: &'static str,
        /// Why.
        error: io::Error,
    },
    /// It ended at once.
    #[error("{path} ended at its start: {words}")]
    Ended {
        /// The program.
        path: PathBuf,
        /// Its last words.
        words: String,
    },
    /// It does not say where it listens.
    #[error("{path} did not say within {READY:?} where it listens: {words}")]
    Silent {
        /// The program.
        path: PathBuf,
        /// Its last words.
        words: String,
    },
    /// It says something else.
    #[error("{path} named no address that can be used: {text}")]
    Ports {
        /// The program.
        path: PathBuf,
        /// What it wrote.
        text: String,
    },
}

/// A running server. Dropped, it is killed and its folder removed.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub address: Address,
    /// The token that it asks for.
    pub token: String,
    /// A file that holds the token, for the agent.
    pub token_file: PathBuf,
    /// Removed when dropped.
    folder: TempDir,
}

#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

impl Server {
    /// Starts a server and waits until it listens. Start it on the main thread, see
    /// [`child::prepare`].
    ///
    /// # Errors
    /// When it is not installed, does not start or does not listen in time.
    pub(crate) async fn start() -> Result<Self, ServerError> {
        let path = find_server()?;
        let step = |step| move |error| ServerError::Step { step, error };
        let folder = tempfile::Builder::new()
            .prefix("x-tracer-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(step("make a folder"))?;
        let token = random_name(32).map_err(step("make a token"))?;
        let ports = folder.path().join("ports");
        let config = folder.path().join("server.conf");
        let log = folder.path().join(LOG);
        std::fs::create_dir(&ports).map_err(step("make a folder"))?;
        write_secret(&config, &configuration(&ports, &log, &token))
            .map_err(step("write the configuration"))?;
        let token_file = folder.path().join("token");
        write_secret(&token_file, &token).map_err(step("write the token"))?;
        let watch = watch(&ports).map_err(step("watch a folder"))?;
        let mut command = Command::new(&path);
        command
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        child::prepare(&mut command);
        let mut child = command.spawn().map_err(step("start the program"))?;
        let ports_file = tokio::task::spawn_blocking(move || next_file(&ports, &watch, READY));
        let text = tokio::select! {
            text = ports_file => {
                let text = text.map_err(io::Error::other).and_then(|text| text);
                match text.map_err(step("read the ports file"))? {
                    Some(text) => text,
                    None => return Err(ServerError::Silent { path, words: last_words(&log) }),
                }
            }
            ended = child.wait() => {
                ended.map_err(step("wait"))?;
                return Err(ServerError::Ended { path, words: last_words(&log) });
            }
        };
        let address = serde_json::from_str::<Ports>(&text)
            .ok()
            .and_then(|ports| ports.nats.first()?.parse().ok());
        match address {
            Some(address) => Ok(Self {
                child,
                address,
                token,
                token_file,
                folder,
            }),
            None => Err(ServerError::Ports { path, text }),
        }
    }

    /// Ends it. Nothing in it is worth an orderly end.
    pub(crate) async fn stop(mut self) {
        // It fails when the server has ended by itself, which is as good.
        drop(self.child.kill().await);
    }

    /// Waits until it has ended, and gives its last words.
    pub(crate) async fn gone(&mut self) -> String {
        // A failed wait means that there is no such child any more.
        drop(self.child.wait().await);
        last_words(&self.folder.path().join(LOG))
    }
}

fn configuration(ports: &Path, log: &Path, token: &str) -> String {
    // JSON strings are strings of the server's configuration language too.
    let text = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
    format!(
        "host: \"127.0.0.1\"\nport: -1\nports_file_dir: {}\nlog_file: {}\nauthorization {{ token: \"{token}\" }}\n",
        text(ports),
        text(log),
    )
}

fn last_words(log: &Path) -> String {
    let log = std::fs::read(log).unwrap_or_default();
    let tail = &log[log.len().saturating_sub(LAST_WORDS)..];
    let words = String::from_utf8_lossy(tail).trim().replace('\n', "; ");
    if words.is_empty() {
        "it left no words".into()
    } else {
        words
    }
}

/// Waits for a file in a watched folder that was written and closed, and reads it: the server
/// writes its ports file after it has begun to listen, and in more than one step.
fn next_file(folder: &Path, watch: &Inotify, limit: Duration) -> io::Result<Option<String>> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(
            &mut [PollFd::new(watch.as_fd(), PollFlags::POLLIN)],
            timeout,
        ) {
            Ok(0) => return Ok(None),
            Ok(_) => {
                if let Some(name) = watch
                    .read_events()?
                    .into_iter()
                    .find_map(|event| event.name)
                {
                    return std::fs::read_to_string(folder.join(name)).map(Some);
                }
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn watch(folder: &Path) -> io::Result<Inotify> {
    let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    watch.add_watch(
        folder,
        AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO,
    )?;
    Ok(watch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn listens_on_loopback_and_is_gone_with_its_files() {
        let server = Server::start().await.unwrap();
        let folder = server.folder.path().to_owned();
        let pid = server.child.id().unwrap();
        assert!(
            server.address.to_string().starts_with("nats://127.0.0.1:"),
            "{}",
            server.address
        );
        let argv = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!argv.contains(&server.token));
        drop(server);
        assert!(!folder.exists());
    }
}
