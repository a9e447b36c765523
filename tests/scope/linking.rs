//! Our libbpf and BCC's, side by side in a tool's process.

use std::process::Command;

/// libbcc.so would bind to functions of ours, of another version, if `x-agent` exported them.
#[test]
fn no_libbpf_symbol_is_exported() {
    let agent = env!("CARGO_BIN_EXE_x-agent");
    let output = Command::new("nm")
        .args(["--dynamic", "--defined-only", agent])
        .output()
        .expect("nm (package binutils)");
    assert!(output.status.success(), "nm {agent}: {}", output.status);
    let symbols = String::from_utf8(output.stdout).unwrap();
    let ours: Vec<&str> = symbols
        .lines()
        .filter(|line| line.contains("bpf"))
        .collect();
    assert!(ours.is_empty(), "exported: {ours:?}");
}
