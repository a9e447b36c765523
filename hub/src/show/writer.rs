//! Lines to standard output, by a thread of their own: a slow terminal must not hold up the
//! receiving of messages.

use std::io::{self, BufWriter, Write};

use probeparser::wire::Envelope;
use tokio::sync::{mpsc, oneshot};

use super::{Format, classic, json};

/// Records that may wait to be written.
const BACKLOG: usize = 4096;
/// Records that are formatted before they are written.
const BATCH: usize = 512;
/// Bytes that are collected before they are written, unless there is nothing to wait for.
const BUFFER: usize = 256 << 10;

/// How the writing ended.
#[derive(Debug)]
pub enum Closed {
    /// Everything was written.
    Done,
    /// The reader has gone, as `head` does when it has enough.
    ByReader,
    /// Writing failed.
    Failed(io::Error),
}

/// The writing thread, seen from the session.
pub struct Writer {
    closed: oneshot::Receiver<Closed>,
}

impl Writer {
    /// Starts writing to `output`, which is a terminal or not, what comes through the channel.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        output: impl Write + Send + 'static,
        format: Format,
        terminal: bool,
    ) -> io::Result<(Self, mpsc::Sender<Box<Envelope<'static>>>)> {
        let (lines, records) = mpsc::channel(BACKLOG);
        let (closing, closed) = oneshot::channel();
        std::thread::Builder::new()
            .name("show".into())
            .spawn(move || {
                let output = BufWriter::with_capacity(BUFFER, output);
                let end = match write(output, records, format, terminal) {
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
    pub async fn closed(&mut self) -> Closed {
        match (&mut self.closed).await {
            Ok(closed) => closed,
            Err(_) => Closed::Failed(io::Error::other("the writing thread has panicked")),
        }
    }
}

fn write(
    mut output: BufWriter<impl Write>,
    mut records: mpsc::Receiver<Box<Envelope<'static>>>,
    format: Format,
    terminal: bool,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut text = Vec::with_capacity(BUFFER);
    while records.blocking_recv_many(&mut batch, BATCH) > 0 {
        for envelope in batch.drain(..) {
            match format {
                Format::Classic => {
                    classic::line(&mut text, Some(envelope.sys_time), &envelope.record);
                }
                Format::Json => json::line(&mut text, &envelope, terminal),
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
