//! The wall clock of a tool's line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `HH:MM:SS` in the node's local time: the original's `Sys_Time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Clock {
    hour: u8,
    minute: u8,
    second: u8,
}

impl Clock {
    /// A time of day; a second may be 60, since some minutes have a leap second.
    #[must_use]
    pub fn new(hour: u8, minute: u8, second: u8) -> Option<Self> {
        (hour < 24 && minute < 60 && second <= 60).then_some(Self {
            hour,
            minute,
            second,
        })
    }

    /// Reads exactly the eight bytes `HH:MM:SS`.
    #[must_use]
    pub fn from_bytes(cell: &[u8]) -> Option<Self> {
        let &[h1, h0, b':', m1, m0, b':', s1, s0] = cell else {
            return None;
        };
        let two = |tens: u8, ones: u8| {
            (tens.is_ascii_digit() && ones.is_ascii_digit())
                .then(|| (tens - b'0') * 10 + (ones - b'0'))
        };
        Self::new(two(h1, h0)?, two(m1, m0)?, two(s1, s0)?)
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

/// A text that is no `HH:MM:SS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time of day of the form HH:MM:SS")]
pub struct NotAClock;

impl FromStr for Clock {
    type Err = NotAClock;

    fn from_str(text: &str) -> Result<Self, NotAClock> {
        Self::from_bytes(text.as_bytes()).ok_or(NotAClock)
    }
}

impl Serialize for Clock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Clock;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time of day of the form HH:MM:SS")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Clock, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for text in ["00:00:00", "23:59:60", "09:08:07"] {
            assert_eq!(text.parse::<Clock>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_other_shapes() {
        for text in [
            "",
            "1:02:03",
            "24:00:00",
            "12:60:00",
            "12-00-00",
            "12:00:0x",
            "12:00:000",
        ] {
            assert_eq!(text.parse::<Clock>(), Err(NotAClock), "{text}");
        }
    }
}
