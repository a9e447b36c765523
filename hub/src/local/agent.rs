//! The agent as a child of the hub.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use probeparser::Probe;
use probeparser::wire::{PerfPages, Store};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

use crate::child;
use crate::console::say_as;
use crate::receive::Address;

/// Longest line of the agent's log that is passed on in one piece, in bytes.
const MAX_LINE: usize = 16 << 10;
/// How long the agent's log may stay open after its end: a child of its own may hold it.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// What the original agent and ours take from the environment; here everything is said in full.
const ENVIRONMENT: [&str; 21] = [
    "containerId",
    "tools",
    "masterIp",
    "XTRACER_DURABLE",
    "XTRACER_END_ALONE",
    "XTRACER_END_UNHEARD",
    "XTRACER_JOURNAL",
    "XTRACER_NATS",
    "XTRACER_NATS_CA_FILE",
    "XTRACER_NATS_CERT_FILE",
    "XTRACER_NATS_CREDS_FILE",
    "XTRACER_NATS_KEY_FILE",
    "XTRACER_NATS_NKEY_FILE",
    "XTRACER_NATS_PASSWORD_FILE",
    "XTRACER_NATS_TLS_FIRST",
    "XTRACER_NATS_TOKEN_FILE",
    "XTRACER_NATS_USER_FILE",
    "XTRACER_NODE",
    "XTRACER_PERF_PAGES",
    "XTRACER_SESSION",
    "XTRACER_TOOLS_DIR",
];

/// What to trace, as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The PID namespace of a process.
    Pid(u32),
    /// A container's, by its ID.
    Container(String),
    /// A container by its cgroup, whichever PID namespace it uses.
    Cgroup(String),
    /// A PID namespace, by its inode.
    PidNs(u64),
}

/// A container ID that can't be one.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "a container ID has letters, digits and `.:/_-` only, as in 19fb910a711f or containerd://19fb910a711f"
)]
pub(crate) struct TargetError;

