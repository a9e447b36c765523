//! `x-tracer cleanup`.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use x_k8s::manifest::Session;

use super::cluster::ClusterArgs;
use crate::cleanup::Config;
use crate::complete;

/// Flags of `cleanup`.
#[derive(Args, Debug)]
pub struct CleanupArgs {
    /// Look in this namespace only [default: all]
    #[arg(
        short = 'n',
        long,
        visible_alias = "namespace",
        env = "XTRACER_AGENT_NAMESPACE",
        value_name = "NAME",
        add = ArgValueCompleter::new(complete::namespaces)
    )]
    agent_namespace: Option<String>,
    /// Remove this session, even if its agent still runs
    #[arg(long, value_name = "NAME")]
    session: Option<Session>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

impl CleanupArgs {
    /// What it means.
    pub(crate) fn config(self) -> Config {
        Config {
            cluster: self.cluster.options(),
            namespace: self.agent_namespace,
            session: self.session,
            dry_run: self.dry_run,
        }
    }
}
