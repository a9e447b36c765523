//! From a tool's writes to lines: what is printed in one callback is one event, the rest are lines.

use crate::probe::frame::LINE_CAP;

/// One line as it goes out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Captured<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) in_callback: bool,
    pub(crate) cut: bool,
}

/// Text that is being collected, up to a cap.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    cut: bool,
}

impl Pending {
    fn push(&mut self, more: &[u8]) {
        let room = LINE_CAP - self.bytes.len();
        self.cut |= more.len() > room;
        self.bytes.extend_from_slice(&more[..more.len().min(room)]);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.cut = false;
    }
}

/// Assembles what one tool prints. Pure: whoever calls gives a place for the lines to go.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    line: Pending,
    event: Pending,
    /// Nested callbacks are one event of the outermost.
    depth: u32,
}

impl Capture {
    /// Whether a callback is running.
    pub(crate) fn in_callback(&self) -> bool {
        self.depth > 0
    }

    /// Takes what the tool wrote. Outside a callback every newline ends a line.
    pub(crate) fn write(&mut self, mut bytes: &[u8], mut line: impl FnMut(Captured<'_>)) {
        if self.in_callback() {
            self.event.push(bytes);
            return;
        }
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (head, rest) = (&bytes[..end], &bytes[end + 1..]);
            // Most lines come whole: they go out without a copy.
            if self.line.bytes.is_empty() && head.len() <= LINE_CAP {
                line(Captured {
                    bytes: head,
                    in_callback: false,
                    cut: false,
                });
            } else {
                self.line.push(head);
                line(Captured {
                    bytes: &self.line.bytes,
                    in_callback: false,
                    cut: self.line.cut,
                });
                self.line.clear();
            }
            bytes = rest;
        }
        self.line.push(bytes);
    }

    /// A callback begins.
    pub(crate) fn begin(&mut self) {
        self.depth += 1;
    }

    /// A callback ended. What it printed, without the last newline, is one event; nothing printed is
    /// none. A callback that `failed` before it finished its line leaves no half record behind:
    /// true says that text was thrown away.
    pub(crate) fn end(&mut self, failed: bool, line: impl FnOnce(Captured<'_>)) -> bool {
        self.depth = self.depth.saturating_sub(1);
        if self.in_callback() || self.event.bytes.is_empty() {
            return false;
        }
        let whole = self.event.bytes.strip_suffix(b"\n");
        let half = failed && whole.is_none() && !self.event.cut;
        if !half {
            line(Captured {
                bytes: whole.unwrap_or(&self.event.bytes),
                in_callback: true,
                cut: self.event.cut,
            });
        }
        self.event.clear();
        half
    }

    /// The tool is over: what it printed without a newline is a line, too.
    pub(crate) fn finish(&mut self, line: impl FnOnce(Captured<'_>)) {
        if !self.line.bytes.is_empty() {
            line(Captured {
                bytes: &self.line.bytes,
                in_callback: false,
                cut: self.line.cut,
            });
            self.line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Owned = (Vec<u8>, bool, bool);

    fn keep(into: &mut Vec<Owned>) -> impl FnMut(Captured<'_>) + '_ {
        |line| into.push((line.bytes.to_vec(), line.in_callback, line.cut))
    }

    #[test]
    fn text_outside_callbacks_is_cut_at_newlines_wherever_the_writes_end() {
        let (mut capture, mut seen) = (Capture::default(), Vec::new());
        for piece in ["TIME ", "PID\n", "a\nb\nc", "", "\n", "tail"] {
            capture.write(piece.as_bytes(), keep(&mut seen));
        }
        capture.finish(keep(&mut seen));
        let lines: Vec<_> = seen.iter().map(|line| line.0.as_slice()).collect();
        assert_eq!(lines, [&b"TIME PID"[..], b"a", b"b", b"c", b"tail"]);
        assert!(seen.iter().all(|line| !line.1 && !line.2));
    }

    #[test]
    fn one_callback_is_one_event_with_its_newlines() {
        let (mut capture, mut seen) = (Capture::default(), Vec::new());
        capture.write(b"half a head", keep(&mut seen));
        capture.begin();
        for piece in [&b"1.0 "[..], b"a\nb", b" 4\n"] {
            capture.write(piece, keep(&mut seen));
        }
        assert!(!capture.end(false, keep(&mut seen)));
        capture.write(b"er\n", keep(&mut seen));
        assert_eq!(
            seen,
            [
                (b"1.0 a\nb 4".to_vec(), true, false),
                (b"half a header".to_vec(), false, false)
            ]
        );
    }

    #[test]
    fn a_silent_callback_is_no_event() {
        let (mut capture, mut seen) = (Capture::default(), Vec::new());
        capture.begin();
        capture.end(false, keep(&mut seen));
        assert!(seen.is_empty());
    }

    #[test]
    fn a_callback_that_fails_leaves_whole_lines_only() {
        let (mut capture, mut seen) = (Capture::default(), Vec::new());
        capture.begin();
        capture.write(b"0.000  C ", keep(&mut seen));
        assert!(capture.end(true, keep(&mut seen)));
        capture.begin();
        capture.write(b"whole\n", keep(&mut seen));
        assert!(!capture.end(true, keep(&mut seen)));
        assert_eq!(seen, [(b"whole".to_vec(), true, false)]);
    }

    #[test]
    fn what_is_longer_than_the_cap_is_cut_and_says_so() {
        let long = vec![b'x'; LINE_CAP + 10];
        let (mut capture, mut seen) = (Capture::default(), Vec::new());
        capture.begin();
        capture.write(&long, keep(&mut seen));
        capture.write(b"\n", keep(&mut seen));
        capture.end(false, keep(&mut seen));
        capture.write(&long, keep(&mut seen));
        capture.write(b"\nnext\n", keep(&mut seen));
        let shape: Vec<_> = seen
            .iter()
            .map(|line| (line.0.len(), line.1, line.2))
            .collect();
        assert_eq!(
            shape,
            [
                (LINE_CAP, true, true),
                (LINE_CAP, false, true),
                (4, false, false)
            ]
        );
    }
}
