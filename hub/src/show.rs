//! Records to lines to standard output.

mod bookmark;
pub mod classic;
pub mod json;
pub mod sanitize;
mod writer;

pub(crate) use bookmark::Bookmark;
pub(crate) use writer::{Closed, Line, Writer};

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The original x-tracer's line.
    Classic,
    /// The record as one JSON object.
    Json,
}
