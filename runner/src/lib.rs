//! The agent on the node.

mod embed;
pub mod mounts;
pub mod probe;
pub mod scope;
