//! The canary itself: the first process of a PID namespace of its own, which does what it is told.

use std::ffi::{CStr, CString};
use std::io::stdin;
use std::os::fd::AsFd;
use std::process::ExitCode;

use nix::sys::prctl::{set_name, set_pdeathsig};
use nix::sys::signal::Signal;
use nix::sys::socket::MsgFlags;
use nix::unistd::execv;

use super::act::{Act, Answer, Facts, Request};
use super::{file, tcp};
use crate::probe::control;

/// The agent's program, whatever its path is by now.
pub(super) const PROGRAM: &CStr = c"/proc/self/exe";
/// The word that makes it a canary.
pub(super) const WORD: &CStr = c"canary";

/// Answers the agent, whose socket is standard input, until that is gone. `answers` is the request
/// by which this program was started.
pub(crate) fn live(answers: u64) -> ExitCode {
    // Without the name it works as well.
    set_name(c"x-canary").ok();
    // The end of the socket says it, too.
    set_pdeathsig(Signal::SIGKILL).ok();
    let stdin = stdin();
    let agent = stdin.as_fd();
    let say = |id, done| control::send(agent, &Answer { id, done }, &[], MsgFlags::empty());
    let mut said = say(answers, Ok(Facts::default()));
    while said.is_ok()
        && let Ok(Some((Request { id, act }, _))) = control::receive(agent, MsgFlags::empty())
    {
        let done = match act {
            Act::Talk => tcp::talk(),
            Act::File => file::use_file(),
            Act::Exec => again(id),
        };
        said = say(id, done);
    }
    ExitCode::SUCCESS
}

/// Does not come back; the new program answers.
fn again(id: u64) -> Result<Facts, String> {
    let id = CString::new(id.to_string()).unwrap_or_default();
    // Copies, because a program in the kernel reads only what is in memory already. Of this executable's own
    // constants a page may not have been touched yet.
    match execv(PROGRAM, &[c"x-agent".to_owned(), WORD.to_owned(), id]) {
        Err(error) => Err(format!("cannot execute its own program: {error}")),
    }
}
