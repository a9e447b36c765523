//! The lines of one tool, one after the other.

use crate::error::Fault;
use crate::grammar::{self, Grammar};
use crate::record::{Clock, Record};
use crate::{ParseError, Probe};

/// What a line is.
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// Nothing to report: the tool's greeting or farewell, a blank line, cachetop's title line.
    Banner,
    /// The titles of the columns. The lines that follow have these.
    Header,
    /// An event, or a row.
    Record {
        /// The line's columns.
        record: Record,
        /// The wall clock that the tool printed: on the line itself, or (cachetop) above it.
        clock: Option<Clock>,
    },
}

/// Reads the lines of one run of one tool.
///
/// The tool's header line decides the columns, so that one parser reads every release and option
/// of the tool: a line of data before it is an error, and a later header decides anew. A "line" is
/// what the tool printed for one event, without its last newline; a process name in it can hold
/// newlines of its own. Where a file was cut at newlines, such an event comes in pieces, which are
/// errors: no piece has a name of the column's width. ([`crate::Recorded`] joins them. tcplife's
/// CSV has no widths; with `-t`, as x-tracer runs it, a name has no room for what a line must begin with.)
///
/// If the header line ends in a carriage return, as in what a terminal recorded, every line's last
/// carriage return is the terminal's.
#[derive(Clone, Debug)]
pub struct Parser {
    probe: Probe,
    grammar: Option<Grammar>,
    /// The header line ended in `\r`.
    from_terminal: bool,
    /// cachetop's last title.
    clock: Option<Clock>,
    /// The first cells of the first event, which tools with buffered output print too early.
    early: Option<Box<[u8]>>,
}

/// What kind of line it is, before it is read.
enum Kind {
    Banner,
    Title(Clock),
    Header,
    Data,
}

impl Parser {
    /// A parser that has seen nothing of its tool.
    #[must_use]
    pub fn new(probe: Probe) -> Self {
        Self {
            probe,
            grammar: None,
            from_terminal: false,
            clock: None,
            early: None,
        }
    }

    /// The tool whose lines it reads.
    #[must_use]
    pub fn probe(&self) -> Probe {
        self.probe
    }

    /// Only the process of a line, for a filter: nothing is allocated, and what stands behind the
    /// PID is not read. It is always the PID that [`Self::line`] gives.
    ///
    /// None is for lines that tell of no process: banners, headers, cachestat's rows. Those must
    /// be given to [`Self::line`], which learns from them; lines that a filter throws away need not.
    ///
    /// # Errors
    /// When no PID stands where the header says.
    pub fn pid(&self, line: &[u8]) -> Result<Option<u32>, ParseError> {
        let line = self.trim(line);
        match kind(self.probe, line) {
            Kind::Banner | Kind::Title(_) | Kind::Header => Ok(None),
            // Which of the two readings holds, the whole line decides; it is one line of a run.
            Kind::Data if self.early.is_some() => match self.data(&self.with_early(line)) {
                Ok(Parsed::Record { record, .. }) => Ok(record.pid()),
                _ => self.data_pid(line),
            },
            Kind::Data => self.data_pid(line),
        }
        .or_else(|error| self.early_cells(line).map(|_| None).ok_or(error))
    }

    /// Reads a line.
    ///
    /// # Errors
    /// When the line is not one that the tool prints under its header, when the text leaves open
    /// where a column ends, when no header came before it, or when it is a header with titles that
    /// are not known. The next line is read as if this one had not been, but for the last case:
    /// then a header must come first.
    pub fn line(&mut self, line: &[u8]) -> Result<Parsed, ParseError> {
        let trimmed = self.trim(line);
        match kind(self.probe, trimmed) {
            Kind::Banner => Ok(Parsed::Banner),
            Kind::Title(clock) => {
                self.clock = Some(clock);
                Ok(Parsed::Banner)
            }
            Kind::Header => self.header(line),
            Kind::Data if self.early.is_some() => {
                let repaired = self.data(&self.with_early(trimmed));
                self.early = self.early.take().filter(|_| self.grammar.is_none());
                repaired.or_else(|_| self.data(trimmed))
            }
            Kind::Data => self.data(trimmed),
        }
        .or_else(|error| {
            let early = self.early_cells(trimmed).ok_or(error)?;
            self.early = Some(trimmed[..early].into());
            // `line` and its trimmed form begin alike.
            self.line(&line[early..])
        })
    }

