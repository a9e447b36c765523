//! `x-agent`: see the library for the tour.

use std::process::ExitCode;

use clap::Parser as _;
use x_agent::cli::Cli;

fn main() -> ExitCode {
    x_agent::run::main(Cli::parse())
}
