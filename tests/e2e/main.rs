//! Tool → agent → nats-server → hub, with the real programs. The tools are recorded output:
//! Python files that only print lines, which the agent runs as it runs any tool.

mod replay;
mod session;

#[path = "../support/pid_namespace.rs"]
mod pid_namespace;

mod ends;
mod lines;
