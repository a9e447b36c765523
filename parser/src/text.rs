//! Text that a stranger chose: a process name, an argument list, a line.

use std::fmt;

use bstr::ByteSlice;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes as a tool printed them. Linux lets a process name hold anything but NUL, so nothing here
/// is assumed to be UTF-8 or fit for a terminal.
///
/// In JSON it is a string with U+FFFD for what isn't UTF-8; the exact bytes then stand in the
/// envelope's `hex` member ([`crate::wire::Envelope`]).
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Vec<u8>);

impl Text {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether JSON's string carries the text exactly.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        std::str::from_utf8(&self.0).is_ok()
    }

    /// Keeps at most the first `len` bytes, and no broken part of a UTF-8 character.
    pub fn truncate(&mut self, len: usize) {
        if self.0.len() > len {
            let continues = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
            let start = (0..=len).rev().take(4).find(|&at| !continues(self.0[at]));
            self.0.truncate(start.unwrap_or(len));
        }
    }

    /// The text with U+FFFD for each byte sequence that isn't UTF-8.
    #[must_use]
    pub fn to_str_lossy(&self) -> std::borrow::Cow<'_, str> {
        self.0.to_str_lossy()
    }
}

impl<T: Into<Vec<u8>>> From<T> for Text {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

/// Escaped, as `Debug` of a byte string is: safe to log.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_bstr(), f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_str_lossy())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_leaves_no_broken_character() {
        for (text, len, left) in [
            ("größe", 3, "gr"),
            ("größe", 4, "grö"),
            ("abc", 9, "abc"),
            ("abc", 0, ""),
        ] {
            let mut cut = Text::from(text);
            cut.truncate(len);
            assert_eq!(cut, Text::from(left), "{text} to {len}");
        }
        let mut stray = Text::from(vec![0x80; 9]);
        stray.truncate(6);
        assert_eq!(stray.as_bytes(), [0x80; 6]);
    }
}
