//! x-k8s against a real API server (`tests/k8s/tools` builds it): no kubelet, no controllers; the tests
//! make nodes and pods and set their status.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops, and says where"
)]

#[path = "../support/api_server.rs"]
mod api_server;
mod client;
mod faults;
mod find;
mod lab;
mod node;
#[path = "../support/port_forward.rs"]
mod port_forward;
mod portforward;
mod rbac;
mod rollout;
mod teardown;
mod watch;
