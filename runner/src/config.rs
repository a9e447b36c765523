//! What was typed and what it means: a checked configuration, made before any thread, any socket
//! and any Python exists.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use probeparser::wire::{PerfPages, Store, encode_token};
use probeparser::{Probe, UnknownProbe};

use crate::cli::RunArgs;
use crate::options;
use crate::scope::{Target, TargetSyntaxError};
use crate::send::{Login, LoginError, SpoolConfig};

/// Port of the hub's own NATS server: the original's, so that an opened firewall stays right.
pub(crate) const HUB_PORT: u16 = 6666;

/// The folder of all journals, unless the user names one.
const JOURNALS: &str = "/var/lib/x-agent";

/// The order in which tools are started: those that show a newcomer something soonest come first.
const ATTACH_ORDER: [Probe; 7] = [
    Probe::Execsnoop,
    Probe::Tcpconnect,
    Probe::Tcpaccept,
    Probe::Tcptracer,
    Probe::Tcplife,
    Probe::Biosnoop,
    Probe::Cachetop,
];

/// All that the agent needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// What to trace.
    pub(crate) targets: Vec<Target>,
    /// Which tools to run, in the order in which they are started.
    pub(crate) probes: Vec<Probe>,
    /// Where to look for them first.
    pub(crate) tools_dirs: Vec<PathBuf>,
    /// What their rings hold at least, where that is not their own choice.
    pub(crate) perf_pages: Vec<PerfPages>,
    /// Where to publish.
    pub(crate) nats_url: String,
    /// How to log in there.
    pub(crate) login: Login,
    /// The session's name.
    pub(crate) session: String,
    /// The node's name.
    pub(crate) node: String,
    /// Records that may wait for NATS.
    pub(crate) queue: usize,
    /// The public key of the hub that may give orders.
    pub(crate) orders_from: Option<nkeys::KeyPair>,
    /// How long nobody may listen before it ends.
    pub(crate) end_unheard: Option<Duration>,
    /// How long no hub may read a stream before it ends.
    pub(crate) end_alone: Option<Duration>,
    /// Where records wait that memory does not hold.
    pub(crate) spool: SpoolConfig,
    /// Where the journal is, if one is kept.
    pub(crate) journal: Option<PathBuf>,
    /// What the stream keeps, if one is to.
    pub(crate) durable: Option<Store>,
    /// Tools that may compile at the same time.
    pub(crate) attach_jobs: usize,
}

/// Why a configuration is not usable. Each says what to type instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// Nothing to trace.
    #[error(
        "nothing to trace: give --target pid:N, container:ID, cgroup:ID or pidns:INODE, or the environment variable containerId"
    )]
    NoTarget,
    /// A target that can't be read.
    #[error("containerId: {0}")]
    ContainerId(TargetSyntaxError),
    /// No NATS server.
    #[error("nowhere to publish: give --nats URL, or the environment variable masterIp")]
    NoNats,
    /// A probe that does not exist.
    #[error(transparent)]
    UnknownProbe(#[from] UnknownProbe),
    /// No probe at all.
    #[error("no probe to run: --probes (or the environment variable tools) is empty")]
    NoProbes,
    /// A probe that can't be limited to a target.
    #[error(
        "cachestat reports the whole node and names no process, so it can't be limited to a pod: use cachetop"
    )]
    Cachestat,
    /// A file of the login.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The node has no name.
    #[error("this node's host name is not known ({0}): give --node NAME")]
    Node(std::io::Error),
    /// A key that is none.
    #[error("--orders-from {0:?}: the hub's key is a public nkey of a user, as in UABC…")]
    OrdersFrom(String),
    /// A queue of nothing.
    #[error("--queue must be at least 1")]
    Queue,
}

