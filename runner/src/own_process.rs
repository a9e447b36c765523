//! A child of the agent that lives no longer than the value.

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

/// Ends the process and takes its status when it is dropped.
#[derive(Debug)]
pub(crate) struct OwnProcess(pub(crate) Pid);

impl Drop for OwnProcess {
    fn drop(&mut self) {
        // It is our child and not reaped, so the number is its own. Dead already is what we want.
        kill(self.0, Signal::SIGKILL).ok();
        waitpid(self.0, None).ok();
    }
}
