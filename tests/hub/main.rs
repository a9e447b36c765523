//! The hub as a process, against a real NATS server.

#![allow(clippy::unwrap_used, reason = "a test ends by a panic")]

mod classic;
mod cli;
mod doctor;
mod envelopes;
mod forms;
mod listen;
#[path = "../support/nats_server.rs"]
mod nats_server;
mod parse;
mod pipe;
#[path = "../support/plain_nats.rs"]
mod plain_nats;
mod process;
mod refuse;
