//! `x-tracer doctor`: what this machine has, and lacks, for the BCC tools. It only reads; nothing
//! is mounted, loaded or attached.
//!
//! ```text
//! host (files of this machine) ─▶ facts ─▶ checks (line by line) ─▶ report
//!                                    └───▶ probes (tool by tool: needs, pairings) ─┘
//! ```

mod bcc;
mod checks;
mod facts;
mod host;
mod pairings;
mod probes;
mod remedy;
mod report;
mod version;

use std::io::Write;
use std::path::PathBuf;

use anyhow::anyhow;

use crate::exit::{Exit, Failure};
use facts::Facts;
use host::Host;
use report::Report;

/// What `x-tracer doctor` was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where to look for the tools first.
    pub(crate) tools_dirs: Vec<PathBuf>,
    /// Whether the answer is to be JSON.
    pub(crate) json: bool,
}

/// Looks around and reports: [`Exit::Done`] if all seven probes should work, [`Exit::Failed`] if
/// none can, [`Exit::Loss`] if some can't.
///
/// # Errors
/// When the answer can't be written.
pub(crate) fn run(config: &Config) -> Result<Exit, Failure> {
    let facts = Facts::gather(&Host::this(), &config.tools_dirs);
    let report = Report::new(&facts);
    let text = if config.json {
        report.json()
    } else {
        report.text()
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow!("standard output: {error}").into())
        }
        _ => Ok(report.exit()),
    }
}
