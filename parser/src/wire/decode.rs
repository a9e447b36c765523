//! Reading a record that anybody may have sent.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeSeed;

use super::members::{Head, Members, Place};
use super::{Envelope, VERSION};
use crate::{Probe, Record, Text};

/// Longest payload that is looked at, in bytes: the default `max_payload` of a NATS server.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// Why a payload is no record.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`MAX_PAYLOAD`].
    #[error("{0} bytes are more than a record may have ({MAX_PAYLOAD})")]
    TooLong(usize),
    /// No JSON object with the members of every record.
    #[error("no record: {0}")]
    NotARecord(serde_json::Error),
    /// Another version of the contract.
    #[error("version {0} of the wire contract; this program reads version {VERSION}")]
    Version(u32),
    /// The columns of its probe are missing or of another type.
    #[error("no {probe} record: {error}")]
    Columns {
        /// The probe that the payload names.
        probe: Probe,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// The member `hex` does not give the bytes of a text of this record.
    #[error("member `hex`: `{0}` is no text of this record in hexadecimal")]
    Hex(String),
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Deserialize)]
struct Named {
    probe: Probe,
}

/// Reads a message whose members are its type's; `version` gives its version of the contract.
pub(super) fn message<'a, T: Deserialize<'a>>(
    payload: &'a [u8],
    version: impl Fn(&T) -> u32,
) -> Result<T, DecodeError> {
    must_be_short(payload)?;
    let message = serde_json::from_slice(payload).map_err(DecodeError::NotARecord)?;
    must_be_ours(version(&message))?;
    Ok(message)
}

fn must_be_short(payload: &[u8]) -> Result<(), DecodeError> {
    if payload.len() > MAX_PAYLOAD {
        return Err(DecodeError::TooLong(payload.len()));
    }
    Ok(())
}

fn must_be_ours(version: u32) -> Result<(), DecodeError> {
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    Ok(())
}

pub(super) fn envelope(payload: &[u8]) -> Result<Envelope<'_>, DecodeError> {
    must_be_short(payload)?;
    // Checked once for all strings.
    let payload = str::from_utf8(payload)
        .map_err(|error| DecodeError::NotARecord(serde::de::Error::custom(error)))?;
    let (head, record) = members(payload, None).map_err(|error| {
        // A later version may change any other member, so its number is looked at before they are.
        match serde_json::from_str::<Version>(payload) {
            Ok(Version { v }) if v != VERSION => DecodeError::Version(v),
            _ => error,
        }
    })?;
    must_be_ours(head.v)?;
    let mut envelope = Envelope {
        session: head.session,
        seq: head.seq,
        time: head.time,
        node: head.node,
        namespace: head.namespace,
        pod: head.pod,
        container: head.container,
        sys_time: head.sys_time,
        record,
        pid_ns: head.pid_ns,
        by: head.by,
        raw: head.raw,
        cut: head.cut,
    };
    restore_bytes(&mut envelope, head.hex)?;
    Ok(envelope)
}

/// Reads an object whose columns are those of its probe. It names the probe before them, as we do, or it is
/// read again with that known.
fn members(payload: &str, known: Option<Probe>) -> Result<(Head<'_>, Record), DecodeError> {
    let mut place = Place::Head;
    let mut object = serde_json::Deserializer::from_str(payload);
    let read = Members {
        probe: known,
        place: &mut place,
    }
    .deserialize(&mut object)
    .and_then(|members| object.end().map(|()| members));
    read.or_else(|error| match place {
        Place::Columns(probe) => Err(DecodeError::Columns { probe, error }),
        Place::Head => Err(DecodeError::NotARecord(error)),
        Place::Nameless => {
            let Named { probe } = serde_json::from_str(payload).map_err(DecodeError::NotARecord)?;
            members(payload, Some(probe))
        }
    })
}

