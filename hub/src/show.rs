//! Records to lines to standard output.

mod bookmark;
pub mod classic;
pub mod json;
pub mod sanitize;
mod writer;
pub mod yaml;

use probeparser::wire::Envelope;

pub(crate) use bookmark::Bookmark;
pub(crate) use writer::{Closed, Lines, Writer};

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The original x-tracer's line.
    Classic,
    /// The record as one JSON object.
    Json,
    /// The same over several lines, for people.
    JsonPretty,
    /// A YAML document for each record.
    Yaml,
}

/// How lines look where they go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// The form of a line.
    pub(crate) format: Format,
    /// Whether a terminal takes them, which obeys some characters.
    pub(crate) terminal: bool,
}

impl Form {
    /// Appends a record's line.
    pub(crate) fn line(self, out: &mut Vec<u8>, envelope: &Envelope<'_>) {
        match self.format {
            Format::Classic => classic::line(out, Some(envelope.sys_time), &envelope.record),
            Format::Json => json::line(out, envelope, self.terminal),
            Format::JsonPretty => json::pretty(out, envelope, self.terminal),
            Format::Yaml => yaml::document(out, envelope),
        }
    }
}
