//! The lines of a file or pipe, where a newline may be part of a name.

use std::collections::VecDeque;

use crate::error::Fault;
use crate::{ParseError, Parsed, Parser, Probe};

/// Most pieces into which newlines can cut one event: a name has 15 bytes.
const MOST_PIECES: usize = 16;

/// Reads a tool's output that was cut at every newline, and joins the pieces of an event whose
/// process had newlines in its name.
///
/// Where the probe host hands over an event at a time, [`Parser`] is enough. Here, a line that is
/// no record is held back until it is known whether the next ones complete it: pieces are one event
/// if together, and not alone, they make a record. What could be either is an error.
///
/// ```
/// use probeparser::{Parsed, Probe, Recorded};
///
/// let mut recorded = Recorded::new(Probe::Tcptracer);
/// let mut pids = Vec::new();
/// for line in "T  PID    COMM             IP SADDR            DADDR            SPORT  DPORT\n\
///              C  20656  new\nline         4  127.0.0.1        127.0.0.1        42334  6001".lines() {
///     recorded.line(line.as_bytes(), |_number, read| {
///         if let Ok(Parsed::Record { record, .. }) = read {
///             pids.push(record.pid());
///         }
///     });
/// }
/// assert_eq!(pids, [Some(20656)]);
/// ```
#[derive(Debug)]
pub struct Recorded {
    parser: Parser,
    /// Number of the last line, from 1.
    number: u64,
    /// The lines that wait for the next.
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    number: u64,
    line: Vec<u8>,
    alone: Result<Parsed, ParseError>,
}

impl Recorded {
    /// A reader that has seen nothing of its tool.
    #[must_use]
    pub fn new(probe: Probe) -> Self {
        Self {
            parser: Parser::new(probe),
            number: 0,
            held: VecDeque::new(),
        }
    }

    /// Reads the next line, and tells `tell` what has become known: the numbers of lines, from 1, in
    /// rising order, and what [`Parser::line`] made of them. The number of a record in pieces is its first piece's.
    pub fn line(&mut self, line: &[u8], mut tell: impl FnMut(u64, Result<Parsed, ParseError>)) {
        self.number += 1;
        let joined = self.joined(line);
        let alone = self.parser.line(line);
        if let Some((pieces, record)) = joined {
            let first = self.held.len() - pieces;
            let number = self.held[first].number;
            for held in self.held.drain(..).take(first) {
                tell(held.number, held.alone);
            }
            let twice = matches!(alone, Ok(Parsed::Record { .. }));
            tell(
                number,
                if twice {
                    Err(self.parser.error(EITHER, line))
                } else {
                    Ok(record)
                },
            );
            return;
        }
        let waits = match alone {
            // A name can begin with a newline or have two in a row: an empty piece looks like a blank line.
            Err(_) | Ok(Parsed::Banner) => self.parser.has_header(),
            Ok(_) => false,
        };
        if !waits {
            self.end(&mut tell);
            tell(self.number, alone);
            return;
        }
        if self.held.len() == MOST_PIECES {
            self.held
                .pop_front()
                .into_iter()
                .for_each(|held| tell(held.number, held.alone));
        }
        self.held.push_back(Held {
            number: self.number,
            line: line.strip_suffix(b"\n").unwrap_or(line).into(),
            alone,
        });
    }

    /// Tells what was held back, since no line follows.
    pub fn end(&mut self, mut tell: impl FnMut(u64, Result<Parsed, ParseError>)) {
        for held in self.held.drain(..) {
            tell(held.number, held.alone);
        }
    }

    /// The record that the last held lines make with this one, and how many of them.
    fn joined(&self, line: &[u8]) -> Option<(usize, Parsed)> {
        (1..=self.held.len()).find_map(|pieces| {
            let mut event = Vec::new();
            for held in self.held.range(self.held.len() - pieces..) {
                event.extend_from_slice(&held.line);
                event.push(b'\n');
            }
            event.extend_from_slice(line);
            self.parser.event(&event).map(|record| (pieces, record))
        })
    }
}

/// Two readings of a line, of which one must be wrong.
const EITHER: Fault = Fault {
    column: "COMM",
    at: 0,
    expected: "a line that is no record of its own after one that it completes",
};
