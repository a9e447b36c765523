//! The process of one tool, from the fork to `_exit`.

use std::os::fd::{AsFd, OwnedFd, RawFd};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask,
};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, getppid, setpgid};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::outlet::Outlet;
use super::{port, stdio};
use crate::probe::control::{START_FDS, ToolRun};
use crate::probe::frame::Outcome;

/// Signals that the agent's runtime, its shell or the warm parent may have changed. Rust handles the two
/// faults, to name stack overflows of its own threads; here they mean what they always mean.
const FRESH: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGCHLD,
    Signal::SIGHUP,
    Signal::SIGSEGV,
    Signal::SIGBUS,
];

/// First steps after the fork: a process that dies with its parent and hears signals like a fresh one.
/// `foreign` are the descriptors of the parent that must not live on in the child: an end that stays
/// open here would hide from the agent that the parent is gone.
pub(super) fn enter(parent: Pid, foreign: &[RawFd]) {
    for fd in foreign {
        // SAFETY: the owners are on the stack of a loop that this process never returns to.
        unsafe { nix::libc::close(*fd) };
    }
    // A failure leaves the inherited group: the stop still comes by name.
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).ok();
    let bound = set_pdeathsig(Signal::SIGKILL).is_ok();
    // The parent may have died before the call above: then nobody would ever end us.
    if !bound || getppid() != parent {
        exit(1);
    }
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in FRESH {
        // SAFETY: the default action runs no code of ours.
        unsafe { sigaction(signal, &default) }.ok();
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).ok();
}

/// Runs the tool and ends the process with its status.
pub(super) fn live(py: Python<'_>, tool: &ToolRun, fds: [OwnedFd; START_FDS]) -> ! {
    let [frames, out, err] = fds;
    if let Err(error) = stand_on(&out, &err) {
        // What is standing on 2 right now is the agent's own log.
        stdio::write_fd(2, format!("x-agent: {}: {error}\n", tool.name).as_bytes());
        exit(1);
    }
    drop((out, err));
    port::open(Outlet::new(frames));
    let (outcome, status) = run(py, tool).unwrap_or_else(|error| {
        let raised = Outcome::Raised {
            kind: "x-agent".to_owned(),
            words: error.to_string(),
            trace: Vec::new(),
        };
        (raised, 1)
    });
    port::finish(py, outcome);
    // bcc detaches in Python's exit handlers.
    // SAFETY: attached, main thread, and nothing of Python is used afterwards.
    unsafe { ffi::Py_FinalizeEx() };
    // What C code has printed into its own buffers; `_exit` would forget it.
    // SAFETY: a null stream means all of them.
    unsafe { nix::libc::fflush(std::ptr::null_mut()) };
    exit(status)
}

/// Descriptors 0 to 2 become /dev/null and the agent's pipes.
fn stand_on(out: &OwnedFd, err: &OwnedFd) -> std::io::Result<()> {
    let null = std::fs::File::open("/dev/null")?;
    dup2_stdin(null.as_fd())?;
    dup2_stdout(out.as_fd())?;
    dup2_stderr(err.as_fd())?;
    Ok(())
}

fn run(py: Python<'_>, tool: &ToolRun) -> PyResult<(Outcome, i32)> {
    let options = PyDict::new(py);
    options.set_item(
        "filter_map",
        tool.filter_map.as_ref().map(|path| path.as_os_str()),
    )?;
    options.set_item("page_cnt", tool.page_cnt)?;
    options.set_item("heal", &tool.heal)?;
    let given = (
        Bound::new(py, stdio::Host)?,
        &tool.name,
        tool.path.as_os_str(),
        &tool.arguments,
    );
    let ended = py
        .import("xtracer_probes.host")?
        .call_method("run", given, Some(&options))?;
    let (how, code, kind, words, trace): (String, i32, String, String, Vec<String>) =
        ended.extract()?;
    let outcome = match how.as_str() {
        "finished" => {
            let (loaded, attached) = port::progress();
            Outcome::Finished { loaded, attached }
        }
        "interrupted" => Outcome::Interrupted,
        "exited" => Outcome::Exited { code, words },
        _ => Outcome::Raised { kind, words, trace },
    };
    Ok((outcome, code))
}

/// Ends the process at once.
fn exit(status: i32) -> ! {
    // SAFETY: the exit handlers that were inherited belong to the agent.
    unsafe { nix::libc::_exit(status) }
}
