//! What a line lacked, said so that one log line is enough to see it.

use std::fmt::{self, Write as _};

use crate::Probe;

/// Bytes of the line that an error keeps: more than any line without ARGS has.
const EXCERPT: usize = 240;

/// Why a line is no record: which column, where, what should have been there, and the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{probe}: column {column}, byte {at}: expected {expected} in \"{line}\"")]
pub struct ParseError {
    /// The tool that is said to have printed the line.
    pub probe: Probe,
    /// The column's title, or `header` for the header line as a whole.
    pub column: &'static str,
    /// Offset in the line, in bytes, where the column was looked for.
    pub at: usize,
    /// What should have been there.
    pub expected: &'static str,
    line: Excerpt,
}

impl ParseError {
    pub(crate) fn new(probe: Probe, fault: Fault, line: &[u8]) -> Self {
        Self {
            probe,
            column: fault.column,
            at: fault.at,
            expected: fault.expected,
            line: Excerpt {
                head: line[..line.len().min(EXCERPT)].into(),
                length: line.len(),
            },
        }
    }
}

/// The start of a line, shown escaped: a stranger chose parts of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    head: Box<[u8]>,
    length: usize,
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = &*self.head;
        while !rest.is_empty() {
            let (char, length) = bstr::decode_utf8(rest);
            let (bytes, after) = rest.split_at(length);
            rest = after;
            match char {
                Some('"' | '\\') => write!(f, "\\{}", char::from(bytes[0]))?,
                Some(char @ ' '..='~') => f.write_char(char)?,
                Some(char) if char.is_alphanumeric() => f.write_char(char)?,
                Some(char) if !char.is_ascii() => write!(f, "{}", char.escape_unicode())?,
                // The excerpt's end may have cut a character.
                _ => bytes
                    .iter()
                    .try_for_each(|byte| write!(f, "\\x{byte:02x}"))?,
            }
        }
        if self.length > self.head.len() {
            write!(f, "… ({} bytes)", self.length)?;
        }
        Ok(())
    }
}

/// An error before it knows its probe and its line. Nothing in it was allocated, so that a line
/// can be tried in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) column: &'static str,
    pub(crate) at: usize,
    pub(crate) expected: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &[u8]) -> String {
        let fault = Fault {
            column: "PID",
            at: 9,
            expected: "a decimal number",
        };
        ParseError::new(Probe::Tcpconnect, fault, line).to_string()
    }

    #[test]
    fn says_probe_column_place_expectation_and_line() {
        assert_eq!(
            shown(b"0.000    x"),
            "tcpconnect: column PID, byte 9: expected a decimal number in \"0.000    x\""
        );
    }

    #[test]
    fn shows_no_stranger_bytes_raw_and_no_endless_line() {
        let text = shown("\x1b[2J\"\u{202e}é\u{9b}".as_bytes());
        assert!(text.ends_with(r#"in "\x1b[2J\"\u{202e}é\u{9b}""#), "{text}");
        let text = shown(&b"a".repeat(100_000));
        assert!(text.ends_with("a… (100000 bytes)\""), "{text}");
        assert!(text.len() < 400);
    }
}
