//! The wire between the agent and its warm parent: one JSON message a packet, descriptors beside it.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::{Deserialize, Serialize};

/// Longest message; a tool's arguments are what could be long.
const PACKET_CAP: usize = 64 * 1024;
/// Descriptors that come with [`Request::Start`]: frames, standard output, standard error.
pub(crate) const START_FDS: usize = 3;

/// What the agent asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Fork a process and run a tool in it.
    Start { id: u64, tool: ToolRun },
    /// Send a signal to the process of that run, unless it is over.
    Signal { id: u64, signal: i32 },
}

/// Everything a child must know to run a tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ToolRun {
    /// The plain name, e.g. `biosnoop`: attach points are looked up by it.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Pinned map of the PID namespaces to trace, for the filter in the kernel.
    pub(crate) filter_map: Option<PathBuf>,
    /// Least size of each perf ring, pages, a power of two.
    pub(crate) page_cnt: Option<u32>,
    /// What is proven dead, and to be healed.
    pub(crate) heal: Vec<String>,
}

/// What the warm parent has to say.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// Python runs; `bcc` is the package's version or why it cannot be imported.
    Ready {
        python: String,
        bcc: Result<String, String>,
    },
    Started {
        id: u64,
        /// The process's number, which is the agent's too: all three live in one namespace.
        pid: i32,
    },
    Refused {
        id: u64,
        reason: String,
    },
    Exited {
        id: u64,
        how: Exit,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

/// Sends one message.
///
/// # Errors
/// `EMSGSIZE` when it is too long, `EPIPE` when nobody is there, `EAGAIN` on a full socket.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    fds: &[OwnedFd],
    flags: MsgFlags,
) -> nix::Result<()> {
    let json = serde_json::to_vec(message).map_err(|_| Errno::EINVAL)?;
    if json.len() > PACKET_CAP {
        return Err(Errno::EMSGSIZE);
    }
    let raw: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let rights: &[_] = if raw.is_empty() { &[] } else { &rights };
    let flags = flags | MsgFlags::MSG_NOSIGNAL;
    let parts = [IoSlice::new(&json)];
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &parts, rights, flags, None) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Receives one message, or `None` when the peer is gone. What does not parse is `EBADMSG`.
///
/// # Errors
/// `EAGAIN` when nothing is there and `flags` say not to wait; whatever recvmsg(2) has.
pub(crate) fn receive<T: for<'de> Deserialize<'de>>(
    socket: BorrowedFd<'_>,
    flags: MsgFlags,
) -> nix::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut buffer = vec![0; PACKET_CAP];
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; START_FDS]);
    let mut fds = Vec::new();
    let count = {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
        let message = loop {
            match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(raw) = part {
                // SAFETY: the kernel has just made these descriptors for us alone.
                fds.extend(
                    raw.into_iter()
                        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
                );
            }
        }
        message.bytes
    };
    if count == 0 {
        return Ok(None);
    }
    let message = serde_json::from_slice(&buffer[..count]).map_err(|_| Errno::EBADMSG)?;
    Ok(Some((message, fds)))
}
