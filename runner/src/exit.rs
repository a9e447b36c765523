//! How the agent ends, as a status that a script can test.

use std::process::ExitCode;

/// The agent's exit statuses; the hub's have the same meanings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did its job, and was asked to end or had nothing left to run.
    Done,
    /// Something failed.
    Failed,
    /// It was called wrongly.
    Usage,
    /// There is no such target.
    NoTarget,
    /// A right is missing.
    Forbidden,
    /// Every probe has failed for good.
    Blind,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NoTarget => 3,
            Exit::Forbidden => 4,
            Exit::Blind => 5,
        })
    }
}
