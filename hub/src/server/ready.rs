//! Waiting until a server says where it listens.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// A folder that a file is expected in.
pub(super) struct Watch {
    folder: PathBuf,
    events: Inotify,
}

impl Watch {
    /// Watches from now on.
    ///
    /// # Errors
    /// When the folder can't be watched.
    pub(super) fn new(folder: PathBuf) -> io::Result<Self> {
        let events = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        events.add_watch(
            &folder,
            AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO,
        )?;
        Ok(Self { folder, events })
    }

    /// Waits for a file that was written and closed, and reads it: the server writes its ports file
    /// after it has begun to listen, and in more than one step.
    ///
    /// # Errors
    /// When it can't be waited for or read.
    pub(super) fn file(self, limit: Duration) -> io::Result<Option<String>> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(
                &mut [PollFd::new(self.events.as_fd(), PollFlags::POLLIN)],
                timeout,
            ) {
                Ok(0) => return Ok(None),
                Ok(_) => {
                    if let Some(name) = self
                        .events
                        .read_events()?
                        .into_iter()
                        .find_map(|event| event.name)
                    {
                        return std::fs::read_to_string(self.folder.join(name)).map(Some);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
