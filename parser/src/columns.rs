//! A walk along the cells of a line. Cells have the header's widths, and a value that is wider
//! than its cell pushes the next ones to the right.

use crate::error::Fault;
use crate::number::{self, Fixed};
use crate::record::Clock;

/// In what a tool counts the width of a text: those that write bytes count bytes, those that
/// `print` a decoded string count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Chars,
}

/// A place in a line. It is copied to try a reading, and only moves over what it has read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(line: &'a [u8]) -> Self {
        Self { line, at: 0 }
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.line[self.at..]
    }

    pub(crate) fn fault(&self, column: &'static str, expected: &'static str) -> Fault {
        Fault {
            column,
            at: self.at,
            expected,
        }
    }

    /// The digits that begin here, perhaps none.
    pub(crate) fn digits(&self) -> &'a [u8] {
        let rest = self.rest();
        &rest[..number::digit_run(rest)]
    }

    /// Moves over a value of `length` bytes and the blanks that fill its cell up to `stride`: the
    /// distance of two titles in the header. The line may end before the blanks do.
    pub(crate) fn pass(
        &mut self,
        column: &'static str,
        length: usize,
        stride: usize,
    ) -> Result<(), Fault> {
        let rest = self.rest();
        let end = rest.len().min(stride);
        if rest
            .get(length..end)
            .unwrap_or_default()
            .iter()
            .any(|byte| *byte != b' ')
        {
            self.at += length;
            return Err(self.fault(column, "blanks up to the cell's width"));
        }
        self.at += length.max(end);
        Ok(())
    }

    /// As [`Self::pass`], for a cell whose format ends in a blank: no value touches the next one.
    fn pass_apart(
        &mut self,
        column: &'static str,
        length: usize,
        stride: usize,
    ) -> Result<(), Fault> {
        self.pass(column, length, stride.max(length + 1))
    }

    /// `HH:MM:SS` and the blank that ends its cell.
    pub(crate) fn clock(&mut self) -> Result<Clock, Fault> {
        let rest = self.rest();
        match rest.get(..8).and_then(Clock::from_bytes) {
            Some(clock) if rest.get(8) == Some(&b' ') => {
                self.at += 9;
                Ok(clock)
            }
            _ => Err(self.fault("TIME", "HH:MM:SS and a blank")),
        }
    }

    /// `TIME(s)` of three decimals. It may touch the next cell: its third decimal ends it.
    pub(crate) fn seconds_touching(&mut self, stride: usize) -> Result<f64, Fault> {
        let Some(Fixed { value, length }) = number::fixed(self.rest(), 3) else {
            return Err(self.fault("TIME(s)", "seconds with three decimals"));
        };
        self.pass("TIME(s)", length, stride)?;
        Ok(value)
    }

    /// `TIME(s)` in a cell that ends in a blank.
    pub(crate) fn seconds_apart(&mut self, stride: usize, decimals: usize) -> Result<f64, Fault> {
        let Some(Fixed { value, length }) = number::fixed(self.rest(), decimals) else {
            return Err(self.fault("TIME(s)", "seconds with all their decimals"));
        };
        self.pass_apart("TIME(s)", length, stride)?;
        Ok(value)
    }

    /// A left-aligned number that may touch a next cell which does not begin with a digit.
    pub(crate) fn number_touching(
        &mut self,
        column: &'static str,
        stride: usize,
    ) -> Result<u64, Fault> {
        let digits = self.digits();
        let value = self.decimal(column, digits)?;
        self.pass(column, digits.len(), stride)?;
        Ok(value)
    }

    /// A left-aligned number in a cell that ends in a blank.
    pub(crate) fn number(&mut self, column: &'static str, stride: usize) -> Result<u32, Fault> {
        let digits = self.digits();
        let value = number::unsigned32(digits)
            .ok_or_else(|| self.fault(column, "a decimal number below 2^32"))?;
        self.pass_apart(column, digits.len(), stride)?;
        Ok(value)
    }

    /// The first `length` bytes as a number, and nothing about what follows them.
    pub(crate) fn number_of(&mut self, column: &'static str, length: usize) -> Result<u64, Fault> {
        let value = self.decimal(column, self.rest().get(..length).unwrap_or_default())?;
        self.at += length;
        Ok(value)
    }

    fn decimal(&self, column: &'static str, digits: &[u8]) -> Result<u64, Fault> {
        number::unsigned(digits).ok_or_else(|| self.fault(column, "a decimal number"))
    }

    /// A number that `%Nd` printed: blanks before it fill its cell. The blank after it may be missing at the
    /// line's end.
    pub(crate) fn number_right(
        &mut self,
        column: &'static str,
        width: usize,
    ) -> Result<u64, Fault> {
        self.pad_left(column, width, number::digit_run)?;
        let digits = self.digits();
        let value = self.decimal(column, digits)?;
        self.pass_apart(column, digits.len(), 0)?;
        Ok(value)
    }

    /// As [`Self::number_right`], for a number that may be negative.
    pub(crate) fn signed_right(
        &mut self,
        column: &'static str,
        width: usize,
    ) -> Result<i64, Fault> {
        let length = |rest: &[u8]| {
            let sign = usize::from(rest.first() == Some(&b'-'));
            sign + number::digit_run(&rest[sign..])
        };
        self.pad_left(column, width, length)?;
        let rest = self.rest();
        let text = &rest[..length(rest)];
        let value = number::signed(text)
            .ok_or_else(|| self.fault(column, "a decimal number, perhaps negative"))?;
        self.pass_apart(column, text.len(), 0)?;
        Ok(value)
    }

    /// Moves over the blanks that align a value of `length(rest)` bytes to the right.
    fn pad_left(
        &mut self,
        column: &'static str,
        width: usize,
        length: impl Fn(&[u8]) -> usize,
    ) -> Result<(), Fault> {
        let blanks = self.blanks();
        let filled = blanks + length(&self.rest()[blanks..]);
        if filled != width && (blanks > 0 || filled < width) {
            return Err(self.fault(column, "a number aligned to the right of its cell"));
        }
        self.at += blanks;
        Ok(())
    }

    /// A number with `decimals` digits after the point, blanks before it skipped, and a blank or `suffix` after.
    pub(crate) fn decimals(
        &mut self,
        column: &'static str,
        decimals: usize,
        suffix: &str,
    ) -> Result<f64, Fault> {
        self.skip_blanks();
        let fixed = number::fixed(self.rest(), decimals);
        let Some(Fixed { value, length }) =
            fixed.filter(|fixed| self.rest()[fixed.length..].starts_with(suffix.as_bytes()))
        else {
            return Err(self.fault(column, "a number with decimals"));
        };
        self.pass_apart(column, length + suffix.len(), 0)?;
        Ok(value)
    }

    /// A text of exactly `width` in its unit, padding included, and the blank after it. The padding is cut; blanks
    /// at the text's start are its own.
    pub(crate) fn text(
        &mut self,
        column: &'static str,
        width: usize,
        unit: Unit,
    ) -> Result<&'a [u8], Fault> {
        let rest = self.rest();
        let length = match unit {
            Unit::Bytes => Some(width),
            Unit::Chars => length_of_chars(rest, width),
        };
        match length.and_then(|length| Some((rest.get(..length)?, *rest.get(length)?))) {
            Some((cell, b' ')) => {
                self.at += cell.len() + 1;
                Ok(without_padding(cell))
            }
            _ => Err(self.fault(column, "a text that fills its cell, and a blank")),
        }
    }

    /// What stands before the next blank, which must not be here, and that blank.
    pub(crate) fn token(&mut self, column: &'static str) -> Result<&'a [u8], Fault> {
        let rest = self.rest();
        let length = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.fault(column, "a value at this place"));
        }
        self.at += (length + 1).min(rest.len());
        Ok(&rest[..length])
    }

    /// As [`Self::token`], blanks before it skipped.
    pub(crate) fn next_token(&mut self, column: &'static str) -> Result<&'a [u8], Fault> {
        self.skip_blanks();
        self.token(column)
    }

    /// A value without blanks that is left-aligned in a cell that ends in a blank, and may be empty.
    pub(crate) fn word(&mut self, column: &'static str, stride: usize) -> Result<&'a [u8], Fault> {
        let rest = self.rest();
        let length = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        self.pass_apart(column, length, stride)?;
        Ok(&rest[..length])
    }

    /// Moves over the blanks that begin here.
    pub(crate) fn skip_blanks(&mut self) {
        self.at += self.blanks();
    }

    /// How many blanks begin here.
    fn blanks(&self) -> usize {
        let rest = self.rest();
        rest.iter()
            .position(|byte| *byte != b' ')
            .unwrap_or(rest.len())
    }

    /// That nothing but padding is left.
    pub(crate) fn end(&self, column: &'static str) -> Result<(), Fault> {
        let mut end = *self;
        end.skip_blanks();
        if end.at < end.line.len() {
            return Err(end.fault(column, "the line's end after it"));
        }
        Ok(())
    }
}

/// The length in bytes of the first `count` characters. What isn't UTF-8 counts as Python's `replace` counts it.
fn length_of_chars(bytes: &[u8], count: usize) -> Option<usize> {
    if bytes.get(..count)?.is_ascii() {
        return Some(count);
    }
    let mut rest = bytes;
    for _ in 0..count {
        let (_, length) = bstr::decode_utf8(rest);
        if length == 0 {
            return None;
        }
        rest = &rest[length..];
    }
    Some(bytes.len() - rest.len())
}

fn without_padding(cell: &[u8]) -> &[u8] {
    let end = cell.iter().rposition(|byte| *byte != b' ');
    &cell[..end.map_or(0, |last| last + 1)]
}
