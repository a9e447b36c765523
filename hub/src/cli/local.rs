//! `x-tracer local`.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::durable::OwnDurableArgs;
use super::shared::{ProbeList, RingArgs, ShowArgs, probes};
use crate::exit::Failure;
use crate::local::{Config, Target, TargetError};
use crate::receive::Address;

/// Flags of `local`.
#[derive(Args, Debug)]
pub struct LocalArgs {
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Probes to run, separated by commas: names, `tcp` for the four TCP tools, `all` for seven
    #[arg(long, value_name = "LIST", default_value = "all", value_parser = probes)]
    probes: ProbeList,
    /// Folder to look for the BCC tools in, before those of the distribution; repeat it for several
    #[arg(
        long,
        env = "XTRACER_TOOLS_DIR",
        value_name = "DIR",
        value_delimiter = ':'
    )]
    tools_dir: Vec<PathBuf>,
    #[command(flatten)]
    rings: RingArgs,
    /// NATS server to use instead of one of our own
    #[arg(long, value_name = "URL")]
    nats: Option<Address>,
    /// File that holds the token for it
    #[arg(long, value_name = "FILE", requires = "nats")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    durable: OwnDurableArgs,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

/// What to trace.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct TargetArgs {
    /// Trace the PID namespace of this process; repeat it, and the other two, for several targets
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pid: Vec<u32>,
    /// Trace this container's, by its ID (any runtime's)
    #[arg(long, value_name = "ID", value_parser = container)]
    container: Vec<String>,
    /// Trace this PID namespace, by its inode (`readlink /proc/PID/ns/pid` shows it)
    #[arg(long, value_name = "INODE", value_parser = value_parser!(u64).range(1..))]
    pidns: Vec<u64>,
}

/// What may be a target at all.
#[derive(Args, Debug)]
struct ScopeArgs {
    /// Trace containers that use the host's PID namespace too: by their cgroups
    #[arg(long, requires = "container")]
    host_pid_ok: bool,
}

fn container(id: &str) -> Result<String, TargetError> {
    Target::container(id).map(|_| id.to_owned())
}

impl LocalArgs {
    /// What it means.
    pub(crate) fn config(self) -> Result<Config, Failure> {
        let probes = self.probes.of_target()?;
        let mut targets: Vec<_> = self.targets.pid.into_iter().map(Target::Pid).collect();
        let containers = self.targets.container.into_iter();
        targets.extend(containers.map(if self.scope.host_pid_ok {
            Target::Cgroup
        } else {
            Target::Container
        }));
        targets.extend(self.targets.pidns.into_iter().map(Target::PidNs));
        Ok(Config {
            targets,
            tools_dirs: self.tools_dir,
            perf_pages: self.rings.perf_pages,
            nats: self.nats,
            token_file: self.token_file,
            durable: self.durable.config(),
            settings: self.show.settings(probes),
        })
    }
}
