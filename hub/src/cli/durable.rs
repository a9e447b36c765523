//! How long records live.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use probeparser::wire::{Store, size};

use super::shared::duration;
use crate::durable::Durable;

/// Records that outlive whoever shows them.
#[derive(Args, Debug)]
#[command(next_help_heading = "Durable")]
pub(super) struct DurableArgs {
    /// Let a stream of the server (`JetStream`) keep the records, and show them from where the last
    /// x-tracer stopped
    #[arg(long)]
    durable: bool,
    /// Time that a stream made by us keeps a record [default: 24h]
    #[arg(long, value_name = "TIME", requires = "durable", value_parser = duration)]
    durable_max_age: Option<Duration>,
    /// Bytes (also 64K, 256M, 2G) that it keeps; beyond, the oldest records go [default: 1G]
    #[arg(long, value_name = "SIZE", requires = "durable", value_parser = size)]
    durable_max_bytes: Option<u64>,
    /// File that holds how far was shown [default: one for server and session in ~/.local/state/x-tracer]
    #[arg(long, value_name = "FILE", requires = "durable")]
    bookmark: Option<PathBuf>,
}

/// The same for a server that this hub may start itself.
#[derive(Args, Debug)]
#[command(next_help_heading = "Durable")]
pub(super) struct OwnDurableArgs {
    #[command(flatten)]
    durable: DurableArgs,
    /// Folder for the stream of the server that this hub starts; without one it is gone with the session
    #[arg(long, value_name = "DIR", requires = "durable")]
    durable_dir: Option<PathBuf>,
}

impl DurableArgs {
    /// What it means.
    pub(super) fn config(self) -> Option<Durable> {
        let default = Store::default();
        self.durable.then(|| Durable {
            store: Store {
                max_age: self.durable_max_age.unwrap_or(default.max_age),
                max_bytes: self.durable_max_bytes.unwrap_or(default.max_bytes),
            },
            folder: None,
            bookmark: self.bookmark,
        })
    }
}

impl OwnDurableArgs {
    /// What it means.
    pub(super) fn config(self) -> Option<Durable> {
        let folder = self.durable_dir;
        let durable = self.durable.config()?;
        Some(Durable { folder, ..durable })
    }
}
