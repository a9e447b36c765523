//! Entry point.

use std::process::ExitCode;

fn main() -> ExitCode {
    x_tracer::run(std::env::args_os()).into()
}
