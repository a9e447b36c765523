//! How a batch lies in a file.

use std::io;
use std::sync::Arc;

use super::super::{Batch, Message};
use crate::ledger::Ledger;

/// Bytes of a batch's length.
pub(super) const LENGTH: usize = size_of::<u32>();

/// A message on disk names its ledger by the place here.
#[derive(Debug, Default)]
pub(super) struct Ledgers(pub(super) Vec<Arc<Ledger>>);

impl Ledgers {
    /// The length of what follows, the first number, then each message: lengths of subject and payload,
    /// place of the ledger from 1, subject, payload.
    pub(super) fn encode(&mut self, batch: &Batch) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(LENGTH + 8 + batch.size());
        bytes.extend_from_slice(&[0; LENGTH]);
        bytes.extend_from_slice(&batch.first.to_le_bytes());
        for message in &batch.messages {
            let ledger = message.ledger.as_ref();
            let ledger = ledger.map_or(0, |ledger| 1 + self.place(ledger));
            for number in [message.subject.len(), message.payload.len(), ledger] {
                let number = u32::try_from(number).expect("a message is far below 4 GiB");
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(message.subject.as_bytes());
            bytes.extend_from_slice(&message.payload);
        }
        let length = u32::try_from(bytes.len() - LENGTH).map_err(io::Error::other)?;
        bytes[..LENGTH].copy_from_slice(&length.to_le_bytes());
        Ok(bytes)
    }

    /// The place of a ledger.
    pub(super) fn place(&mut self, ledger: &Arc<Ledger>) -> usize {
        let known = self.0.iter().position(|one| Arc::ptr_eq(one, ledger));
        known.unwrap_or_else(|| {
            self.0.push(Arc::clone(ledger));
            self.0.len() - 1
        })
    }

    pub(super) fn decode(&self, bytes: Vec<u8>) -> Option<Batch> {
        let mut rest = bytes::Bytes::from(bytes);
        let first = (rest.len() >= 8).then(|| rest.split_to(8))?;
        let first = u64::from_le_bytes(first[..].try_into().ok()?);
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let mut number = || {
                let bytes = (rest.len() >= 4).then(|| rest.split_to(4))?;
                usize::try_from(u32::from_le_bytes(bytes[..].try_into().ok()?)).ok()
            };
            let (subject, payload, ledger) = (number()?, number()?, number()?);
            if rest.len() < subject.checked_add(payload)? {
                return None;
            }
            let subject = rest.split_to(subject);
            let payload = rest.split_to(payload);
            let ledger = match ledger {
                0 => None,
                place => Some(Arc::clone(self.0.get(place - 1)?)),
            };
            messages.push(Message {
                subject: std::str::from_utf8(&subject).ok()?.into(),
                payload,
                ledger,
            });
        }
        Some(Batch::new(first, messages))
    }
}
