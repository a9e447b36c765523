//! What may be typed after `x-agent`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use probeparser::Probe;
use probeparser::wire::{PerfPages, Store, size};

use crate::scope::Target;

/// Traces the processes of PID namespaces with the installed BCC tools and publishes a record for
/// each event to NATS.
#[derive(Debug, Parser)]
#[command(name = "x-agent", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; without a word, `run`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What the agent can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trace and publish until a signal comes (the default)
    Run(Box<RunArgs>),
    /// Run one tool in the foreground and print its events, unfiltered, a line each
    Probe(ProbeArgs),
    /// The process that makes known events; the agent starts it for itself
    #[command(hide = true)]
    Canary {
        /// The request that is answered by its start
        #[arg(default_value_t = 0)]
        answers: u64,
    },
}

/// Where tools are, and what they get.
#[derive(Args, Debug, Default)]
pub struct ToolArgs {
    /// Folder to look for the tools in, before those of the distribution; repeat it for several
    #[arg(
        long,
        env = "XTRACER_TOOLS_DIR",
        value_name = "DIR",
        value_delimiter = ':'
    )]
    pub tools_dir: Vec<PathBuf>,
    /// Pages of the ring that each CPU has for a tool's events, at least: a power of two, as in
    /// biosnoop=256; separate several by commas or repeat it (default: the tool's own)
    #[arg(
        long,
        env = "XTRACER_PERF_PAGES",
        value_name = "TOOL=PAGES",
        value_delimiter = ','
    )]
    pub perf_pages: Vec<PerfPages>,
}

/// Flags of `run`. The environment is the original agent's, so that its pod needs no flag.
#[derive(Args, Debug, Default)]
pub struct RunArgs {
    /// What to trace: pid:N, container:ID, cgroup:ID or pidns:INODE, optionally followed by
    /// `,namespace=NS,pod=POD,name=CONTAINER`; repeat it for several
    #[arg(long = "target", value_name = "TARGET")]
    pub targets: Vec<Target>,
    /// Container to trace, by ID; the original's way of naming the target
    #[arg(long, env = "containerId", value_name = "ID", hide_env_values = true)]
    pub container_id: Option<String>,
    /// Probes to run, separated by commas: names, `tcp` for the four TCP tools, `all` for seven
    #[arg(long, env = "tools", value_name = "LIST", default_value = "all")]
    pub probes: String,
    /// Where the tools are, and what they get
    #[command(flatten)]
    pub tools: ToolArgs,
    /// NATS server to publish to
    #[arg(long, env = "XTRACER_NATS", value_name = "URL")]
    pub nats: Option<String>,
    /// How to log in there
    #[command(flatten)]
    pub login: LoginArgs,
    /// Address of the hub, whose own NATS server listens on port 6666; the original's way of
    /// naming the hub
    #[arg(long, env = "masterIp", value_name = "ADDRESS")]
    pub master_ip: Option<String>,
    /// Session that the records belong to (default: a random one)
    #[arg(long, env = "XTRACER_SESSION", value_name = "NAME")]
    pub session: Option<String>,
    /// Name of this node (default: its host name)
    #[arg(long, env = "XTRACER_NODE", value_name = "NAME")]
    pub node: Option<String>,
    /// Records that may wait for the task that publishes them; beyond, new ones are dropped and
    /// counted
    #[arg(long, value_name = "N", default_value_t = 16_384)]
    pub queue: usize,
    /// Take orders to trace more containers from the hub whose public key (nkey) this is
    #[arg(long, env = "XTRACER_ORDERS_FROM", value_name = "KEY")]
    pub orders_from: Option<String>,
    /// End when nobody has listened for so many seconds (default: trace on)
    #[arg(long, env = "XTRACER_END_UNHEARD", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub end_unheard: Option<u64>,
    /// With --durable: end when no x-tracer has read for so many seconds (default: trace on)
    #[arg(long, env = "XTRACER_END_ALONE", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub end_alone: Option<u64>,
    /// Bytes on disk (also 64K, 256M, 2G) for records that NATS does not take and memory does not
    /// hold; beyond, the oldest are dropped and counted. 0 for no disk
    #[arg(
        long,
        env = "XTRACER_SPOOL",
        value_name = "SIZE",
        default_value = "256M",
        value_parser = size
    )]
    pub spool: u64,
    /// Folder for them (default: the system's for temporary files)
    #[arg(long, env = "XTRACER_SPOOL_DIR", value_name = "DIR")]
    pub spool_dir: Option<PathBuf>,
    /// Let a stream of the server (`JetStream`) keep the records, which is made if there is none; a record
    /// counts as published when the stream has confirmed it
    #[arg(long, env = "XTRACER_DURABLE")]
    pub durable: bool,
    /// Folder for a journal of what is not confirmed, so that an agent of the same session and node goes
    /// on where one that was killed stopped; empty for none (default: one for the server in
    /// /var/lib/x-agent with --durable and --session, else none)
    #[arg(long, env = "XTRACER_JOURNAL", value_name = "DIR")]
    pub journal: Option<OsString>,
    /// Seconds that a stream made by us keeps a record
    #[arg(long, value_name = "SECONDS", default_value_t = Store::default().max_age.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    pub durable_max_age: u64,
    /// Bytes (also 64K, 256M, 2G) that it keeps; beyond, the oldest records go
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size)]
    pub durable_max_bytes: u64,
    /// Tools that may compile at the same time (default: one a CPU)
    #[arg(long, value_name = "N")]
    pub attach_jobs: Option<usize>,
}

