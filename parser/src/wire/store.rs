//! Where records are kept that nobody has to be there for: a stream of `JetStream`.

use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::subject::PREFIX;

/// The stream's name.
pub const STREAM: &str = "xtracer";

/// How long the stream recognises a message that comes again by its name (`Nats-Msg-Id`). Each name that
/// it remembers costs the server memory; whoever reads the stream knows older repeats by their number.
const RECOGNISED: Duration = Duration::from_secs(120);

/// How much the stream keeps; the oldest goes first. It serializes as the server's configuration of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// For how long.
    pub max_age: Duration,
    /// How many bytes.
    pub max_bytes: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(24 * 3600),
            max_bytes: 1 << 30,
        }
    }
}

impl Serialize for Store {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX >> 1);
        let mut config = serializer.serialize_struct("Store", 9)?;
        config.serialize_field("name", STREAM)?;
        config.serialize_field("subjects", &[format!("{PREFIX}.>")])?;
        config.serialize_field("retention", "limits")?;
        config.serialize_field("discard", "old")?;
        config.serialize_field("storage", "file")?;
        config.serialize_field("num_replicas", &1)?;
        config.serialize_field("max_age", &nanoseconds(self.max_age))?;
        config.serialize_field("max_bytes", &self.max_bytes)?;
        let recognised = RECOGNISED.min(self.max_age);
        config.serialize_field("duplicate_window", &nanoseconds(recognised))?;
        config.end()
    }
}

/// Reads a number of bytes, with a unit or without, as the command lines have it.
///
/// # Errors
/// Saying what was expected.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "expected a number of bytes such as 4096, 64K, 256M or 2G".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_or_none() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("64K"), Ok(65_536));
        assert_eq!(size("2G"), Ok(2 << 30));
        for bad in ["", "K", "-1", "1.5M", "1T", "99999999999G", "1é"] {
            size(bad).unwrap_err();
        }
    }

    #[test]
    fn it_reads_as_the_servers_configuration() {
        let store = Store {
            max_age: Duration::from_secs(60),
            max_bytes: 1 << 20,
        };
        let config = serde_json::to_value(store).unwrap();
        assert_eq!(config["subjects"][0], "xtracer.v1.>");
        assert_eq!(config["max_age"], 60_000_000_000_u64);
        assert_eq!(config["duplicate_window"], 60_000_000_000_u64);
    }
}
