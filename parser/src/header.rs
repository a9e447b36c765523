//! The tool's header line: which columns there are and how wide they are.

use crate::error::Fault;

/// The titles of a header line, taken one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Header<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Header<'a> {
    pub(crate) fn new(line: &'a [u8]) -> Self {
        let mut header = Self { line, at: 0 };
        header.skip_blanks();
        header
    }

    fn skip_blanks(&mut self) {
        while self.line.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    /// The next title, untaken.
    pub(crate) fn peek(&self) -> &'a [u8] {
        let rest = &self.line[self.at..];
        let end = rest.iter().position(|byte| *byte == b' ');
        &rest[..end.unwrap_or(rest.len())]
    }

    /// Takes the next title if it is `title`, and gives its stride: the distance to the next
    /// title, or to the line's end.
    pub(crate) fn optional(&mut self, title: &str) -> Option<usize> {
        if self.peek() != title.as_bytes() {
            return None;
        }
        let start = self.at;
        self.at += title.len();
        self.skip_blanks();
        Some(self.at - start)
    }

    /// Takes the next title, which must be `title`, and gives its stride.
    pub(crate) fn column(&mut self, title: &'static str) -> Result<usize, Fault> {
        self.optional(title).ok_or(Fault {
            column: title,
            at: self.at,
            expected: "this title here in the header line",
        })
    }

    /// Takes titles whose widths don't matter.
    pub(crate) fn columns(&mut self, titles: &[&'static str]) -> Result<(), Fault> {
        titles
            .iter()
            .try_for_each(|title| self.column(title).map(|_| ()))
    }

    /// Moves over `length` bytes of titles that were taken as one.
    pub(crate) fn skip(&mut self, length: usize) {
        self.at += length;
        self.skip_blanks();
    }

    /// That every title was taken.
    pub(crate) fn end(&self) -> Result<(), Fault> {
        if self.at == self.line.len() {
            return Ok(());
        }
        Err(Fault {
            column: "header",
            at: self.at,
            expected: "no title that this version does not know",
        })
    }
}
