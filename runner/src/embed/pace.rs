//! When a line that was printed outside a callback is sent: at once, or with its successors.
//!
//! One system call a line is right for a tool that prints now and then, and most of the cost for one
//! that replays a recording. After a burst, lines gather into batches; a thread that knows no Python
//! sees to it that none waits longer than [`TICK`] when the burst ends without notice.

use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

use super::port::{self, Port};

/// Longest time that a line waits for others.
const TICK: Duration = Duration::from_millis(5);
/// Lines that follow each other faster than this, on average, are a burst.
const GAP: Duration = Duration::from_millis(1);
/// Lines of a burst that are sent one by one before batches begin.
const WARM_UP: u32 = 64;
/// Ticks without work after which the thread sleeps until it is called.
const IDLE_TICKS: u32 = 20;

static CALL: Condvar = Condvar::new();

/// The recent past of the tool's plain output.
#[derive(Debug)]
pub(super) struct Pace {
    last: Instant,
    /// Lines since then.
    lines: u32,
    burst: u32,
    sweeper: Sweeper,
}

#[derive(Debug, PartialEq, Eq)]
enum Sweeper {
    None,
    Awake,
    Asleep,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            last: Instant::now(),
            lines: 0,
            burst: 0,
            sweeper: Sweeper::None,
        }
    }

    /// True when what is queued may wait for more; the sweeper is awake then. The clock is not asked for a
    /// line that finds others waiting in a burst: it goes with them.
    pub(super) fn may_wait(&mut self, others_wait: bool) -> bool {
        self.lines = self.lines.saturating_add(1);
        if !others_wait || self.burst <= WARM_UP {
            let now = Instant::now();
            let time = now.duration_since(std::mem::replace(&mut self.last, now));
            let lines = std::mem::take(&mut self.lines);
            self.burst = if time < GAP.saturating_mul(lines) {
                self.burst.saturating_add(lines)
            } else {
                0
            };
        }
        self.burst > WARM_UP && self.wake_sweeper()
    }

    fn wake_sweeper(&mut self) -> bool {
        match self.sweeper {
            Sweeper::Awake => return true,
            Sweeper::Asleep => CALL.notify_one(),
            // Without a thread every line goes at once, as before.
            Sweeper::None if start_sweeper().is_err() => return false,
            Sweeper::None => {}
        }
        self.sweeper = Sweeper::Awake;
        true
    }
}

/// Starts the thread. It takes no signal: those are for Python, in the main thread.
fn start_sweeper() -> std::io::Result<()> {
    let mut before = SigSet::empty();
    pthread_sigmask(
        SigmaskHow::SIG_SETMASK,
        Some(&SigSet::all()),
        Some(&mut before),
    )?;
    let started = std::thread::Builder::new()
        .name("sweeper".to_owned())
        .spawn(|| sweep(port::port()));
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    started.map(drop)
}

fn sweep(mut guard: MutexGuard<'static, Option<Port>>) {
    let mut idle = 0;
    while let Some(port) = guard.as_mut() {
        idle = if port.outlet.is_empty() { idle + 1 } else { 0 };
        // A full socket is tried again at the next tick; a closed one is the main thread's to notice.
        port.outlet.send();
        if idle > IDLE_TICKS {
            idle = 0;
            port.pace.sweeper = Sweeper::Asleep;
            guard = CALL.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        drop(guard);
        std::thread::sleep(TICK);
        guard = port::port();
    }
}
