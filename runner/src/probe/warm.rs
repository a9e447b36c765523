//! The warm parent as the agent sees it: forked before anything else, then asked for processes.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, socketpair};
use nix::unistd::{ForkResult, Pid, fork, getppid, pipe2, setpgid};
use tokio::io::unix::AsyncFd;
use tokio::sync::{oneshot, watch};

use super::control::{self, Exit, Report, Request, ToolRun};
use crate::embed;
use crate::own_process::OwnProcess;

/// Why there is no warm parent, or no process from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WarmError {
    /// It was to be forked from a process with threads, whose locks a child would inherit for ever.
    #[error("the agent has {0} threads: the warm parent must be forked before any is started")]
    Threads(usize),
    /// A system call failed.
    #[error("{step}: {error}")]
    System {
        /// What was being done.
        step: &'static str,
        /// The system's words.
        error: io::Error,
    },
    /// It is gone; nothing can be started any more.
    #[error("the process that starts tools is gone")]
    Gone,
    /// It did not start the tool.
    #[error("{0}")]
    Refused(String),
}

fn system(step: &'static str) -> impl FnOnce(nix::Error) -> WarmError {
    move |error| WarmError::System {
        step,
        error: error.into(),
    }
}

/// The forked process, until a runtime exists in which it can be talked to.
#[derive(Debug)]
pub struct WarmParent {
    control: OwnedFd,
    /// Its tools die with it (PDEATHSIG).
    process: OwnProcess,
}

impl WarmParent {
    /// Forks the warm parent. To be called in the first lines of `main`, by the main thread: the child
    /// dies when the thread that forked it ends.
    ///
    /// # Errors
    /// [`WarmError::Threads`] when it comes too late, [`WarmError::System`] otherwise.
    pub fn fork() -> Result<Self, WarmError> {
        let count = threads();
        if count != 1 {
            return Err(WarmError::Threads(count));
        }
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .map_err(system("make a socket pair for the warm parent"))?;
        let agent = Pid::this();
        // SAFETY: one thread, see above: the child may do whatever this process could.
        match unsafe { fork() }.map_err(system("fork the warm parent"))? {
            ForkResult::Parent { child } => Ok(Self {
                control: ours,
                process: OwnProcess(child),
            }),
            ForkResult::Child => {
                drop(ours);
                // Away from the terminal's Ctrl-C; a failure changes nothing else.
                setpgid(Pid::from_raw(0), Pid::from_raw(0)).ok();
                let bound = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).is_ok();
                // The agent may have died before that call.
                if bound && getppid() == agent {
                    embed::warm::live(&theirs);
                }
                // SAFETY: the exit handlers that were inherited are the agent's.
                unsafe { nix::libc::_exit(1) }
            }
        }
    }

    /// Starts to talk to it. To be called inside the runtime.
    ///
    /// # Errors
    /// [`WarmError::System`]: the runtime cannot watch its socket.
    pub fn connect(self) -> Result<Warm, WarmError> {
        // SAFETY: the descriptor is open, and nobody replaces or closes it while it is watched.
        let control =
            unsafe { AsyncFd::register(self.control) }.map_err(|error| WarmError::System {
                step: "watch the warm parent's socket",
                error: error.into(),
            })?;
        let shared = Arc::new(Shared {
            control,
            waiting: Mutex::new(Some(HashMap::new())),
        });
        let (info, seen) = watch::channel(None);
        let reader = tokio::spawn(read_reports(Arc::clone(&shared), info));
        Ok(Warm(Arc::new(Client {
            shared,
            info: seen,
            next: AtomicU64::new(1),
            reader,
            _process: self.process,
        })))
    }
}

/// The threads of this process; what can't be read is taken for the one that asks.
pub(crate) fn threads() -> usize {
    procfs::process::Process::myself()
        .and_then(|own| own.tasks())
        .map_or(1, Iterator::count)
}

/// What the warm parent has loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmInfo {
    /// Python's version, e.g. `3.11.2`.
    pub python: String,
    /// bcc's version, or why it cannot be imported: tools that need it will fail and say so.
    pub bcc: Result<String, String>,
}

/// A handle on the warm parent. The last one that is dropped ends it, and all tools with it.
#[derive(Debug, Clone)]
pub struct Warm(Arc<Client>);

#[derive(Debug)]
struct Client {
    shared: Arc<Shared>,
    info: watch::Receiver<Option<WarmInfo>>,
    next: AtomicU64,
    reader: tokio::task::JoinHandle<()>,
    _process: OwnProcess,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[derive(Debug)]
struct Shared {
    control: AsyncFd<OwnedFd>,
    /// Who waits for what, by run; `None` once the warm parent is gone.
    waiting: Mutex<Option<HashMap<u64, Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    started: Option<oneshot::Sender<Result<Pid, WarmError>>>,
    exited: oneshot::Sender<Exit>,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<u64, Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tool's process; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Child {
    id: u64,
    warm: Warm,
}

/// What the agent reads from a process.
#[derive(Debug)]
pub(crate) struct Ends {
    /// The process's number.
    pub(crate) pid: Pid,
    /// Frames.
    pub(crate) frames: UnixStream,
    /// Descriptor 1 of the process: only C code writes there.
    pub(crate) out: OwnedFd,
    /// Descriptor 2.
    pub(crate) err: OwnedFd,
    /// How it ended; an error when the warm parent is gone.
    pub(crate) exited: oneshot::Receiver<Exit>,
}

impl Warm {
    /// What it has loaded; waits until Python has started. `None` when it died instead.
    pub async fn info(&self) -> Option<WarmInfo> {
        let mut info = self.0.info.clone();
        info.wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|info| info.clone())
    }

