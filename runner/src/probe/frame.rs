//! What a tool's process tells the agent, as length-prefixed frames over a stream socket.
//!
//! A frame is `u32` length (little endian, of what follows), one kind byte, and the payload. Many
//! frames come with one read; a line is one frame, whatever bytes it holds.

use serde::{Deserialize, Serialize};

/// Longest line that is carried, bytes; what a tool prints beyond it is cut and flagged.
pub const LINE_CAP: usize = 256 * 1024;
/// Longest frame: a line, its flags, and slack for the JSON of the others.
const FRAME_CAP: usize = LINE_CAP + 1024;
const HEADER: usize = 4;

const KIND_LINE: u8 = b'L';
const KIND_ATTACHED: u8 = b'A';
const KIND_LOST: u8 = b'O';
const KIND_DROPPED: u8 = b'D';
const KIND_NOTE: u8 = b'N';
const KIND_HEALABLE: u8 = b'H';
const KIND_HEALED: u8 = b'W';
const KIND_FILTERING: u8 = b'F';
const KIND_OUTCOME: u8 = b'E';

const FLAG_IN_CALLBACK: u8 = 1;
const FLAG_CUT: u8 = 2;

/// One frame; `Line` borrows from the buffer it was read into.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// One event, or one line that a tool printed outside an event.
    Line {
        bytes: &'a [u8],
        in_callback: bool,
        cut: bool,
    },
    /// The tool waits for its first event, this many microseconds after its start; or, without a
    /// program in the kernel, it has printed.
    Attached { after_us: u64, loaded: bool },
    /// The kernel dropped samples of this buffer.
    Lost { buffer: String, count: u64 },
    /// The host dropped events because the agent did not take them in time.
    Dropped { count: u64 },
    /// Something a person should know, e.g. that another attach point was used.
    Note(String),
    /// What could be healed if it should be dead, by its name.
    Healable(String),
    /// The tool runs healed, for this reason.
    Healed(String),
    /// The program that is being compiled holds the in-kernel filter.
    Filtering,
    /// How the tool ended; the last frame of a process that was not killed.
    Outcome(Outcome),
}

/// How a tool ended, in the words of the interpreter.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "how", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It came to its end, or called `exit()` without a complaint. `attached`: not before it had
    /// loaded a program without ever waiting for its events.
    Finished { loaded: bool, attached: bool },
    /// It was told to stop and did.
    Interrupted,
    /// `sys.exit(code)`; `words` is what it gave instead of a number.
    Exited { code: i32, words: String },
    /// An exception escaped: its type, its text, and the end of the traceback.
    Raised {
        kind: String,
        words: String,
        trace: Vec<String>,
    },
}

impl Frame<'_> {
    /// Appends the frame to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Frame::Line {
                bytes,
                in_callback,
                cut,
            } => {
                let flags = if *in_callback { FLAG_IN_CALLBACK } else { 0 }
                    | if *cut { FLAG_CUT } else { 0 };
                put(out, KIND_LINE, &[&[flags], bytes]);
            }
            Frame::Attached { after_us, loaded } => {
                put(
                    out,
                    KIND_ATTACHED,
                    &[&after_us.to_le_bytes(), &[u8::from(*loaded)]],
                );
            }
            Frame::Lost { buffer, count } => {
                put(out, KIND_LOST, &[&count.to_le_bytes(), buffer.as_bytes()]);
            }
            Frame::Dropped { count } => put(out, KIND_DROPPED, &[&count.to_le_bytes()]),
            Frame::Note(text) => put(out, KIND_NOTE, &[short(text)]),
            Frame::Healable(dead) => put(out, KIND_HEALABLE, &[short(dead)]),
            Frame::Healed(reason) => put(out, KIND_HEALED, &[short(reason)]),
            Frame::Filtering => put(out, KIND_FILTERING, &[]),
            Frame::Outcome(outcome) => {
                // Strings and numbers only: there is nothing in it that JSON refuses.
                let json = serde_json::to_vec(outcome).unwrap_or_default();
                put(out, KIND_OUTCOME, &[&json]);
            }
        }
    }
}

/// Appends one frame. The parts are bounded by [`FRAME_CAP`], so the length fits.
fn put(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let length: usize = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.push(kind);
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn short(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(LINE_CAP)]
}

/// A peer that does not speak frames; the connection is of no more use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// A length beyond what any frame has.
    #[error("a frame of {0} bytes was announced, the limit is {FRAME_CAP}")]
    TooLong(usize),
    /// A kind nobody sends, or a payload that does not fit its kind.
    #[error("a frame of kind {0:#04x} makes no sense")]
    Senseless(u8),
}