fn restore_bytes(
    envelope: &mut Envelope<'_>,
    mut hex: BTreeMap<String, String>,
) -> Result<(), DecodeError> {
    if hex.is_empty() {
        return Ok(());
    }
    let mut bad = None;
    let mut restore = |name: &'static str, text: &mut Text| {
        if let Some(digits) = hex.remove(name) {
            match from_hex(&digits) {
                // The string beside it must be the same text, or two readers would see two.
                Some(bytes) if Text::from(&*bytes).to_str_lossy() == text.to_str_lossy() => {
                    *text = bytes.into();
                }
                _ => bad = Some(name.to_owned()),
            }
        }
    };
    envelope.record.texts_mut(&mut restore);
    restore("raw", &mut envelope.raw);
    match bad.or_else(|| hex.into_keys().next()) {
        Some(name) => Err(DecodeError::Hex(name)),
        None => Ok(()),
    }
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(payload: &str) -> String {
        Envelope::decode(payload.as_bytes())
            .unwrap_err()
            .to_string()
    }

    const HEAD: &str = r#""session":"s","seq":1,"time":"t","node":"n","namespace":"","pod":"p","container":"c","sys_time":"00:00:00","by":"procfs","raw":"r""#;

    #[test]
    fn refuses_what_is_no_record_and_says_why() {
        assert!(refusal("").starts_with("no record: EOF"));
        assert!(refusal("[]").starts_with("no record: "));
        assert!(refusal(r#"{"v":1}"#).starts_with("no record: missing field"));
        assert_eq!(
            refusal(r#"{"v":2,"anything":[]}"#),
            "version 2 of the wire contract; this program reads version 1"
        );
        assert_eq!(
            refusal(&format!(
                r#"{{"v":1,{HEAD},"probe":"execsnoop","comm":"x","pid":1,"ppid":1,"ret":0}}"#
            )),
            "no execsnoop record: missing field `args` at line 1 column 194"
        );
        assert!(refusal(&" ".repeat(MAX_PAYLOAD + 1)).starts_with("1048577 bytes are more"));
    }

    #[test]
    fn members_come_in_any_order_and_once() {
        let columns = r#""comm":"tr\u0075e","pid":7,"ppid":1,"ret":0,"args":"","news":[{}]"#;
        let probe = r#""probe":"execsnoop""#;
        let version = r#""v":1"#;
        let first = format!("{{{version},{HEAD},{probe},{columns}}}");
        let decoded = Envelope::decode(first.as_bytes()).unwrap();
        for other in [
            format!("{{{columns},{HEAD},{probe},{version}}}"),
            format!("{{{probe},{columns},{version},{HEAD}}}"),
            format!(r#"{{"p\u0072obe":"execsnoop",{columns},{version},{HEAD}}}"#),
        ] {
            assert_eq!(Envelope::decode(other.as_bytes()).unwrap(), decoded);
        }
        for (twice, refused) in [
            (version, "no record: duplicate field `v`"),
            (probe, "no record: duplicate field `probe`"),
            (r#""pid":8"#, "no execsnoop record: duplicate field `pid`"),
        ] {
            let both = format!("{{{version},{HEAD},{probe},{columns},{twice}}}");
            assert!(refusal(&both).starts_with(refused), "{}", refusal(&both));
        }
        assert!(refusal(&format!("{first}{{}}")).starts_with("no record: trailing"));
        assert!(
            refusal(&format!("{{{version},{HEAD},{columns}}}"))
                .starts_with("no record: missing field `probe`")
        );
    }

    #[test]
    fn refuses_bytes_that_contradict_the_string() {
        let record = |hex: &str| {
            format!(
                r#"{{"v":1,{HEAD},"probe":"execsnoop","comm":"true","pid":1,"ppid":1,"ret":0,"args":"","hex":{hex}}}"#
            )
        };
        for hex in [
            r#"{"comm":"66616c7365"}"#,
            r#"{"comm":"7"}"#,
            r#"{"pid":"31"}"#,
        ] {
            assert!(refusal(&record(hex)).starts_with("member `hex`"), "{hex}");
        }
        assert!(Envelope::decode(record(r#"{"comm":"74727565"}"#).as_bytes()).is_ok());
    }
}