impl Config {
    /// Checks what was typed.
    ///
    /// # Errors
    /// When something is missing, unknown or unreadable.
    pub(crate) fn new(args: RunArgs) -> Result<Self, ConfigError> {
        let mut targets = args.targets;
        if let Some(id) = args.container_id.filter(|id| !id.is_empty()) {
            let target: Target = format!("container:{id}")
                .parse()
                .map_err(ConfigError::ContainerId)?;
            // The hub gives the original's variable and, with the names, a target for the same.
            let same = |named: &Target| named.key.container() == target.key.container();
            if !targets.iter().any(same) {
                targets.push(target);
            }
        }
        if targets.is_empty() {
            return Err(ConfigError::NoTarget);
        }
        let nats_url = args
            .nats
            .or_else(|| {
                let address = args.master_ip.filter(|address| !address.is_empty())?;
                Some(hub_url(&address))
            })
            .ok_or(ConfigError::NoNats)?;
        let login = Login::new(args.login)?;
        let node = match args.node {
            Some(node) => node,
            None => host_name().map_err(ConfigError::Node)?,
        };
        let orders_from = match args.orders_from {
            Some(key) => Some(
                nkeys::KeyPair::from_public_key(&key).map_err(|_| ConfigError::OrdersFrom(key))?,
            ),
            None => None,
        };
        if args.queue == 0 {
            return Err(ConfigError::Queue);
        }
        // Nobody comes after an agent whose session has a name of chance.
        let lasting = args.durable && args.session.is_some();
        let journal = args.journal.map(PathBuf::from);
        let journal = journal.or_else(|| lasting.then(|| journals(&nats_url)));
        let journal = journal.filter(|folder| args.spool > 0 && !folder.as_os_str().is_empty());
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            targets,
            probes: probes(&args.probes)?,
            tools_dirs: args.tools.tools_dir,
            perf_pages: args.tools.perf_pages,
            nats_url,
            login,
            session: args.session.unwrap_or_else(random_session),
            node,
            queue: args.queue,
            orders_from,
            end_unheard: args.end_unheard.map(Duration::from_secs),
            end_alone: args.end_alone.map(Duration::from_secs),
            spool: SpoolConfig {
                folder: args.spool_dir.unwrap_or_else(std::env::temp_dir),
                limit: args.spool,
            },
            journal,
            durable: args.durable.then(|| Store {
                max_age: Duration::from_secs(args.durable_max_age),
                max_bytes: args.durable_max_bytes,
            }),
            attach_jobs: args.attach_jobs.unwrap_or(cpus).max(1),
        })
    }
}

impl Config {
    /// Pages of this tool's rings.
    pub(crate) fn pages(&self, probe: Probe) -> Option<u32> {
        options::pages(&self.perf_pages, probe)
    }
}

/// Reads a list of probes. Its order says nothing: the result is in the order of attachment.
fn probes(list: &str) -> Result<Vec<Probe>, ConfigError> {
    let mut wanted = Vec::new();
    for name in list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        match name {
            "all" => wanted.extend(Probe::SEVEN),
            "tcp" => wanted.extend(&Probe::SEVEN[..4]),
            name => wanted.push(name.parse()?),
        }
    }
    if wanted.contains(&Probe::Cachestat) {
        return Err(ConfigError::Cachestat);
    }
    if wanted.is_empty() {
        return Err(ConfigError::NoProbes);
    }
    Ok(ATTACH_ORDER
        .into_iter()
        .filter(|probe| wanted.contains(probe))
        .collect())
}

/// The hub's server at an address, which may be a bare IPv6 one.
fn hub_url(address: &str) -> String {
    match address.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("nats://[{address}]:{HUB_PORT}"),
        Err(_) => format!("nats://{address}:{HUB_PORT}"),
    }
}

/// Where the journals of a server's agents are, unless the user names a folder.
fn journals(nats_url: &str) -> PathBuf {
    [JOURNALS, &encode_token(nats_url)].iter().collect()
}

fn host_name() -> std::io::Result<String> {
    let name = nix::unistd::gethostname()?;
    Ok(name.to_string_lossy().into_owned())
}