/// Splits a byte stream into frames without copying their payloads.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    buffer: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Where the next read goes: spare room at the end of what is not decoded yet.
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        const ONE_READ: usize = 128 * 1024;
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.reserve(ONE_READ);
        &mut self.buffer
    }

    /// The next whole frame, or `None` until more bytes have come.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let rest = &self.buffer[self.start..];
        let Some((header, body)) = rest.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*header) as usize;
        if length > FRAME_CAP {
            return Err(FrameError::TooLong(length));
        }
        if body.len() < length {
            return Ok(None);
        }
        self.start += HEADER + length;
        let (kind, payload) = body[..length]
            .split_first()
            .ok_or(FrameError::Senseless(0))?;
        decode(*kind, payload).map(Some)
    }
}

fn decode(kind: u8, payload: &[u8]) -> Result<Frame<'_>, FrameError> {
    let senseless = FrameError::Senseless(kind);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let number = || {
        payload
            .split_first_chunk::<8>()
            .map(|(number, rest)| (u64::from_le_bytes(*number), rest))
    };
    Ok(match kind {
        KIND_LINE => {
            let (flags, bytes) = payload.split_first().ok_or(senseless)?;
            Frame::Line {
                bytes,
                in_callback: flags & FLAG_IN_CALLBACK != 0,
                cut: flags & FLAG_CUT != 0,
            }
        }
        KIND_ATTACHED => {
            let (after_us, loaded) = number().ok_or(senseless)?;
            Frame::Attached {
                after_us,
                loaded: loaded == [1],
            }
        }
        KIND_LOST => {
            let (count, buffer) = number().ok_or(senseless)?;
            Frame::Lost {
                buffer: text(buffer),
                count,
            }
        }
        KIND_DROPPED => Frame::Dropped {
            count: number().ok_or(senseless)?.0,
        },
        KIND_NOTE => Frame::Note(text(payload)),
        KIND_HEALABLE => Frame::Healable(text(payload)),
        KIND_HEALED => Frame::Healed(text(payload)),
        KIND_FILTERING => Frame::Filtering,
        KIND_OUTCOME => Frame::Outcome(serde_json::from_slice(payload).map_err(|_| senseless)?),
        _ => return Err(senseless),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames() -> Vec<Frame<'static>> {
        vec![
            Frame::Line {
                bytes: b"a\nb\xff",
                in_callback: true,
                cut: false,
            },
            Frame::Line {
                bytes: b"",
                in_callback: false,
                cut: true,
            },
            Frame::Attached {
                after_us: 1_234_567,
                loaded: true,
            },
            Frame::Lost {
                buffer: "ipv4_events".into(),
                count: u64::MAX,
            },
            Frame::Dropped { count: 7 },
            Frame::Note("a note".into()),
            Frame::Healable("MISSES".into()),
            Frame::Healed("another way in".into()),
            Frame::Filtering,
            Frame::Outcome(Outcome::Raised {
                kind: "Exception".into(),
                words: "no \u{1b} such".into(),
                trace: vec!["line 1".into()],
            }),
        ]
    }

    #[test]
    fn every_kind_survives_a_stream_cut_anywhere() {
        let mut stream = Vec::new();
        for frame in frames() {
            frame.encode(&mut stream);
        }
        for step in [1, 2, 3, 7, stream.len()] {
            let (mut decoder, mut seen, expected) = (Decoder::default(), 0, frames());
            for piece in stream.chunks(step) {
                decoder.room().extend_from_slice(piece);
                while let Some(frame) = decoder.next().expect("our own frames") {
                    assert_eq!(frame, expected[seen], "step {step}");
                    seen += 1;
                }
            }
            assert_eq!(seen, expected.len(), "step {step}");
        }
    }

    #[test]
    fn a_length_beyond_the_cap_is_refused_before_it_is_awaited() {
        let mut decoder = Decoder::default();
        decoder.room().extend_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decoder.next(), Err(FrameError::TooLong(u32::MAX as usize)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic_or_stand_still(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let mut decoder = Decoder::default();
            decoder.room().extend_from_slice(&bytes);
            let mut frames = 0;
            while let Ok(Some(_)) = decoder.next() {
                frames += 1;
            }
            prop_assert!(frames <= bytes.len() / HEADER);
        }
    }
}