    fn trim<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        match line {
            [line @ .., b'\r'] if self.from_terminal => line,
            _ => line,
        }
    }

    fn header(&mut self, line: &[u8]) -> Result<Parsed, ParseError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        self.from_terminal = line.ends_with(b"\r");
        let line = trim_return(line);
        let grammar = Grammar::from_header(self.probe, line);
        self.grammar = grammar.as_ref().ok().cloned();
        match grammar {
            Ok(_) => Ok(Parsed::Header),
            Err(fault) => Err(self.error(fault, line)),
        }
    }

    fn data_pid(&self, line: &[u8]) -> Result<Option<u32>, ParseError> {
        self.grammar
            .as_ref()
            .ok_or(NO_HEADER)
            .and_then(|grammar| grammar.pid(line))
            .map_err(|fault| self.error(fault, line))
    }

    fn data(&self, line: &[u8]) -> Result<Parsed, ParseError> {
        self.grammar
            .as_ref()
            .ok_or(NO_HEADER)
            .and_then(|grammar| grammar.record(line))
            .map(|(record, clock)| Parsed::Record {
                record,
                clock: clock.or(self.clock),
            })
            .map_err(|fault| self.error(fault, line))
    }

    /// Whether a header has decided the columns.
    pub(crate) fn has_header(&self) -> bool {
        self.grammar.is_some()
    }

    /// The record of an event that may be one: nothing is learnt from it.
    pub(crate) fn event(&self, line: &[u8]) -> Option<Parsed> {
        self.data(self.trim(line)).ok()
    }

    #[cold]
    pub(crate) fn error(&self, fault: Fault, line: &[u8]) -> ParseError {
        ParseError::new(self.probe, fault, line)
    }

    /// How many bytes of a line stand before the tool's greeting or header, if both are on it.
    ///
    /// tcpconnect, tcpaccept and execsnoop write titles as text and events as bytes. With standard
    /// output a pipe or a file, Python keeps the text back until the first bytes have gone out, so
    /// that the first cells of the first event come before it.
    #[cold]
    fn early_cells(&self, line: &[u8]) -> Option<usize> {
        let mixed = matches!(
            self.probe,
            Probe::Tcpconnect | Probe::Tcpaccept | Probe::Execsnoop
        );
        if !mixed || self.grammar.is_some() || self.early.is_some() {
            return None;
        }
        (1..line.len().min(LONGEST_EARLY)).find(|early| {
            let line = &line[*early..];
            let titles = trim_return(line);
            // Blanks before the first title still belong to the cells.
            line[0] != b' '
                && (is_greeting(self.probe, titles)
                    || Grammar::from_header(self.probe, titles).is_ok())
        })
    }

    fn with_early(&self, line: &[u8]) -> Vec<u8> {
        [self.early.as_deref().unwrap_or_default(), line].concat()
    }
}

/// The most that a tool prints in one piece before its line is complete: execsnoop's COMM and PID.
const LONGEST_EARLY: usize = 32;

/// The longest process name. A line cut at a newline in a name can begin with that much of a
/// stranger's text, so that a header must be longer to be one.
const LONGEST_COMM: usize = 15;

const NO_HEADER: Fault = Fault {
    column: "header",
    at: 0,
    expected: "the tool's header line before any data",
};

fn kind(probe: Probe, line: &[u8]) -> Kind {
    match line.first() {
        None => Kind::Banner,
        Some(b'0'..=b'9') if probe != Probe::Cachetop => Kind::Data,
        Some(b' ' | b'\t' | b'\r') if line.iter().all(u8::is_ascii_whitespace) => Kind::Banner,
        Some(_) if is_greeting(probe, trim_return(line)) => Kind::Banner,
        Some(_) if is_header(probe, line) => Kind::Header,
        Some(_) => match probe {
            Probe::Cachetop => grammar::title_clock(line).map_or(Kind::Data, Kind::Title),
            _ => Kind::Data,
        },
    }
}

fn trim_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What a tool says beside its table. No data can begin so: the first cell of these tools' lines
/// is a number or one of tcptracer's types.
fn is_greeting(probe: Probe, line: &[u8]) -> bool {
    match probe {
        Probe::Tcptracer | Probe::Tcpconnect => {
            line.starts_with(b"Tracing ")
                && (line.ends_with(b"Ctrl-C to end") || line.ends_with(b"Ctrl-C to end."))
        }
        Probe::Cachetop | Probe::Cachestat => line == b"Detaching...",
        _ => false,
    }
}

/// A header begins with one of the tool's first titles, and no title begins with a digit. Every
/// line of data has a number that stands alone.
fn is_header(probe: Probe, line: &[u8]) -> bool {
    let mut titles = line
        .split(|byte| matches!(byte, b' ' | b','))
        .filter(|title| !title.is_empty());
    line.len() > LONGEST_COMM
        && titles.next().is_some_and(|first| {
            let known = grammar::first_titles(probe);
            known.iter().any(|title| title.as_bytes() == first)
        })
        && !titles.any(|title| title[0].is_ascii_digit())
}
