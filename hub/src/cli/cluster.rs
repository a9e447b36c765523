//! Which cluster, and as whom: kubectl's options.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use x_k8s::client::Options;

use super::shared::limit;
use crate::complete;

/// kubectl's options of the same names; its `--user` is `--kube-user`, since `--user` is NATS's here.
#[derive(Args, Debug)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArgs {
    /// Kubeconfig to use instead of those of $KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig to use instead of the current one
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::contexts))]
    context: Option<String>,
    /// Cluster of the kubeconfig to use instead of the context's
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// User of the kubeconfig to use instead of the context's: kubectl's --user, which is NATS's here
    #[arg(long, value_name = "NAME")]
    kube_user: Option<String>,
    /// User to impersonate
    #[arg(long = "as", value_name = "NAME")]
    impersonate: Option<String>,
    /// Group to impersonate; repeat it for several
    #[arg(long = "as-group", value_name = "NAME")]
    impersonate_groups: Vec<String>,
    /// UID to impersonate
    #[arg(long = "as-uid", value_name = "UID")]
    impersonate_uid: Option<String>,
    /// Time that one request to the API server may take, 0 for no limit [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    request_timeout: Option<Duration>,
}

impl ClusterArgs {
    /// What it means.
    pub(crate) fn options(self) -> Options {
        Options {
            kubeconfig: self.kubeconfig,
            context: self.context,
            cluster: self.cluster,
            user: self.kube_user,
            impersonate: self.impersonate,
            impersonate_groups: self.impersonate_groups,
            impersonate_uid: self.impersonate_uid,
            request_timeout: self.request_timeout,
        }
    }
}