impl Target {
    /// A container, by its ID with or without the runtime's prefix.
    ///
    /// # Errors
    /// When the text can't be an ID.
    pub(crate) fn container(id: &str) -> Result<Self, TargetError> {
        let fit = |c: char| c.is_ascii_alphanumeric() || ".:/_-".contains(c);
        if id.is_empty() || !id.chars().all(fit) {
            return Err(TargetError);
        }
        Ok(Self::Container(id.to_owned()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid(pid) => write!(f, "pid:{pid}"),
            Self::Container(id) => write!(f, "container:{id}"),
            Self::Cgroup(id) => write!(f, "cgroup:{id}"),
            Self::PidNs(inode) => write!(f, "pidns:{inode}"),
        }
    }
}

/// What the agent is to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What to trace.
    pub targets: Vec<Target>,
    /// With which tools.
    pub probes: Vec<Probe>,
    /// Where to look for them first.
    pub tools_dirs: Vec<PathBuf>,
    /// What their rings hold at least.
    pub perf_pages: Vec<PerfPages>,
    /// Where to publish.
    pub nats: Address,
    /// The files that hold its login there, by the agent's flags for them.
    pub login: Vec<(&'static str, PathBuf)>,
    /// What a stream is to keep of it.
    pub durable: Option<Store>,
    /// Where its journal is, if an agent of a later hub is to go on with it.
    pub journal: Option<PathBuf>,
    /// The session's name.
    pub session: String,
    /// This machine's name.
    pub node: String,
}

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// It could not be started.
    #[error("cannot start {path}: {error}")]
    Start {
        /// The program.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A running agent. Dropped, it is killed.
pub(crate) struct Agent {
    child: Child,
    log: Option<JoinHandle<()>>,
}

impl Agent {
    /// Starts the agent. Start it on the main thread, see [`child::prepare`].
    ///
    /// # Errors
    /// When it can't be started.
    pub(crate) fn start(path: PathBuf, plan: &Plan) -> Result<Self, AgentError> {
        let mut command = Command::new(&path);
        command
            .arg("run")
            .args(plan.arguments())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        for name in ENVIRONMENT {
            command.env_remove(name);
        }
        if std::env::var_os("XTRACER_LOG").is_none() {
            // The statuses, the tools' last words among them, come by NATS; said twice they would
            // read as two events.
            command.env("XTRACER_LOG", "warn,status=off,async_nats=off");
        }
        child::prepare(&mut command);
        match command.spawn() {
            Ok(mut child) => {
                let log = child
                    .stderr
                    .take()
                    .map(|stderr| tokio::spawn(pass_on(stderr)));
                Ok(Self { child, log })
            }
            Err(error) => Err(AgentError::Start { path, error }),
        }
    }

    /// Waits until it has ended.
    pub(crate) async fn exited(&mut self) -> ExitStatus {
        // It fails only without a child to wait for; then nobody knows how it ended.
        self.child.wait().await.unwrap_or_default()
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid {
            // It may have ended by itself: `exited` will say so.
            kill(Pid::from_raw(pid), Signal::SIGTERM).ok();
        }
    }

    /// Waits until its log has been passed on.
    pub(crate) async fn last_words(&mut self) {
        if let Some(log) = self.log.take() {
            drop(tokio::time::timeout(LAST_WORDS, log).await);
        }
    }
}

impl Plan {
    fn arguments(&self) -> Vec<std::ffi::OsString> {
        let mut arguments = Vec::new();
        let mut add = |flag: &str, value: std::ffi::OsString| {
            arguments.push(flag.into());
            arguments.push(value);
        };
        add("--session", self.session.clone().into());
        add("--node", self.node.clone().into());
        for target in &self.targets {
            add("--target", target.to_string().into());
        }
        let probes: Vec<_> = self.probes.iter().map(|probe| probe.name()).collect();
        add("--probes", probes.join(",").into());
        for folder in &self.tools_dirs {
            add("--tools-dir", folder.into());
        }
        for size in &self.perf_pages {
            add("--perf-pages", size.to_string().into());
        }
        add("--nats", self.nats.to_string().into());
        for (flag, file) in &self.login {
            add(flag, file.into());
        }
        if let Some(store) = &self.durable {
            add(
                "--durable-max-age",
                store.max_age.as_secs().max(1).to_string().into(),
            );
            add("--durable-max-bytes", store.max_bytes.to_string().into());
            add(
                "--journal",
                self.journal.clone().unwrap_or_default().into_os_string(),
            );
            arguments.push("--durable".into());
        }
        arguments
    }
}

/// Passes the agent's log on, line by line, in its name.
async fn pass_on(stderr: ChildStderr) {
    let mut stderr = BufReader::with_capacity(MAX_LINE, stderr);
    let mut line = Vec::new();
    loop {
        let chunk = match stderr.fill_buf().await {
            Ok([]) | Err(_) => break,
            Ok(chunk) => chunk,
        };
        let end = chunk.iter().position(|&byte| byte == b'\n');
        let room = MAX_LINE - line.len();
        let take = end.unwrap_or(chunk.len()).min(room);
        line.extend_from_slice(&chunk[..take]);
        let whole = end == Some(take);
        stderr.consume(take + usize::from(whole));
        if whole || line.len() == MAX_LINE {
            say_as("x-agent", &line);
            line.clear();
        }
    }
    if !line.is_empty() {
        say_as("x-agent", &line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_id_brings_no_words_of_the_agents_grammar() {
        for id in ["", "a,pod=b", "a b", "a\n", "é"] {
            assert!(Target::container(id).is_err(), "{id}");
        }
        let id = "containerd://19fb910a711f";
        assert_eq!(
            Target::container(id).unwrap().to_string(),
            format!("container:{id}")
        );
    }

    #[test]
    fn the_command_line_says_everything_but_the_secret() {
        let plan = Plan {
            targets: vec![Target::Pid(7), Target::PidNs(4_026_531_836)],
            probes: vec![Probe::Execsnoop, Probe::Tcplife],
            tools_dirs: vec!["/a b".into()],
            perf_pages: vec!["tcplife=64".parse().unwrap()],
            nats: "127.0.0.1:1".parse().unwrap(),
            login: vec![("--nats-token-file", "/t/token".into())],
            durable: Some(Store::default()),
            journal: Some("/j".into()),
            session: "s".into(),
            node: "n".into(),
        };
        let arguments: Vec<_> = plan
            .arguments()
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect();
        assert_eq!(
            arguments.join(" "),
            "--session s --node n --target pid:7 --target pidns:4026531836 --probes execsnoop,tcplife --tools-dir /a b --perf-pages tcplife=64 --nats nats://127.0.0.1:1 --nats-token-file /t/token --durable-max-age 86400 --durable-max-bytes 1073741824 --journal /j --durable"
        );
    }
}
