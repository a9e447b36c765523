//! The scope stage on this machine's kernel: real PID namespaces, real processes, the real table.
//!
//! Needs root (`CAP_SYS_ADMIN` for namespaces, `CAP_BPF` and `CAP_PERFMON` for the table), Linux 5.8
//! with BTF, and the commands `env`, `sleep` (coreutils 8.31), `setpriv`, `unshare` (util-linux) and `python3`.
//! Without root each test says so and ends; with root whatever is missing is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed step fails the test, in helpers too; a skipped test says so on stderr"
)]

mod attribution;
mod cgroups;
mod containers;
mod faults;
mod inodes;
mod linking;
mod mounts;
mod space;
mod threads;
