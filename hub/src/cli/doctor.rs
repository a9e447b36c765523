//! `x-tracer doctor`.

use std::path::PathBuf;

use clap::Args;

use crate::doctor::Config;

/// Flags of `doctor`.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 if all seven probes should work, 6 if some can't, 1 if none can"
)]
pub struct DoctorArgs {
    /// Answer with one JSON object
    #[arg(long)]
    json: bool,
    /// Folder to look for the BCC tools in, before those of the distribution; repeat it for several
    #[arg(
        long,
        env = "XTRACER_TOOLS_DIR",
        value_name = "DIR",
        value_delimiter = ':'
    )]
    tools_dir: Vec<PathBuf>,
}

impl DoctorArgs {
    /// What it means.
    pub(crate) fn config(self) -> Config {
        Config {
            tools_dirs: self.tools_dir,
            json: self.json,
        }
    }
}
