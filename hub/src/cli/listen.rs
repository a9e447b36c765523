//! `x-tracer listen`.

use clap::Args;
use probeparser::Probe;

use super::durable::DurableArgs;
use super::login::LoginArgs;
use super::shared::{ProbeList, ShowArgs, probes};
use crate::exit::Failure;
use crate::listen::Config;
use crate::receive::Address;

/// Flags of `listen`.
#[derive(Args, Debug)]
pub struct ListenArgs {
    /// NATS server that the agents publish to
    #[arg(long, env = "XTRACER_NATS", value_name = "URL")]
    nats: Address,
    /// Show this session only
    #[arg(long, env = "XTRACER_SESSION", value_name = "NAME")]
    session: Option<String>,
    /// Show these probes only: names separated by commas, `tcp` for the four TCP tools
    #[arg(long, value_name = "LIST", value_parser = probes)]
    probes: Option<ProbeList>,
    #[command(flatten)]
    durable: DurableArgs,
    #[command(flatten)]
    login: LoginArgs,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

impl ListenArgs {
    /// What it means.
    pub(crate) fn config(self) -> Result<Config, Failure> {
        Ok(Config {
            nats: self.nats,
            access: self.login.access()?,
            session: self.session,
            durable: self.durable.config(),
            settings: self.show.settings(match self.probes {
                Some(list) => list.0,
                None => Probe::ALL.to_vec(),
            }),
        })
    }
}