/// A name that no other session is likely to have: 64 bits of the standard library's hash seed.
fn random_session() -> String {
    format!(
        "agent-{:016x}",
        RandomState::new().hash_one(std::process::id())
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn args() -> RunArgs {
        RunArgs {
            container_id: Some(
                "19fb910a711f5eabf2cad6569a01db3702752e2f8155059654130711b8bf2c8f".into(),
            ),
            probes: "all".into(),
            master_ip: Some("10.0.0.1".into()),
            node: Some("n".into()),
            queue: 1,
            ..RunArgs::default()
        }
    }

    #[test]
    fn the_originals_environment_is_enough() {
        let config = Config::new(args()).unwrap();
        assert_eq!(config.nats_url, "nats://10.0.0.1:6666");
        assert_eq!(config.probes, ATTACH_ORDER);
        assert_eq!(config.targets.len(), 1);
    }

    #[test]
    fn a_container_that_is_named_twice_is_one_target() {
        let id = args().container_id.unwrap_or_default();
        for key in ["container", "cgroup"] {
            let mut named = args();
            named.targets = vec![format!("{key}:{id},pod=web").parse().unwrap()];
            let config = Config::new(named).unwrap();
            assert_eq!(config.targets.len(), 1);
            assert_eq!(config.targets[0].pod.as_deref(), Some("web"));
        }
    }

    #[test]
    fn a_journal_is_for_who_comes_again_and_for_who_wants_one() {
        let journal = |durable, session: Option<&str>, folder: Option<&str>| {
            let args = RunArgs {
                durable,
                session: session.map(Into::into),
                journal: folder.map(Into::into),
                spool: 1 << 20,
                ..args()
            };
            Config::new(args).unwrap().journal
        };
        let own = Path::new("/var/lib/x-agent/nats%3A%2F%2F10%2E0%2E0%2E1%3A6666");
        assert_eq!(journal(true, Some("s"), None).as_deref(), Some(own));
        assert_eq!(journal(true, Some("s"), Some("/j")), Some("/j".into()));
        assert_eq!(journal(true, Some("s"), Some("")), None);
        assert_eq!(journal(true, None, None), None);
        assert_eq!(journal(false, Some("s"), None), None);
        assert_eq!(journal(false, Some("s"), Some("/j")), Some("/j".into()));
    }

    #[test]
    fn the_order_of_tools_says_nothing() {
        let one = probes("cachetop,tcplife, execsnoop").unwrap();
        assert_eq!(one, probes("execsnoop,cachetop,tcplife,tcplife").unwrap());
        assert_eq!(probes("tcp").unwrap().len(), 4);
    }

    #[test]
    fn the_last_size_of_a_tools_rings_counts() {
        let mut sized = args();
        sized.tools.perf_pages = ["tcplife=8", "biosnoop=64", "tcplife=16"]
            .map(|size| size.parse().unwrap())
            .to_vec();
        let config = Config::new(sized).unwrap();
        assert_eq!(config.pages(Probe::Tcplife), Some(16));
        assert_eq!(config.pages(Probe::Execsnoop), None);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let message = |change: &dyn Fn(&mut RunArgs)| {
            let mut args = args();
            change(&mut args);
            Config::new(args).unwrap_err().to_string()
        };
        assert!(message(&|args| args.container_id = None).starts_with("nothing to trace"));
        assert!(message(&|args| args.master_ip = None).starts_with("nowhere to publish"));
        assert!(
            message(&|args| args.probes = "tcptop".into()).starts_with("unknown probe `tcptop`")
        );
        assert!(message(&|args| args.probes = " ,".into()).starts_with("no probe to run"));
        assert!(message(&|args| args.probes = "cachestat".into()).contains("use cachetop"));
        assert!(
            message(&|args| args.login.nats_token_file = Some("/nonexistent/token".into()))
                .starts_with("cannot read the NATS token in /nonexistent/token")
        );
    }

    #[test]
    fn a_bare_ipv6_address_gets_its_brackets() {
        assert_eq!(hub_url("fd00::1"), "nats://[fd00::1]:6666");
        assert_eq!(hub_url("hub.local"), "nats://hub.local:6666");
    }
}
