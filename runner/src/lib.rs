//! The agent on the node: runs the installed BCC tools, keeps the lines of the target's PID
//! namespaces, publishes them as records.
//!
//! ```text
//! embed      inside a tool's process: Python, its output as events
//!   ▼ frames
//! probe      starts tools, reads what they say, restarts them
//!   ▼ lines
//! pipeline   PID ─▶ scope (whose process is it?) ─▶ probeparser ─▶ envelope
//!   ▼ messages
//! send       a bounded queue, NATS
//! ```
//!
//! `agent` joins the stages; `ledger` counts where every line went; `sight` makes events of its own
//! and waits for them, because attached is not seeing.

mod agent;
mod announce;
pub mod cli;
mod config;
mod embed;
mod exit;
mod ledger;
pub mod mounts;
mod options;
mod own_process;
mod page;
mod pipeline;
pub mod probe;
pub mod run;
pub mod scope;
mod send;
mod sight;

#[cfg(test)]
#[path = "../../tests/support/nats_server.rs"]
mod nats_server;
