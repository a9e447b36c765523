//! What ends a session from outside: signals, and a reader of standard output that goes away.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The signals that mean an orderly end.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes the signals over; from here on they don't end the process by themselves.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Waits until the time is over; for ever without a limit.
pub(crate) async fn time_over(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Waits until nobody can read standard output any more. A quiet session in front of `head` would
/// else live until its next line. Files never report that, so this may wait without end; the thread
/// that does ends with the process.
pub(crate) async fn reader_gone() {
    let (gone, told) = oneshot::channel();
    let watch = move || {
        let stdout = io::stdout();
        // No event is asked for: an error of the other end is reported without.
        let mut watched = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
        while poll(&mut watched, PollTimeout::NONE) == Err(Errno::EINTR) {}
        let happened = watched[0].revents().unwrap_or(PollFlags::empty());
        if happened.intersects(PollFlags::POLLERR | PollFlags::POLLHUP) {
            // The session may be over already.
            gone.send(()).ok();
        }
    };
    // Without a thread, the next line that is written tells it.
    let started = std::thread::Builder::new()
        .name("stdout".into())
        .spawn(watch);
    if started.is_err() || told.await.is_err() {
        std::future::pending::<()>().await;
    }
}
