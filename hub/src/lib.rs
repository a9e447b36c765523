//! The hub: what the user runs.
//!
//! ```text
//! cli ─▶ trace (starts server and agents in a cluster) ┐
//!    └─▶ original (asks for a pod, then as trace) ─────┤
//!    └─▶ local (starts server and agent here) ──────────┤
//!    └─▶ listen, replay (what a stream has kept) ───────┴▶ session: receive ─▶ show
//!    └─▶ parse (recorded tool output)       doctor (what this machine has and lacks)
//!    └─▶ cleanup (what killed hubs left in a cluster)
//! ```
//!
//! Events go to standard output, everything else to standard error; [`exit::Exit`] is the status.

#![deny(unsafe_code)]

mod child;
mod cleanup;
pub mod cli;
mod complete;
mod console;
mod doctor;
mod durable;
pub mod exit;
mod listen;
mod local;
mod original;
mod parse;
mod receive;
mod replay;
mod run;
mod secret;
mod server;
mod session;
pub mod show;
mod stop;
mod trace;

pub use run::run;
