//! The agent's side of its canary: start it, ask it, know when it is gone.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sched::{CloneFlags, clone};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, socketpair};
use nix::unistd::{Pid, dup2_stdin, execv, setpgid};
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};

use super::act::{Act, Answer, Facts, Request};
use super::inside::{PROGRAM, WORD};
use crate::own_process::OwnProcess;
use crate::probe::control;

/// Requests that may wait; each probe has one at a time.
const QUEUE: usize = 16;
/// What the new process needs before it executes the program: a few system calls.
const STACK: usize = 64 << 10;
/// Said of one that has died.
pub(super) const GONE: &str = "the process that makes known events is gone";

/// The process, until a runtime exists in which it can be talked to.
#[derive(Debug)]
pub(crate) struct Young {
    socket: OwnedFd,
    process: OwnProcess,
}

impl Young {
    /// Starts it in a PID namespace of its own. To be called on the main thread, before any other
    /// is started: it dies with the thread that started it.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(crate) fn start() -> Result<Self, String> {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .map_err(|errno| format!("no socket pair: {errno}"))?;
        let become_canary = Box::new(|| {
            // Away from the terminal's Ctrl-C; a failure changes nothing else.
            setpgid(Pid::from_raw(0), Pid::from_raw(0)).ok();
            if dup2_stdin(theirs.as_fd()).is_ok() {
                execv(PROGRAM, &[c"x-agent", WORD]).ok();
            }
            1
        });
        let mut stack = vec![0; STACK];
        // SAFETY: without CLONE_VM the child has a copy of all memory, its stack in it, and this
        // process has one thread, so no lock in the copy is held. It only executes a program.
        let pid = unsafe {
            clone(
                become_canary,
                &mut stack,
                CloneFlags::CLONE_NEWPID,
                Some(Signal::SIGCHLD as i32),
            )
        }
        .map_err(|errno| {
            format!(
                "cannot make a PID namespace for a known event: {errno}; CAP_SYS_ADMIN is needed"
            )
        })?;
        Ok(Self {
            socket: ours,
            process: OwnProcess(pid),
        })
    }

    /// Its number on the host.
    pub(crate) fn pid(&self) -> u32 {
        self.process.0.as_raw().unsigned_abs()
    }

    /// Starts to talk to it. To be called inside the runtime.
    ///
    /// # Errors
    /// The runtime cannot watch its socket.
    pub(crate) fn connect(self) -> io::Result<Canary> {
        // SAFETY: the descriptor is open, and nobody replaces or closes it while it is watched.
        let socket = unsafe { AsyncFd::register(self.socket) }?;
        let (requests, queue) = mpsc::channel(QUEUE);
        tokio::spawn(talk(socket, queue, self.process));
        Ok(Canary(Ok(requests)))
    }
}

/// A handle on the canary; the last one that is dropped ends it.
#[derive(Clone, Debug)]
pub(crate) struct Canary(Result<mpsc::Sender<Wanted>, String>);

/// An act, and who waits for it.
pub(super) type Wanted = (Act, oneshot::Sender<Result<Facts, String>>);

impl Canary {
    /// There is none, for this reason.
    pub(crate) fn none(reason: String) -> Self {
        Self(Err(reason))
    }

    /// Why there is none, if there never was one.
    pub(crate) fn lacking(&self) -> Option<&str> {
        self.0.as_ref().err().map(String::as_str)
    }

    /// One whose requests a test answers.
    #[cfg(test)]
    pub(super) fn of_tests() -> (Self, mpsc::Receiver<Wanted>) {
        let (requests, queue) = mpsc::channel(QUEUE);
        (Self(Ok(requests)), queue)
    }

    /// Asks for an act; what has been done comes later, or why nothing was.
    pub(crate) fn ask(&self, act: Act) -> oneshot::Receiver<Result<Facts, String>> {
        let (answer, answered) = oneshot::channel();
        let refused = match &self.0 {
            Ok(requests) => match requests.try_send((act, answer)) {
                Ok(()) => None,
                Err(error) => Some((error.into_inner().1, GONE.to_owned())),
            },
            Err(reason) => Some((answer, reason.clone())),
        };
        if let Some((answer, reason)) = refused {
            // Who has lost interest has the right to.
            answer.send(Err(reason)).ok();
        }
        answered
    }
}

/// Hands requests over and answers back, until nobody has a handle any more.
async fn talk(socket: AsyncFd<OwnedFd>, mut queue: mpsc::Receiver<Wanted>, _process: OwnProcess) {
    let mut waiting: HashMap<u64, oneshot::Sender<Result<Facts, String>>> = HashMap::new();
    let mut next = 1;
    loop {
        tokio::select! {
            wanted = queue.recv() => {
                let Some((act, answer)) = wanted else {
                    return;
                };
                let id = next;
                next += 1;
                waiting.retain(|_, answer| !answer.is_closed());
                // The socket holds far more than the queue; one that is full or closed is gone.
                let request = Request { id, act };
                match control::send(socket.as_fd(), &request, &[], MsgFlags::MSG_DONTWAIT) {
                    Ok(()) => drop(waiting.insert(id, answer)),
                    Err(_) => drop(answer.send(Err(GONE.to_owned()))),
                }
            }
            answer = receive(&socket), if !waiting.is_empty() => match answer {
                Some(Answer { id, done }) => {
                    if let Some(waiting) = waiting.remove(&id) {
                        waiting.send(done).ok();
                    }
                }
                None => {
                    for (_, answer) in waiting.drain() {
                        answer.send(Err(GONE.to_owned())).ok();
                    }
                }
            },
        }
    }
}

/// The next answer; none when there will be no more. Cancel-safe.
async fn receive(socket: &AsyncFd<OwnedFd>) -> Option<Answer> {
    loop {
        let mut ready = socket.readable().await.ok()?;
        match control::receive(socket.as_fd(), MsgFlags::MSG_DONTWAIT) {
            Err(nix::Error::EAGAIN) => ready.clear_ready(),
            received => return received.ok().flatten().map(|(answer, _)| answer),
        }
    }
}