/// Where the secrets are. Each is a file: everybody can read a command line, and who may read a pod
/// its environment.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Login")]
pub struct LoginArgs {
    /// File that holds a token
    #[arg(long, env = "XTRACER_NATS_TOKEN_FILE", value_name = "FILE")]
    pub nats_token_file: Option<PathBuf>,
    /// File that holds a user's name
    #[arg(
        long,
        env = "XTRACER_NATS_USER_FILE",
        value_name = "FILE",
        requires = "nats_password_file"
    )]
    pub nats_user_file: Option<PathBuf>,
    /// File that holds that user's password
    #[arg(
        long,
        env = "XTRACER_NATS_PASSWORD_FILE",
        value_name = "FILE",
        requires = "nats_user_file"
    )]
    pub nats_password_file: Option<PathBuf>,
    /// Credentials file (.creds)
    #[arg(long, env = "XTRACER_NATS_CREDS_FILE", value_name = "FILE")]
    pub nats_creds_file: Option<PathBuf>,
    /// File that holds an nkey's seed
    #[arg(long, env = "XTRACER_NATS_NKEY_FILE", value_name = "FILE")]
    pub nats_nkey_file: Option<PathBuf>,
    /// Certificates (PEM) to trust besides the system's; the server must then speak TLS
    #[arg(long, env = "XTRACER_NATS_CA_FILE", value_name = "FILE")]
    pub nats_ca_file: Option<PathBuf>,
    /// Certificate (PEM) to show to the server
    #[arg(
        long,
        env = "XTRACER_NATS_CERT_FILE",
        value_name = "FILE",
        requires = "nats_key_file"
    )]
    pub nats_cert_file: Option<PathBuf>,
    /// Key of that certificate
    #[arg(
        long,
        env = "XTRACER_NATS_KEY_FILE",
        value_name = "FILE",
        requires = "nats_cert_file"
    )]
    pub nats_key_file: Option<PathBuf>,
    /// The server expects TLS before anything else (`handshake_first`)
    #[arg(long, env = "XTRACER_NATS_TLS_FIRST")]
    pub nats_tls_first: bool,
}

/// Flags of `probe`.
#[derive(Args, Debug)]
pub struct ProbeArgs {
    /// Tool to run
    pub probe: Probe,
    /// Where the tool is, and what it gets
    #[command(flatten)]
    pub tools: ToolArgs,
    /// Pinned BPF hash of PID-namespace inodes to filter by in the kernel
    #[arg(long, value_name = "PATH")]
    pub map: Option<PathBuf>,
    /// Options for the tool instead of the agent's own
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}
