//! `x-tracer parse`.

use clap::Args;
use probeparser::{Probe, UnknownProbe};

use super::shared::Output;
use crate::parse::Config;

/// Flags of `parse`.
#[derive(Args, Debug)]
pub struct ParseArgs {
    /// Tool that printed the lines
    #[arg(long, value_name = "NAME", value_parser = probe)]
    probe: Probe,
    /// Form of the records. A classic line shows `-` where the recorded output has no clock or no
    /// such column
    #[arg(short, long, alias = "output", value_enum, default_value_t = Output::Json, value_name = "FORM")]
    format: Output,
}

fn probe(name: &str) -> Result<Probe, UnknownProbe> {
    name.parse()
}

impl ParseArgs {
    /// What it means.
    pub(crate) fn config(&self) -> Config {
        Config {
            probe: self.probe,
            format: self.format.into(),
        }
    }
}
