//! The probe host from outside: real processes, the installed tools, a stand-in for bcc.
//!
//! No libtest here: the warm parent has to be forked by a process with one thread, so every case starts
//! this program once more `--as-agent` and talks to that.

#![expect(clippy::print_stdout, reason = "a test program reports there")]

mod agent;
mod cases;
mod harness;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [flag, spec] = &arguments[..]
        && flag == "--as-agent"
    {
        return agent::main(spec);
    }
    let wanted: Vec<_> = arguments
        .iter()
        .filter(|word| !word.starts_with('-'))
        .collect();
    let mut failed = 0;
    for (name, case) in cases::all() {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let begun = std::time::Instant::now();
        // A panic prints its own message.
        let passed = catch_unwind(AssertUnwindSafe(case)).is_ok();
        failed += usize::from(!passed);
        println!(
            "test {name} ... {} ({:.1?})",
            if passed { "ok" } else { "FAILED" },
            begun.elapsed()
        );
    }
    println!("{failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
