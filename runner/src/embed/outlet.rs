//! The way out of a tool's process: frames into the agent's socket, with an end to patience.
//!
//! A tool that only prints may wait for the agent: that is the back-pressure a pipe would give it. In
//! an event callback nobody may wait for long, or the kernel's ring overflows unseen behind us: there
//! frames queue up to a cap, and what does not fit is dropped and counted.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};

use crate::probe::frame::Frame;

/// Frames that may wait in this process, bytes.
const QUEUE_CAP: usize = 1 << 20;
/// Events of one poll of the kernel's ring are sent together once they are this many bytes.
const BATCH: usize = 32 * 1024;
/// How long a callback waits for the agent before it drops; once, until the agent moves again.
const PATIENCE: Duration = Duration::from_millis(100);

/// What became of an attempt to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All that was queued is in the socket.
    All,
    /// The socket is full.
    Full,
    /// The agent has closed its end: nobody will ever read.
    Gone,
}

/// The queue in front of the socket.
#[derive(Debug)]
pub(crate) struct Outlet {
    socket: OwnedFd,
    queue: Vec<u8>,
    /// Bytes of `queue` that are in the socket already.
    sent: usize,
    /// Events that did not fit, not yet reported.
    dropped: u64,
    /// The agent did not move during the last wait: the next callback does not wait again.
    stalled: bool,
    gone: bool,
}

impl Outlet {
    /// An outlet into a connected stream socket.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            queue: Vec::with_capacity(2 * BATCH),
            sent: 0,
            dropped: 0,
            stalled: false,
            gone: false,
        }
    }

    /// Queues a frame that must not be lost; the caller sends it, and waits if it has to.
    pub(crate) fn queue(&mut self, frame: &Frame<'_>) {
        if self.dropped > 0 && self.waiting() < QUEUE_CAP {
            let count = std::mem::take(&mut self.dropped);
            Frame::Dropped { count }.encode(&mut self.queue);
        }
        frame.encode(&mut self.queue);
    }

    /// Queues an event from inside a callback: it is sent with others of the same poll, and dropped
    /// and counted when the agent has not made room for it within 100 ms.
    pub(crate) fn offer(&mut self, frame: &Frame<'_>) {
        if self.waiting() >= QUEUE_CAP && self.send() == Sent::Full {
            if !self.stalled {
                // An interrupted wait is a short wait: the signal is for Python, which runs next.
                self.wait(Some(PATIENCE)).ok();
                self.stalled = self.send() == Sent::Full;
            }
            if self.waiting() >= QUEUE_CAP {
                self.dropped += 1;
                return;
            }
        }
        self.queue(frame);
        if self.has_batch() {
            self.send();
        }
    }

    /// Sends what the socket takes now.
    pub(crate) fn send(&mut self) -> Sent {
        while self.sent < self.queue.len() && !self.gone {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match send(self.socket.as_raw_fd(), &self.queue[self.sent..], flags) {
                Ok(count) => {
                    self.sent += count;
                    self.stalled = false;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    self.compact();
                    return Sent::Full;
                }
                Err(_) => self.gone = true,
            }
        }
        self.queue.clear();
        self.sent = 0;
        if self.gone { Sent::Gone } else { Sent::All }
    }

    /// Waits until the socket takes more.
    ///
    /// # Errors
    /// `EINTR` when a signal came; the caller lets Python look at it.
    pub(crate) fn wait(&self, patience: Option<Duration>) -> nix::Result<()> {
        let timeout = patience.map_or(PollTimeout::NONE, |patience| {
            PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX)
        });
        poll(
            &mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLOUT)],
            timeout,
        )
        .map(drop)
    }

    /// Reports what was dropped last; for the end of a tool, when no further frame would.
    pub(crate) fn settle(&mut self) {
        if self.dropped > 0 {
            let count = std::mem::take(&mut self.dropped);
            Frame::Dropped { count }.encode(&mut self.queue);
        }
    }

    /// Whether enough has gathered for a write that is worth its system call.
    pub(crate) fn has_batch(&self) -> bool {
        self.waiting() >= BATCH
    }

    /// Whether anything waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting() == 0
    }

    fn waiting(&self) -> usize {
        self.queue.len() - self.sent
    }

    /// Forgets what was sent once that is most of the queue, so that it cannot grow for ever.
    fn compact(&mut self) {
        if self.sent > self.queue.len() / 2 {
            self.queue.drain(..self.sent);
            self.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::frame::Decoder;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    fn event(bytes: &[u8]) -> Frame<'_> {
        Frame::Line {
            bytes,
            in_callback: true,
            cut: false,
        }
    }

    /// Lines and reported drops in all that `reader` holds.
    fn received(reader: &mut UnixStream) -> (u64, u64) {
        let (mut decoder, mut lines, mut dropped) = (Decoder::default(), 0, 0);
        reader
            .read_to_end(decoder.room())
            .expect("a socket to read");
        while let Some(frame) = decoder.next().expect("whole frames") {
            match frame {
                Frame::Line { .. } => lines += 1,
                Frame::Dropped { count } => dropped += count,
                other => panic!("nobody sent {other:?}"),
            }
        }
        (lines, dropped)
    }

    #[test]
    fn an_agent_that_stands_still_costs_counted_events_and_little_time() {
        let (mut agent, tool) = UnixStream::pair().expect("a socket pair");
        let mut outlet = Outlet::new(tool.into());
        let (text, offered) = ([b'x'; 1000], 3000);
        let begun = std::time::Instant::now();
        for _ in 0..offered {
            outlet.offer(&event(&text));
        }
        assert!(outlet.dropped > 0, "the queue has a cap");
        assert!(
            begun.elapsed() < 10 * PATIENCE,
            "one wait, not one per event"
        );
        // The agent wakes up: the rest goes out, and the loss is told.
        let reader = std::thread::spawn(move || received(&mut agent));
        outlet.settle();
        while outlet.send() == Sent::Full {
            outlet.wait(None).expect("no signal here");
        }
        drop(outlet);
        let (lines, dropped) = reader.join().expect("the reader");
        assert_eq!(lines + dropped, offered);
        assert!(dropped > 0);
    }

    #[test]
    fn events_wait_for_their_batch_and_go_when_told() {
        let (mut agent, tool) = UnixStream::pair().expect("a socket pair");
        agent.set_nonblocking(true).expect("non-blocking");
        let mut outlet = Outlet::new(tool.into());
        outlet.offer(&event(b"one"));
        assert_eq!(
            agent.read(&mut [0; 8]).map_err(|error| error.kind()),
            Err(std::io::ErrorKind::WouldBlock)
        );
        assert_eq!(outlet.send(), Sent::All);
        drop(outlet);
        assert_eq!(received(&mut agent), (1, 0));
    }

    #[test]
    fn a_closed_agent_is_noticed_and_kills_nobody() {
        let (agent, tool) = UnixStream::pair().expect("a socket pair");
        drop(agent);
        let mut outlet = Outlet::new(tool.into());
        outlet.offer(&event(b"one"));
        assert_eq!(outlet.send(), Sent::Gone);
        assert_eq!(outlet.waiting(), 0, "nothing piles up for nobody");
    }
}
