//! Records to lines to standard output.

pub mod classic;
pub mod json;
pub mod sanitize;
mod writer;

pub use writer::{Closed, Writer};

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The original x-tracer's line.
    Classic,
    /// The record as one JSON object.
    Json,
}
