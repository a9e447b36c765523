//! Everything x-tracer does with Kubernetes, and nothing else: no flags, no terminal, no NATS.
//!
//! A session goes through the modules in this order:
//!
//! | step | module | in → out |
//! | --: | --- | --- |
//! | 0 | [`client`] | kubeconfig, context, proxies → a [`Cluster`] to talk to |
//! | 1 | [`find`] | `deploy/web`, `-l app=web`, … → [`find::TargetPod`]s, and what happens to them later |
//! | 2 | [`node`], [`image`] | the pod's node → address of the hub, image that fits the kernel |
//! | 3 | [`manifest`] | [`manifest::AgentSpec`] → objects; pure, no I/O |
//! | 4 | [`rollout`] | objects → a running agent, or the reason why not |
//! | 5 | [`portforward`] | a port of a pod → a port of this machine |
//! | 6 | [`teardown`] | a session → nothing left of it |
//!
//! Every call that talks to the API server returns [`Error`], whose text names the thing, the reason
//! and the next step, and whose [`Error::kind`] is what an exit status is made of.

#![forbid(unsafe_code)]

pub mod client;
pub mod error;
pub mod find;
pub mod image;
pub mod manifest;
pub mod node;
pub mod portforward;
pub mod rollout;
pub mod teardown;
mod text;

pub use client::Cluster;
pub use error::{Error, Kind};
/// The API types that cross this crate's border, so that callers need not name their version.
pub use k8s_openapi::api::core::v1 as core;
