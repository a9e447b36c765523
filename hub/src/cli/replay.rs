//! `x-tracer replay`.

use std::time::Duration;

use clap::Args;
use probeparser::Probe;

use super::login::LoginArgs;
use super::shared::{ProbeList, ShowArgs, duration, probes};
use crate::exit::Failure;
use crate::receive::Address;
use crate::replay::Config;

/// Flags of `replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// NATS server whose stream has kept the records
    #[arg(long, env = "XTRACER_NATS", value_name = "URL")]
    nats: Address,
    /// Show what was published so long ago or later: 30 or 30s, 5m, 1h [default: everything]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    since: Option<Duration>,
    /// Show this session only
    #[arg(long, env = "XTRACER_SESSION", value_name = "NAME")]
    session: Option<String>,
    /// Show these probes only: names separated by commas, `tcp` for the four TCP tools
    #[arg(long, value_name = "LIST", value_parser = probes)]
    probes: Option<ProbeList>,
    #[command(flatten)]
    login: LoginArgs,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

impl ReplayArgs {
    /// What it means.
    pub(crate) fn config(self) -> Result<Config, Failure> {
        Ok(Config {
            nats: self.nats,
            access: self.login.access()?,
            since: self.since,
            session: self.session,
            settings: self.show.settings(match self.probes {
                Some(list) => list.0,
                None => Probe::ALL.to_vec(),
            }),
        })
    }
}
