//! Lines to standard output, by a thread of their own: a slow terminal must not hold up the
//! receiving of messages.

use std::io::{self, Write};

use tokio::sync::{mpsc, oneshot};

use super::Bookmark;
use crate::receive::Mark;

/// Portions of lines that may wait to be written.
const BACKLOG: usize = 64;

/// Bytes that a pipe takes in one piece or not at all.
const PIECE: usize = 4096;

/// What the writer gets: whole lines, as many as came together, or none.
pub(crate) struct Lines {
    /// Their text.
    pub(crate) text: Vec<u8>,
    /// The point behind them in the stream that has kept them.
    pub(crate) mark: Option<Mark>,
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
    /// Starts writing to `output` what comes through the channel; with a
    /// bookmark, it is known afterwards how far that came.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        output: impl Write + Send + 'static,
        bookmark: Option<Bookmark>,
    ) -> io::Result<(Self, mpsc::Sender<Lines>)> {
        let (sender, lines) = mpsc::channel(BACKLOG);
        let (closing, closed) = oneshot::channel();
        std::thread::Builder::new()
            .name("show".into())
            .spawn(move || {
                let end = match bookmark {
                    None => write(output, lines),
                    Some(bookmark) => write_marked(output, lines, bookmark),
                };
                let end = match end {
                    Ok(()) => Closed::Done,
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Closed::ByReader,
                    Err(error) => Closed::Failed(error),
                };
                // The session may have left already.
                drop(closing.send(end));
            })?;
        Ok((Self { closed }, sender))
    }

    /// How the writing ended, once it has: after the last sender is gone, or when it failed.
    pub(crate) async fn closed(&mut self) -> Closed {
        match (&mut self.closed).await {
            Ok(closed) => closed,
            Err(_) => Closed::Failed(io::Error::other("the writing thread has panicked")),
        }
    }
}

fn write(mut output: impl Write, mut lines: mpsc::Receiver<Lines>) -> io::Result<()> {
    while let Some(Lines { text, .. }) = lines.blocking_recv() {
        output.write_all(&text)?;
        output.flush()?;
    }
    Ok(())
}

/// Writes pieces that are small enough to come through a pipe whole, each with its mark.
fn write_marked(
    mut output: impl Write,
    mut lines: mpsc::Receiver<Lines>,
    mut bookmark: Bookmark,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BACKLOG);
    let mut piece = Vec::with_capacity(2 * PIECE);
    let mut behind = None;
    while lines.blocking_recv_many(&mut batch, BACKLOG) > 0 {
        for Lines { text, mark } in batch.drain(..) {
            let before = piece.len();
            piece.extend_from_slice(&text);
            if before > 0 && piece.len() > PIECE {
                bookmark.write(&mut output, &piece[..before], behind)?;
                piece.drain(..before);
            }
            behind = mark.or(behind);
        }
        bookmark.write(&mut output, &piece, behind)?;
        piece.clear();
    }
    Ok(())
}
