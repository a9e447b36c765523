//! Compiles the BPF programs with clang and writes their typed skeleton for `scope/table.rs`.

use std::path::PathBuf;

use libbpf_cargo::SkeletonBuilder;

const SOURCES: &str = "src/scope/bpf";

fn main() {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let skeleton = SkeletonBuilder::new()
        .source(format!("{SOURCES}/processes.bpf.c"))
        .clang_args(["-Wall"])
        .build_and_generate(out.join("processes.skel.rs"));
    if let Err(error) = skeleton {
        panic!("the BPF programs did not compile; clang 12 or newer is needed: {error:#}");
    }
    println!("cargo:rerun-if-changed={SOURCES}");
}
