//! What a tool's process prints for people: Python's tracebacks, clang's diagnostics, libbcc's notes.
//! It comes through pipes, from strangers, in any amount.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// Longest line that is kept, bytes.
const LINE_CAP: usize = 4096;
/// Lines kept for the message of a failure.
const TAIL_LINES: usize = 20;

/// The last lines, for when they turn out to matter.
#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<String>);

impl Tail {
    pub(crate) fn push(&mut self, line: String) {
        if self.0.len() == TAIL_LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.0.into()
    }
}

/// One pipe, read line by line.
#[derive(Debug)]
pub(crate) struct SaidPipe {
    pipe: Option<Receiver>,
    lines: Lines,
}

impl SaidPipe {
    /// Takes the reading end.
    ///
    /// # Errors
    /// The descriptor is not a pipe, or no reactor runs.
    pub(crate) fn new(fd: OwnedFd) -> std::io::Result<Self> {
        Ok(Self {
            pipe: Some(Receiver::from_owned_fd(fd)?),
            lines: Lines::default(),
        })
    }

    /// True while more may come.
    pub(crate) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Waits for more text and returns the lines that are whole. Cancel-safe.
    pub(crate) async fn read(&mut self) -> Vec<String> {
        let Some(pipe) = &mut self.pipe else {
            return Vec::new();
        };
        let mut chunk = Vec::with_capacity(LINE_CAP);
        match pipe.read_buf(&mut chunk).await {
            Ok(count) if count > 0 => self.lines.push(&chunk),
            _ => {
                self.pipe = None;
                self.lines.finish().into_iter().collect()
            }
        }
    }
}

/// Cuts text into lines and long lines short. Blank lines say nothing.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    fn push(&mut self, text: &[u8]) -> Vec<String> {
        let mut whole = Vec::new();
        let mut pieces = text.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = LINE_CAP - self.partial.len();
            self.partial
                .extend_from_slice(&piece[..piece.len().min(room)]);
            if pieces.peek().is_some() {
                whole.extend(self.finish());
            }
        }
        whole
    }

    fn finish(&mut self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.partial).trim_end().to_owned();
        self.partial.clear();
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_short_and_text() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        seen.extend(lines.push(b"one\ntw"));
        seen.extend(lines.push(b"o \n\n  \n\xff\n"));
        seen.extend(lines.push(&[b'x'; 3 * LINE_CAP]));
        seen.extend(lines.push(b"\nend"));
        seen.extend(lines.finish());
        assert_eq!(seen[..3], ["one", "two", "\u{fffd}"]);
        assert_eq!(seen[3].len(), LINE_CAP);
        assert_eq!(seen[4], "end");
    }

    #[test]
    fn the_tail_keeps_the_last_lines() {
        let mut tail = Tail::default();
        (0..100).for_each(|n| tail.push(n.to_string()));
        let lines = tail.into_lines();
        assert_eq!((lines.len(), lines[0].as_str()), (TAIL_LINES, "80"));
    }
}
