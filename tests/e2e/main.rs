//! Tool → agent → nats-server → hub, with the real programs. The tools are recorded output:
//! Python files that only print lines, which the agent runs as it runs any tool.

#![allow(clippy::unwrap_used, reason = "a test ends by a panic")]

mod replay;
mod session;

#[path = "../support/listeners.rs"]
mod listeners;
#[path = "../support/nats_logins.rs"]
mod nats_logins;
#[path = "../support/nats_server.rs"]
mod nats_server;
#[path = "../support/pid_namespace.rs"]
mod pid_namespace;
#[path = "../support/plain_nats.rs"]
mod plain_nats;
#[path = "../hub/process.rs"]
mod process;

mod chaos;
mod durable;
mod ends;
mod kills;
mod lines;
mod logins;
mod losses;
mod minutes;
mod outage;
mod ports;
mod processes;
mod sight;
mod strangers;
