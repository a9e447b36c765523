//! Lines to standard output, by a thread of their own: a slow terminal must not hold up the
//! receiving of messages.

use std::io::{self, BufWriter, Write};

use probeparser::wire::Envelope;
use tokio::sync::{mpsc, oneshot};

use super::{Bookmark, Format, classic, json};
use crate::receive::Mark;

/// Records that may wait to be written.
const BACKLOG: usize = 4096;
/// Records that are formatted before they are written.
const BATCH: usize = 512;
/// Bytes that are collected before they are written, unless there is nothing to wait for.
const BUFFER: usize = 256 << 10;

/// Bytes that a pipe takes in one piece or not at all.
const PIECE: usize = 4096;

/// What the writer gets.
pub(crate) enum Line {
    /// A record, and the point of the stream behind it, if it was kept by one.
    Record(Box<Envelope<'static>>, Option<Mark>),
    /// A point of the stream behind something that is not to be shown.
    Passed(Mark),
}

/// How the writing ended.
#[derive(Debug)]
pub(crate) enum Closed {
    /// Everything was written.
    Done,
    /// The reader has gone, as `head` does when it has enough.
    ByReader,
    /// Writing failed.
    Failed(io::Error),
}

/// The writing thread, seen from the session.
pub(crate) struct Writer {
    closed: oneshot::Receiver<Closed>,
}

impl Writer {
    /// Starts writing to `output`, which is a terminal or not, what comes through the channel; with a
    /// bookmark, it is known afterwards how far that came.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        output: impl Write + Send + 'static,
        format: Format,
        terminal: bool,
        bookmark: Option<Bookmark>,
    ) -> io::Result<(Self, mpsc::Sender<Line>)> {
        let (lines, records) = mpsc::channel(BACKLOG);
        let (closing, closed) = oneshot::channel();
        std::thread::Builder::new()
            .name("show".into())
            .spawn(move || {
                let show = Show { format, terminal };
                let end = match bookmark {
                    None => write(BufWriter::with_capacity(BUFFER, output), records, show),
                    Some(bookmark) => write_marked(output, records, show, bookmark),
                };
                let end = match end {
                    Ok(()) => Closed::Done,
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Closed::ByReader,
                    Err(error) => Closed::Failed(error),
                };
                // The session may have left already.
                drop(closing.send(end));
            })?;
        Ok((Self { closed }, lines))
    }

    /// How the writing ended, once it has: after the last sender is gone, or when it failed.
    pub(crate) async fn closed(&mut self) -> Closed {
        match (&mut self.closed).await {
            Ok(closed) => closed,
            Err(_) => Closed::Failed(io::Error::other("the writing thread has panicked")),
        }
    }
}

/// How a record is shown.
#[derive(Clone, Copy)]
struct Show {
    format: Format,
    terminal: bool,
}

impl Show {
    /// Adds a record's line.
    fn add(self, text: &mut Vec<u8>, envelope: &Envelope<'_>) {
        match self.format {
            Format::Classic => classic::line(text, Some(envelope.sys_time), &envelope.record),
            Format::Json => json::line(text, envelope, self.terminal),
        }
    }
}

fn write(
    mut output: BufWriter<impl Write>,
    mut records: mpsc::Receiver<Line>,
    show: Show,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut text = Vec::with_capacity(BUFFER);
    while records.blocking_recv_many(&mut batch, BATCH) > 0 {
        for line in batch.drain(..) {
            if let Line::Record(envelope, _) = line {
                show.add(&mut text, &envelope);
            }
        }
        output.write_all(&text)?;
        text.clear();
        if records.is_empty() {
            output.flush()?;
        }
    }
    output.flush()
}

/// Writes pieces that are small enough to come through a pipe whole, each with its mark.
fn write_marked(
    mut output: impl Write,
    mut records: mpsc::Receiver<Line>,
    show: Show,
    mut bookmark: Bookmark,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut text = Vec::with_capacity(2 * PIECE);
    let mut behind = None;
    while records.blocking_recv_many(&mut batch, BATCH) > 0 {
        for line in batch.drain(..) {
            let (before, mark) = (
                text.len(),
                match line {
                    Line::Record(envelope, mark) => {
                        show.add(&mut text, &envelope);
                        mark
                    }
                    Line::Passed(mark) => Some(mark),
                },
            );
            if before > 0 && text.len() > PIECE {
                bookmark.write(&mut output, &text[..before], behind)?;
                text.drain(..before);
            }
            behind = mark.or(behind);
        }
        bookmark.write(&mut output, &text, behind)?;
        text.clear();
    }
    Ok(())
}
