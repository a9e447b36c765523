//! The warm parent: a single-threaded process that has Python and bcc in memory and forks on request.
//!
//! Its children share those pages. It lives in a process group of its own, so that a terminal's Ctrl-C
//! reaches the agent only, and dies with the agent; its children die with it.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::MsgFlags;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use pyo3::ffi;
use pyo3::prelude::*;

use super::{child, sources, stdio, trim};
use crate::probe::control::{self, Exit, Report, Request, START_FDS, ToolRun};
use crate::probe::threads;

/// Test setting: folders, separated by colons, that Python searches for `bcc` before all others.
const BCC_PATH: &str = "XTRACER_BCC_PATH";
/// Modules that the tools import: loaded once here, they are shared by all children.
const SHARED_MODULES: &[&str] = &[
    "argparse",
    "collections",
    "ctypes",
    "datetime",
    "gc",
    "pwd",
    "re",
    "runpy",
    "signal",
    "socket",
    "struct",
    "time",
    "traceback",
    "xtracer_probes.host",
];

/// What can keep a warm parent from its work.
#[derive(Debug, thiserror::Error)]
enum WarmError {
    #[error("{0}")]
    Python(#[from] PyErr),
    #[error("{step}: {error}")]
    System {
        step: &'static str,
        error: nix::Error,
    },
    #[error(
        "importing Python modules started {0} more threads, and a process with threads cannot fork safely"
    )]
    Threads(usize),
}

fn system(step: &'static str) -> impl FnOnce(nix::Error) -> WarmError {
    move |error| WarmError::System { step, error }
}

/// Serves requests until the agent closes its end; then this process and its children are over.
pub(crate) fn live(control: &OwnedFd) -> ! {
    close_all_but(control);
    prepare_environment();
    Python::initialize();
    let result = Python::attach(|py| serve(py, control));
    if let Err(error) = result {
        stdio::write_fd(2, format!("x-agent: warm parent: {error}\n").as_bytes());
    }
    // SAFETY: ends the process without running the agent's exit handlers, which it inherited.
    unsafe { nix::libc::_exit(1) }
}

/// What the agent had open, or inherited from its own parent, is no business of a tool's. The owners in
/// this copy of the agent are never dropped: this process does not return to them.
fn close_all_but(control: &OwnedFd) {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd").map_or_else(
        |_| Vec::new(),
        |fds| {
            fds.filter_map(|fd| fd.ok()?.file_name().to_str()?.parse().ok())
                .collect()
        },
    );
    for fd in open {
        if fd > 2 && fd != control.as_raw_fd() {
            // SAFETY: see above. The folder that was just read is closed already: EBADF is fine.
            unsafe { nix::libc::close(fd) };
        }
    }
}

/// Nothing from outside may choose which Python code runs: no PYTHON* variable is followed.
#[expect(
    clippy::disallowed_methods,
    reason = "this process has one thread, and Python has not started"
)]
fn prepare_environment() {
    let names: Vec<_> = std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name.to_string_lossy().starts_with("PYTHON"))
        .collect();
    // SAFETY: one thread.
    unsafe {
        for name in names {
            std::env::remove_var(name);
        }
        std::env::set_var("PYTHONNOUSERSITE", "1");
        std::env::set_var("PYTHONDONTWRITEBYTECODE", "1");
    }
}

