//! From a line of a BCC tool to a typed record, and from a record to the wire and back.
//!
//! ```text
//! line ─▶ Parser (the tool's own header decides the columns) ─▶ Record
//! Record ─▶ wire::Envelope (who, where, when) ─▶ JSON on a wire::Subject ─▶ Envelope
//! ```
//!
//! No I/O, no async, no `unsafe`.

#![forbid(unsafe_code)]

mod columns;
mod error;
mod grammar;
mod header;
mod line;
mod number;
mod parser;
mod probe;
pub mod record;
mod recorded;
mod text;
pub mod wire;

pub use error::ParseError;
pub use line::Line;
pub use parser::{Parsed, Parser};
pub use probe::{Probe, UnknownProbe};
pub use record::{Clock, Record};
pub use recorded::Recorded;
pub use text::Text;
