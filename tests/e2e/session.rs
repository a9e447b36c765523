//! One run of `x-tracer local`.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The hub's program; the agent's stands beside it.
pub(crate) fn hub() -> Command {
    let hub = Path::new(env!("CARGO_BIN_EXE_x-tracer"));
    assert!(
        hub.with_file_name("x-agent").exists(),
        "the agent is not built: cargo build -p x-agent, or run the tests with --workspace"
    );
    let mut command = Command::new(hub);
    command.stdin(Stdio::null());
    command
}

/// `x-tracer local` for a process, with tools of our own.
pub(crate) fn local(pid: u32, tools: &Path, arguments: &[&str]) -> Command {
    let mut command = hub();
    command
        .args([
            "local",
            "--timeout",
            "180s",
            "--pid",
            &pid.to_string(),
            "--tools-dir",
        ])
        .arg(tools)
        .args(arguments);
    command
}

/// Runs it to its end and shows what it said if that was no good end.
pub(crate) fn good(mut command: Command) -> Output {
    let output = command.output().expect("x-tracer");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", output.status);
    output
}