fn serve(py: Python<'_>, control: &OwnedFd) -> Result<(), WarmError> {
    let bcc = import_all(py)?;
    // Only here: children still compile, and huge pages are good for that.
    trim::mapped_files();
    let count = threads();
    if count != 1 {
        return Err(WarmError::Threads(count - 1));
    }
    let deaths = children_deaths().map_err(system("watch children"))?;
    let mut family = Family {
        runs: HashMap::new(),
        foreign: vec![control.as_raw_fd(), deaths.as_raw_fd()],
    };
    tell(
        control,
        &Report::Ready {
            python: Python::version_str()
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
            bcc,
        },
    )?;
    loop {
        let mut ready = [
            PollFd::new(control.as_fd(), PollFlags::POLLIN),
            PollFd::new(deaths.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            other => other.map_err(system("poll"))?,
        };
        let [asked, died] = ready.map(|fd| fd.any().unwrap_or(true));
        if died {
            deaths
                .read_signal()
                .map_err(system("read the signal of a death"))?;
            family.reap(control)?;
        }
        if asked {
            match control::receive::<Request>(control.as_fd(), MsgFlags::empty()) {
                Ok(Some((request, fds))) => family.obey(py, control, request, fds)?,
                // The agent is gone: so are we, and PDEATHSIG takes the children along.
                Ok(None) | Err(nix::Error::ECONNRESET) => return Ok(()),
                Err(error) => return Err(system("read a request")(error)),
            }
        }
    }
}

/// Loads what all tools need. A missing bcc is not our failure: a tool that needs it says so.
fn import_all(py: Python<'_>) -> Result<Result<String, String>, WarmError> {
    let sys = py.import("sys")?;
    if let Ok(folders) = std::env::var(BCC_PATH) {
        let path = sys.getattr("path")?;
        for (at, folder) in folders
            .split(':')
            .filter(|folder| !folder.is_empty())
            .enumerate()
        {
            path.call_method1("insert", (at, folder))?;
        }
    }
    // Before bcc is imported: its `printb` binds standard output at import.
    let (out, err) = stdio::streams();
    let (out, err) = (Bound::new(py, out)?, Bound::new(py, err)?);
    for (name, stream) in [
        ("stdout", &out),
        ("__stdout__", &out),
        ("stderr", &err),
        ("__stderr__", &err),
    ] {
        sys.setattr(name, stream)?;
    }
    sources::install(py)?;
    for module in SHARED_MODULES {
        py.import(*module)?;
    }
    let bcc = ["bcc", "bcc.table", "bcc.utils", "bcc.containers"]
        .into_iter()
        .try_for_each(|name| match py.import(name) {
            // Releases before 0.15 have no container filter.
            Err(error)
                if name == "bcc.containers"
                    && error.is_instance_of::<pyo3::exceptions::PyImportError>(py) =>
            {
                Ok(())
            }
            other => other.map(drop),
        })
        .and_then(|()| {
            let version = py.import("bcc")?.getattr("__version__");
            Ok(version.map_or_else(|_| "unknown".to_owned(), |version| version.to_string()))
        })
        .map_err(|error| error.to_string());
    Ok(bcc)
}

/// A descriptor that becomes readable when a child dies.
fn children_deaths() -> nix::Result<SignalFd> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
    SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC)
}

fn tell(control: &OwnedFd, report: &Report) -> Result<(), WarmError> {
    match control::send(control.as_fd(), report, &[], MsgFlags::empty()) {
        // The loop finds the agent gone by itself.
        Ok(()) | Err(nix::Error::EPIPE | nix::Error::ECONNRESET) => Ok(()),
        Err(error) => Err(system("answer the agent")(error)),
    }
}

/// The running tools: as their parent, this process alone can signal and reap them without a race.
struct Family {
    runs: HashMap<u64, Pid>,
    /// Descriptors of this process that no child may keep.
    foreign: Vec<RawFd>,
}

impl Family {
    fn obey(
        &mut self,
        py: Python<'_>,
        control: &OwnedFd,
        request: Request,
        fds: Vec<OwnedFd>,
    ) -> Result<(), WarmError> {
        let report = match request {
            Request::Signal { id, signal } => {
                if let (Some(pid), Ok(signal)) = (self.runs.get(&id), Signal::try_from(signal)) {
                    // It is not reaped yet, so the number is still its own; dead already is fine.
                    kill(*pid, signal).ok();
                }
                return Ok(());
            }
            Request::Start { id, tool } => match <[OwnedFd; START_FDS]>::try_from(fds) {
                Err(fds) => Report::Refused {
                    id,
                    reason: format!(
                        "{} descriptors came with the request, {START_FDS} are needed",
                        fds.len()
                    ),
                },
                Ok(fds) => match start(py, &tool, fds, &self.foreign) {
                    Ok(pid) => {
                        self.runs.insert(id, pid);
                        Report::Started {
                            id,
                            pid: pid.as_raw(),
                        }
                    }
                    Err(error) => Report::Refused {
                        id,
                        reason: format!("fork: {error}"),
                    },
                },
            },
        };
        tell(control, &report)
    }

    fn reap(&mut self, control: &OwnedFd) -> Result<(), WarmError> {
        loop {
            let (pid, how) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Exit::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Exit::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(_) => return Ok(()),
                Ok(_) => continue,
            };
            let id = self
                .runs
                .iter()
                .find(|(_, run)| **run == pid)
                .map(|(id, _)| *id);
            if let Some(id) = id {
                self.runs.remove(&id);
                tell(control, &Report::Exited { id, how })?;
            }
        }
    }
}

/// Forks a child that runs the tool; it never comes back here.
fn start(
    py: Python<'_>,
    tool: &ToolRun,
    fds: [OwnedFd; START_FDS],
    foreign: &[RawFd],
) -> nix::Result<Pid> {
    let parent = Pid::this();
    // SAFETY: attached, one thread; each BeforeFork is followed by one AfterFork on either side.
    unsafe { ffi::PyOS_BeforeFork() };
    // SAFETY: one thread, so the child may do whatever this process could.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            child::enter(parent, foreign);
            // SAFETY: as above; the child is attached like its parent.
            unsafe { ffi::PyOS_AfterFork_Child() };
            child::live(py, tool, fds)
        }
        result => {
            // SAFETY: as above.
            unsafe { ffi::PyOS_AfterFork_Parent() };
            match result? {
                ForkResult::Parent { child } => Ok(child),
                ForkResult::Child => unreachable!("handled above"),
            }
        }
    }
}
