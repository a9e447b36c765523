//! A tool that says what the test wants, when the test wants it.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::replay::{TCPCONNECT_HEADER, Tools};

/// A tcpconnect that prints what it is fed, over and over.
pub(crate) struct Feed {
    pipe: PathBuf,
    tools: Tools,
}

/// A line on its way into a tool, until it is dropped.
pub(crate) struct Feeding(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Feed {
    pub(crate) fn new() -> Self {
        let tools = Tools::new();
        let pipe = tools.path().join("lines");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let python = format!(
            "print({TCPCONNECT_HEADER:?})\nwhile True:\n  for line in open('{}'):\n    print(line, end='')\n",
            pipe.display()
        );
        let tools = tools.script("tcpconnect", &python);
        Self { pipe, tools }
    }

    /// The folder that it is in.
    pub(crate) fn tools(&self) -> &Path {
        self.tools.path()
    }

    /// The line again and again, until what is given is dropped.
    pub(crate) fn line(&self, line: String) -> Feeding {
        let (end, pipe) = (Arc::new(AtomicBool::new(false)), self.pipe.clone());
        let ended = Arc::clone(&end);
        let feeding = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                // There is no reader before the tool has begun, nor after it has ended.
                let pipe = std::fs::OpenOptions::new()
                    .write(true)
                    .custom_flags(OFlag::O_NONBLOCK.bits())
                    .open(&pipe);
                if let Ok(mut pipe) = pipe {
                    // In one piece: where two tools read, each takes what one write has brought.
                    pipe.write_all(format!("{line}\n").as_bytes()).ok();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Feeding(end, Some(feeding))
    }
}

impl Drop for Feeding {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().map(JoinHandle::join);
    }
}
