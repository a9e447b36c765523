//! Inside the process of a tool: Python, the tool's streams, and the way to the agent.
//!
//! - [`warm`]: the parent that has everything loaded, and forks.
//! - [`child`]: one tool's process, from the fork to its end.
//! - [`sources`]: the Python glue (`probes-py`), imported from memory.
//! - [`stdio`] → [`port`] → [`capture`] → [`outlet`]: the way of what a tool prints;
//!   [`pace`] lets lines of a burst travel together.
//! - [`trim`]: the memory that is given back.

mod capture;
mod child;
mod outlet;
mod pace;
mod port;
mod sources;
mod stdio;
mod trim;
pub(crate) mod warm;
