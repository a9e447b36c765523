//! How the hub ends, as a status that a script can test.

use std::process::ExitCode;

/// The hub's exit statuses; the agent's have the same meanings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or ended by its user or its time limit after a good start.
    Done,
    /// Something failed on the way.
    Failed,
    /// It was called wrongly.
    Usage,
    /// There is no such target.
    NoTarget,
    /// A right is missing.
    Forbidden,
    /// Every probe has failed for good.
    Blind,
    /// Something was lost and `--strict` was asked for; for `doctor`, some probes can't work here.
    Loss,
    /// Its user left instead of choosing; shells say so of what an interrupt has ended.
    Left,
}

impl Exit {
    /// The status that a shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoTarget => 3,
            Self::Forbidden => 4,
            Self::Blind => 5,
            Self::Loss => 6,
            Self::Left => 130,
        }
    }

    /// What an agent's exit status means for the hub that started it. Wrong usage of the agent is
    /// a failure here: the user didn't type that command line.
    #[must_use]
    pub const fn of_agent(code: Option<i32>) -> Self {
        match code {
            Some(0) => Self::Done,
            Some(3) => Self::NoTarget,
            Some(4) => Self::Forbidden,
            Some(5) => Self::Blind,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error with the exit status that it leads to.
#[derive(Debug)]
pub struct Failure {
    /// The status.
    pub exit: Exit,
    /// What to tell the user.
    pub error: anyhow::Error,
}

impl Failure {
    /// A failure with a status of its own.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            error: error.into(),
        }
    }
}

impl From<x_k8s::Error> for Failure {
    fn from(error: x_k8s::Error) -> Self {
        let exit = match error.kind() {
            x_k8s::Kind::Usage => Exit::Usage,
            x_k8s::Kind::NoTarget => Exit::NoTarget,
            x_k8s::Kind::Forbidden => Exit::Forbidden,
            x_k8s::Kind::Failed => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_status_keeps_its_meaning() {
        for exit in [Exit::Done, Exit::NoTarget, Exit::Forbidden, Exit::Blind] {
            assert_eq!(Exit::of_agent(Some(exit.code().into())), exit);
        }
        for code in [None, Some(1), Some(2), Some(6), Some(101), Some(-1)] {
            assert_eq!(Exit::of_agent(code), Exit::Failed, "{code:?}");
        }
    }
}
