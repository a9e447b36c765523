//! Why a tool is not running, in a sentence, and what a person can do about it.

use super::tool::ToolError;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// There is no such tool on this machine.
    MissingTool,
    /// The file of that name is not Python.
    NotPython,
    /// The tool wants Python's bcc, which is not installed or does not load.
    MissingBcc,
    /// The running kernel's headers are not there.
    Headers,
    /// The kernel refused for lack of privileges.
    Privileges,
    /// The tool's program does not compile for this kernel.
    Compile,
    /// The kernel's verifier refused the program.
    Refused,
    /// The kernel has not, or has not any more, the function that the tool wants to attach to.
    CannotAttach,
    /// An attach failed for a reason that may pass.
    AttachRace,
    /// The tool did not like its arguments.
    Usage,
    /// The tool found nothing to do and left without an error.
    LeftEarly,
    /// An exception, a status or a signal ended it.
    Crashed,
    /// The process that starts tools is gone: no probe can be started any more.
    WarmParent,
}

impl FailureKind {
    /// True when the next attempt would fail the same way.
    #[must_use]
    pub fn is_lasting(self) -> bool {
        !matches!(self, Self::AttachRace | Self::Crashed)
    }
}

/// One failure, for people and for the restart policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) reason: String,
    pub(crate) remedy: String,
}

impl Failure {
    /// There is nothing to start.
    pub(crate) fn no_tool(error: &ToolError) -> Self {
        let (kind, remedy) = match error {
            ToolError::BadName(_) => (FailureKind::MissingTool, "name one of the probes"),
            ToolError::Missing { .. } => (
                FailureKind::MissingTool,
                "install the BCC tools (Debian, Ubuntu: apt install bpfcc-tools; Fedora, Arch, Alpine: \
                 bcc-tools) or name their folder with --tools-dir",
            ),
            ToolError::NotPython { .. } => (
                FailureKind::NotPython,
                "install the Python tools of BCC (Debian, Ubuntu: apt install bpfcc-tools) or name their \
                 folder with --tools-dir; the compiled tools of libbpf-tools print other columns",
            ),
            ToolError::Unreadable { .. } => (FailureKind::MissingTool, "run the agent as root"),
        };
        Self {
            kind,
            reason: error.to_string(),
            remedy: remedy.to_owned(),
        }
    }

    /// The warm parent could not start it.
    pub(crate) fn not_started(reason: &str) -> Self {
        Self {
            kind: FailureKind::WarmParent,
            reason: format!("no process could be started for the tool: {reason}"),
            remedy: "see the agent's log for the cause and start the agent again".to_owned(),
        }
    }
}
