//! What may be typed after `x-tracer`.

mod cleanup;
mod cluster;
mod doctor;
mod durable;
mod listen;
mod local;
mod login;
mod parse;
mod replay;
mod shared;
mod trace;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

pub use cleanup::CleanupArgs;
pub(crate) use cluster::ClusterArgs;
pub use doctor::DoctorArgs;
pub use listen::ListenArgs;
pub use local::LocalArgs;
pub use parse::ParseArgs;
pub use replay::ReplayArgs;
pub use trace::TraceArgs;

/// Shows live what every process in a pod, a container or a PID namespace does: connections,
/// programs executed, block I/O, page cache use.
///
/// Events go to standard output, everything else to standard error. Without a command it asks for a
/// namespace and a pod, as the original x-tracer does, whose flags -kind and -kubeconfig it takes.
#[derive(Debug, Parser)]
#[command(name = "x-tracer", version, max_term_width = 100, after_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Whether only what goes wrong is to be said.
    pub(crate) fn is_quiet(&self) -> bool {
        match &self.command {
            Command::Trace(args) => args.show.quiet,
            Command::Local(args) => args.show.quiet,
            Command::Listen(args) => args.show.quiet,
            Command::Replay(args) => args.show.quiet,
            _ => false,
        }
    }
}

const EXIT_STATUS: &str = "\
Exit status: 0 done, or ended by its user or by --timeout after a good start; 1 error; \
2 wrong usage; 3 no such target; 4 a right is missing; 5 every probe has failed for good; \
6 something was lost and --strict was given; 130 left without choosing a pod";

/// What the hub can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trace pods of a Kubernetes cluster: deploys an agent on each node, and removes it at the end
    Trace(Box<TraceArgs>),
    /// Trace on this machine: starts an agent, and a NATS server unless --nats names one
    Local(LocalArgs),
    /// Show what agents elsewhere publish
    Listen(ListenArgs),
    /// Show what a stream has kept of what agents published with --durable, and end
    Replay(ReplayArgs),
    /// Read a tool's recorded output from standard input, print a record a line
    Parse(ParseArgs),
    /// Say what this machine has, and lacks, for the BCC tools; nothing is changed
    Doctor(DoctorArgs),
    /// Remove what sessions left in a cluster whose x-tracer was killed
    Cleanup(CleanupArgs),
    /// Print the version, and that of the wire contract
    Version,
    /// Print a completion script for a shell
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each command that the README shows is one that we take.
    #[test]
    fn the_readmes_commands_are_ours() {
        let readme = include_str!("../../README.md");
        let shown = readme.lines().filter_map(|line| {
            let line = line
                .strip_prefix("$ ")
                .or_else(|| line.strip_prefix("# "))?;
            let words = line.split(['#', '<', '>', '|']).next()?.trim_end();
            words.starts_with("x-tracer ").then_some(words)
        });
        let mut count = 0;
        for line in shown {
            let cli = Cli::try_parse_from(line.split_whitespace());
            assert!(cli.is_ok(), "{line}: {}", cli.unwrap_err());
            count += 1;
        }
        assert!(count > 10, "{count} commands");
    }
}
