//! The agent on the node.
