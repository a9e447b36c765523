//! Messages from NATS to records that may be shown.
//!
//! ```text
//! connect ─▶ subscription ─▶ admit (is it what its subject says?) ─▶ order (gaps, repeats) ─▶ show
//!                                        └─▶ status messages ─▶ the session
//! ```

mod address;
mod admit;
mod connect;
mod error;
mod feed;
mod kept;
mod order;
mod tally;

pub(crate) use address::Address;
pub(crate) use connect::{Access, Answerer, Change, Connection};
pub(crate) use error::{AskError, NatsError};
pub(crate) use feed::lock;
pub(crate) use feed::{Feed, News, Source, Take};
pub(crate) use kept::{Mark, Part};
pub(crate) use order::Start;
pub(crate) use tally::{DROPPED, Stream, StreamTally, Tally};
