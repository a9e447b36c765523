//! The agent on the node.

mod embed;
pub mod probe;
