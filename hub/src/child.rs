//! How every child is started: out of the terminal's reach, and not longer than we live.

use std::process::Stdio;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};
use tokio::process::Command;

/// Prepares a command. The child gets
/// - a process group of its own, or Ctrl-C would reach it beside us and the order of the end
///   would be chance;
/// - SIGTERM when the thread that starts it ends, so that nothing stays behind a killed hub. Start
///   children on the main thread: worker threads may end early;
/// - no input, and SIGKILL when its handle is dropped.
pub(crate) fn prepare(command: &mut Command) {
    let hub = getpid();
    command
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    end_with(command, hub);
}

#[expect(unsafe_code, reason = "there is no other hook between fork and exec")]
fn end_with(command: &mut Command, hub: Pid) {
    let hook = move || {
        prctl::set_pdeathsig(Signal::SIGTERM)?;
        // A hub that died before the line above will not be noticed by it.
        if getppid() == hub {
            Ok(())
        } else {
            Err(std::io::Error::from(nix::errno::Errno::ESRCH))
        }
    };
    // SAFETY: between fork and exec the hook makes the system calls prctl(2) and getppid(2), and
    // builds errors from numbers; it neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(hook);
    }
}
