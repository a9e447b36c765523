//! `x-tracer trace` as a user runs it, against a real API server, with a real NATS server and the real agent.
//! Only the kubelet is the test's: it starts the agent's program as a process of this machine. The containers
//! are processes in PID namespaces and cgroups of their own; the tools are recorded output.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops, and says where"
)]

#[path = "../support/api_server.rs"]
#[expect(dead_code, reason = "other tests need the rest")]
mod api_server;
#[path = "../k8s/lab.rs"]
#[expect(dead_code, reason = "other tests need the rest")]
mod lab;
#[path = "../e2e/replay.rs"]
#[allow(dead_code, reason = "other tests need the rest")]
mod replay;

#[path = "../support/listeners.rs"]
mod listeners;
#[path = "../support/nats_logins.rs"]
mod nats_logins;
#[path = "../support/nats_server.rs"]
mod nats_server;
#[path = "../support/pid_namespace.rs"]
#[expect(dead_code, reason = "other tests need the rest")]
mod pid_namespace;
#[path = "../support/port_forward.rs"]
mod port_forward;

mod container;
mod feed;
mod hub;
mod kubelet;
mod scene;
mod terminal;

mod complete;
mod deploy;
mod faults;
mod follow;
mod host_pid;
mod hubs;
mod in_cluster;
mod killed;
mod logins;
mod nodes;
mod odd;
mod original;
mod pick;
mod ports;
mod refuse;
mod replaced;
mod shared;
mod wait;
