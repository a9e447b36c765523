//! The wire contract, version 1: JSON objects on NATS subjects, made to be read by anybody.

mod decode;
mod envelope;
mod members;
mod order;
mod pages;
mod status;
mod store;
mod subject;

pub use decode::{DecodeError, MAX_PAYLOAD};
pub(crate) use envelope::hex_members;
pub use envelope::{By, Envelope};
pub use order::{Obeyed, Order, OrderSubject};
pub use pages::{PerfPages, PerfPagesError};
pub use status::{Ledger, Sight, State, Status, Verdict};
pub use store::{STREAM, Store, size};
pub use subject::{
    AGENT_INBOXES, PLACE_END, StatusSubject, Subject, SubjectError, agent_inbox, decode_token,
    encode_token, hub_place,
};

/// The version of the contract. A reader refuses any other; a writer may add members within one.
pub const VERSION: u32 = 1;
