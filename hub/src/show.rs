//! Records to lines to standard output.

mod bookmark;
pub mod classic;
pub mod columns;
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
    /// Columns that are the same for every probe.
    Columns,
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
    /// Whether the probes' names are coloured, where a person reads.
    pub(crate) painted: bool,
}

impl Form {
    /// The line above all records, if this form has one.
    pub(crate) fn header(self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        columns::header(&mut out);
        (self.format == Format::Columns).then_some(out)
    }

    /// Appends a record's line.
    pub(crate) fn line(self, out: &mut Vec<u8>, envelope: &Envelope<'_>) {
        match self.format {
            Format::Classic => classic::line(out, Some(envelope.sys_time), &envelope.record),
            Format::Columns => columns::line(out, envelope, self.painted),
            Format::Json => json::line(out, envelope, self.terminal),
            Format::JsonPretty => json::pretty(out, envelope, self.terminal),
            Format::Yaml => yaml::document(out, envelope),
        }
    }
}
