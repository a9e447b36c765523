//! Waiting until a server says where it listens, or that it has read its configuration again.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
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
        while has_events(&self.events, deadline)? {
            let events = self.events.read_events()?;
            if let Some(name) = events.into_iter().find_map(|event| event.name) {
                return std::fs::read_to_string(self.folder.join(name)).map(Some);
            }
        }
        Ok(None)
    }
}

/// What a server writes to its log from now on.
pub(super) struct Log {
    file: BufReader<File>,
    events: Inotify,
}

impl Log {
    /// Follows it from its end.
    ///
    /// # Errors
    /// When it can't be read or watched.
    pub(super) fn follow(path: &Path) -> io::Result<Self> {
        let events = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        events.add_watch(path, AddWatchFlags::IN_MODIFY)?;
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file: BufReader::new(file),
            events,
        })
    }

    /// Waits for a message in which something is found.
    ///
    /// # Errors
    /// When it can't be waited for or read.
    pub(super) fn find<T>(
        mut self,
        limit: Duration,
        found: impl Fn(&str) -> Option<T>,
    ) -> io::Result<Option<T>> {
        let deadline = Instant::now() + limit;
        let mut line = Vec::new();
        while has_events(&self.events, deadline)? {
            // Whatever has happened, it is read below.
            self.events.read_events()?;
            while self.file.read_until(b'\n', &mut line)? > 0 {
                // The server may be in the middle of a line.
                if line.ends_with(b"\n") {
                    let text = String::from_utf8_lossy(&line);
                    if let Some(found) = message(&text).and_then(&found) {
                        return Ok(Some(found));
                    }
                    line.clear();
                }
            }
        }
        Ok(None)
    }
}

/// The message of a line of the log, behind the process, date, time and level. Strangers' names may stand in
/// it, but not at its beginning.
fn message(line: &str) -> Option<&str> {
    line.trim_end().splitn(5, ' ').nth(4)
}

/// Waits until there are events; there are none when time is over.
fn has_events(events: &Inotify, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(
            &mut [PollFd::new(events.as_fd(), PollFlags::POLLIN)],
            timeout,
        ) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