    /// Starts a process for a tool.
    pub(crate) async fn start(&self, tool: ToolRun) -> Result<(Child, Ends), WarmError> {
        let (frames, theirs) = UnixStream::pair().map_err(|error| WarmError::System {
            step: "make a socket pair for a tool",
            error,
        })?;
        let pipe = || pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(system("make a pipe for a tool"));
        let ((out, out_theirs), (err, err_theirs)) = (pipe()?, pipe()?);
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (started, starts) = oneshot::channel();
        let (exited, exits) = oneshot::channel();
        let entry = Waiting {
            started: Some(started),
            exited,
        };
        self.0
            .shared
            .waiting()
            .as_mut()
            .ok_or(WarmError::Gone)?
            .insert(id, entry);
        // From here on the process may exist: whatever goes wrong, dropping the child ends it.
        let child = Child {
            id,
            warm: self.clone(),
        };
        let fds = [theirs.into(), out_theirs, err_theirs];
        self.ask(&Request::Start { id, tool }, &fds).await?;
        drop(fds);
        let pid = starts.await.map_err(|_| WarmError::Gone)??;
        let ends = Ends {
            pid,
            frames,
            out,
            err,
            exited: exits,
        };
        Ok((child, ends))
    }

    async fn ask(&self, request: &Request, fds: &[OwnedFd]) -> Result<(), WarmError> {
        let control = &self.0.shared.control;
        loop {
            let mut ready = control
                .writable()
                .await
                .map_err(|error| WarmError::System {
                    step: "wait for the warm parent",
                    error,
                })?;
            match control::send(control.as_fd(), request, fds, MsgFlags::MSG_DONTWAIT) {
                Ok(()) => return Ok(()),
                Err(nix::Error::EAGAIN) => ready.clear_ready(),
                Err(nix::Error::EPIPE | nix::Error::ECONNRESET) => return Err(WarmError::Gone),
                Err(error) => return Err(system("ask the warm parent for a process")(error)),
            }
        }
    }
}

impl Child {
    /// Sends a signal to the process, unless it is over.
    pub(crate) fn signal(&self, signal: Signal) {
        let request = Request::Signal {
            id: self.id,
            signal: signal as i32,
        };
        // The socket holds hundreds of these. If it does not take one, the warm parent is gone, and
        // the child with it.
        control::send(
            self.warm.0.shared.control.as_fd(),
            &request,
            &[],
            MsgFlags::MSG_DONTWAIT,
        )
        .ok();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let still_there = self
            .warm
            .0
            .shared
            .waiting()
            .as_mut()
            .and_then(|runs| runs.remove(&self.id));
        if still_there.is_some() {
            self.signal(Signal::SIGKILL);
        }
    }
}

/// Hands every report to who waits for it, until the warm parent is gone.
async fn read_reports(shared: Arc<Shared>, info: watch::Sender<Option<WarmInfo>>) {
    while let Ok(mut ready) = shared.control.readable().await {
        match control::receive::<Report>(shared.control.as_fd(), MsgFlags::MSG_DONTWAIT) {
            Ok(Some((report, _))) => deliver(&shared, &info, report),
            Err(nix::Error::EAGAIN) => ready.clear_ready(),
            // Only our own program writes here: a report that makes no sense is a broken build.
            Err(nix::Error::EBADMSG) => tracing::error!("the warm parent sent what is no report"),
            Ok(None) | Err(_) => break,
        }
    }
    // Dropping the senders tells everybody who waits.
    *shared.waiting() = None;
}

fn deliver(shared: &Shared, info: &watch::Sender<Option<WarmInfo>>, report: Report) {
    let mut guard = shared.waiting();
    let Some(runs) = guard.as_mut() else {
        return;
    };
    // A receiver that is gone has lost interest, which is its right.
    match report {
        Report::Ready { python, bcc } => {
            info.send_replace(Some(WarmInfo { python, bcc }));
        }
        Report::Started { id, pid } => {
            if let Some(started) = runs.get_mut(&id).and_then(|run| run.started.take()) {
                started.send(Ok(Pid::from_raw(pid))).ok();
            }
        }
        Report::Refused { id, reason } => {
            if let Some(started) = runs.remove(&id).and_then(|run| run.started) {
                started.send(Err(WarmError::Refused(reason))).ok();
            }
        }
        Report::Exited { id, how } => {
            if let Some(run) = runs.remove(&id) {
                run.exited.send(how).ok();
            }
        }
    }
}
