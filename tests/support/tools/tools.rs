//! The tools' headers and rows, written from their documented formats: the parser's counterpart.

use std::fmt::{Display, Write as _};

use probeparser::Text;

mod header;
mod row;

pub(crate) use header::header;
pub(crate) use row::row;

/// What a tool was told, and how old it is. Each tool looks at what it knows.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the tools' own flags"
)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// `-T`: a wall clock.
    pub clock: bool,
    /// `-t`: seconds since the start.
    pub time: bool,
    /// tcptracer `-v`: words for types, nanoseconds, NETNS.
    pub verbose: bool,
    /// `-U`: UIDs.
    pub uid: bool,
    /// tcpconnect `-L`: local ports.
    pub lport: bool,
    /// tcpconnect `-d`: names.
    pub query: bool,
    /// PID (and biosnoop's DISK) as narrow as before BCC 0.25.
    pub narrow: bool,
    /// The layouts of BCC 0.8.
    pub oldest: bool,
    /// tcplife `-w`, with addresses this wide.
    pub wide: Option<usize>,
    /// tcplife `-s`.
    pub csv: bool,
    /// execsnoop `-M`.
    pub parent: bool,
    /// execsnoop `-C`.
    pub cpu: bool,
    /// biosnoop `-P`.
    pub pattern: bool,
    /// biosnoop `-Q`.
    pub queue: bool,
}

/// Cells, one after the other.
#[derive(Default)]
struct Row(Vec<u8>);

impl Row {
    /// `%-Ns`, counted in characters.
    fn left(&mut self, width: usize, value: impl Display) -> &mut Self {
        let text = value.to_string();
        let blanks = width.saturating_sub(text.chars().count());
        self.0.extend_from_slice(text.as_bytes());
        self.0.resize(self.0.len() + blanks, b' ');
        self
    }

    /// `%Ns`.
    fn right(&mut self, width: usize, value: impl Display) -> &mut Self {
        write!(self, "{value:>width$}").expect("a vector takes every write");
        self
    }

    fn put(&mut self, text: &str) -> &mut Self {
        self.left(0, text)
    }

    /// `%-Ns` of a name, counted in bytes or, as Python decodes it, in characters.
    fn name(&mut self, width: usize, bytes: bool, name: &Text) -> &mut Self {
        let length = if bytes {
            name.as_bytes().len()
        } else {
            name.to_str_lossy().chars().count()
        };
        self.0.extend_from_slice(name.as_bytes());
        let blanks = width.saturating_sub(length);
        self.0.resize(self.0.len() + blanks, b' ');
        self
    }
}

impl std::fmt::Write for Row {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
