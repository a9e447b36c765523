//! The state behind a tool's standard output, and the one place that writes to the agent.
//!
//! A process runs one tool in one thread, so the state is one static. The lock is never held while
//! Python code may run: a signal handler that prints would find it taken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pyo3::prelude::*;

use super::capture::{Capture, Captured};
use super::outlet::{Outlet, Sent};
use super::pace::Pace;
use crate::probe::frame::{Frame, Outcome};

/// Everything a running tool has beyond Python itself.
pub(super) struct Port {
    capture: Capture,
    pub(super) outlet: Outlet,
    pub(super) pace: Pace,
    started: Instant,
    attached: bool,
    /// A BPF program was made: attached means "waits for events" from now on, not "has printed".
    loaded: bool,
}

static PORT: Mutex<Option<Port>> = Mutex::new(None);
static STOPPING: AtomicBool = AtomicBool::new(false);

pub(super) fn port() -> MutexGuard<'static, Option<Port>> {
    PORT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the port of this process; before that, whatever Python prints goes to descriptor 2.
pub(super) fn open(outlet: Outlet) {
    *port() = Some(Port {
        capture: Capture::default(),
        outlet,
        pace: Pace::new(),
        started: Instant::now(),
        attached: false,
        loaded: false,
    });
}

/// Whether the tool was told to end.
pub(super) fn stopping() -> bool {
    STOPPING.load(Ordering::Relaxed)
}

/// Tells the tool to end at its next poll.
pub(super) fn request_stop() {
    STOPPING.store(true, Ordering::Relaxed);
}

/// What the tool wrote to its standard output.
///
/// # Errors
/// What a signal handler raised while the write waited for the agent, outside callbacks only.
pub(super) fn write(py: Python<'_>, bytes: &[u8]) -> PyResult<()> {
    let mut guard = port();
    let Some(port) = guard.as_mut() else {
        drop(guard);
        super::stdio::write_fd(2, bytes);
        return Ok(());
    };
    let Port {
        capture,
        outlet,
        pace,
        started,
        attached,
        loaded,
    } = port;
    let others_wait = !outlet.is_empty();
    let mut lines = 0;
    capture.write(bytes, |line| {
        lines += 1;
        if !*attached && !*loaded {
            // A tool without BPF works as soon as it prints.
            *attached = true;
            outlet.queue(&attached_after(*started, false));
        }
        outlet.queue(&frame(&line));
    });
    if lines == 0 || (pace.may_wait(others_wait) && !outlet.has_batch()) {
        return Ok(());
    }
    drop(guard);
    deliver(py)
}

/// Sends all that waits, however long the agent takes.
///
/// # Errors
/// What a signal handler raised meanwhile: a tool that waits can still be interrupted.
pub(super) fn deliver(py: Python<'_>) -> PyResult<()> {
    loop {
        let mut guard = port();
        let Some(port) = guard.as_mut() else {
            return Ok(());
        };
        match port.outlet.send() {
            Sent::All => return Ok(()),
            Sent::Gone => {
                request_stop();
                return Ok(());
            }
            Sent::Full => {}
        }
        let interrupted = port.outlet.wait(None).is_err();
        drop(guard);
        if interrupted {
            py.check_signals()?;
        }
    }
}

/// Sends what the socket takes now: after each poll, so that no event waits for the next one.
pub(super) fn nudge() {
    if let Some(port) = port().as_mut()
        && port.outlet.send() == Sent::Gone
    {
        request_stop();
    }
}

/// A callback begins.
pub(super) fn begin_callback() {
    if let Some(port) = port().as_mut() {
        port.capture.begin();
    }
}

/// A callback ended; what it printed is one event.
pub(super) fn end_callback(failed: bool) {
    let mut guard = port();
    let Some(Port {
        capture, outlet, ..
    }) = guard.as_mut()
    else {
        return;
    };
    if capture.end(failed, |line| outlet.offer(&frame(&line))) {
        outlet.queue(&Frame::Dropped { count: 1 });
    }
}

/// Whether a callback is running.
pub(super) fn in_callback() -> bool {
    port()
        .as_ref()
        .is_some_and(|port| port.capture.in_callback())
}

/// One line that is known to be whole, e.g. a row of a screen.
pub(super) fn row(bytes: &[u8], is_event: bool) {
    if let Some(port) = port().as_mut() {
        port.outlet.offer(&Frame::Line {
            bytes: &bytes[..bytes.len().min(crate::probe::frame::LINE_CAP)],
            in_callback: is_event,
            cut: bytes.len() > crate::probe::frame::LINE_CAP,
        });
    }
}

/// A program is in the kernel.
pub(super) fn loaded() {
    if let Some(port) = port().as_mut() {
        port.loaded = true;
    }
}

/// The tool waits for its first event. Says whether this was the first call.
pub(super) fn attached() -> bool {
    let mut guard = port();
    let Some(port) = guard.as_mut() else {
        return false;
    };
    if std::mem::replace(&mut port.attached, true) {
        return false;
    }
    port.outlet
        .queue(&attached_after(port.started, port.loaded));
    port.outlet.send();
    true
}

/// Something other than a line, sent at once if the socket takes it.
pub(super) fn tell(frame: &Frame<'_>) {
    if let Some(port) = port().as_mut() {
        port.outlet.queue(frame);
        port.outlet.send();
    }
}

/// How far the tool came: (a program was loaded, it waited for events or printed).
pub(super) fn progress() -> (bool, bool) {
    port()
        .as_ref()
        .map_or((false, false), |port| (port.loaded, port.attached))
}

/// The end of the tool: the unfinished line, what was dropped, and how it ended.
pub(super) fn finish(py: Python<'_>, outcome: Outcome) {
    if let Some(Port {
        capture, outlet, ..
    }) = port().as_mut()
    {
        capture.finish(|line| outlet.queue(&frame(&line)));
        outlet.settle();
        outlet.queue(&Frame::Outcome(outcome));
    }
    // A signal that comes now wants what is happening anyway.
    while deliver(py).is_err() {}
}

fn frame<'a>(line: &Captured<'a>) -> Frame<'a> {
    Frame::Line {
        bytes: line.bytes,
        in_callback: line.in_callback,
        cut: line.cut,
    }
}

fn attached_after(started: Instant, loaded: bool) -> Frame<'static> {
    Frame::Attached {
        after_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        loaded,
    }
}
