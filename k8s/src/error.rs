//! What can go wrong, one type per step, and the kinds that an exit status is made of.

use std::time::Duration;

use kube::core::Status;

use crate::text::visible;
use crate::{client::ConfigError, find::TargetError, image::NoImage, node::NodeError};
use crate::{manifest::SpecError, rollout::RolloutError, teardown::TeardownError};

/// Any failure of this crate. The text names the thing, the reason and the next step.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum Error {
    /// No usable kubeconfig, context or user.
    Config(#[from] ConfigError),
    /// The API server was asked and did not do it.
    Api(#[from] ApiError),
    /// The pods that were asked for are not there, or cannot be traced.
    Target(#[from] TargetError),
    /// A node is not what it should be.
    Node(#[from] NodeError),
    /// No image fits a node.
    Image(#[from] NoImage),
    /// Objects that cannot be built as asked.
    Spec(#[from] SpecError),
    /// An agent did not come up.
    Rollout(#[from] RolloutError),
    /// Something could not be removed.
    Teardown(#[from] TeardownError),
}

/// The few kinds of failure that callers treat differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for makes no sense, whatever the cluster answers.
    Usage,
    /// There is nothing to trace.
    NoTarget,
    /// The cluster refuses: a right is missing, or who is asking is not known.
    Forbidden,
    /// Everything else.
    Failed,
}

impl Error {
    /// Which kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Config(_) | Self::Spec(_) => Kind::Usage,
            Self::Api(error) => error.kind(),
            Self::Target(error) => error.kind(),
            Self::Rollout(error) => error.kind(),
            Self::Teardown(error) => error.kind(),
            Self::Node(_) | Self::Image(_) => Kind::Failed,
        }
    }

    /// The API server's answer, if this failure is one.
    #[must_use]
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }
}

/// The API server was asked for something and did not do it.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}: {cause}")]
pub struct ApiError {
    /// What was being done, as the continuation of "cannot …".
    pub doing: String,
    /// Why it was not done, and the next step.
    pub cause: Cause,
}

/// Why the API server did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No connection, or it broke.
    #[error(
        "the API server {server} cannot be reached ({reason}); check that the cluster runs and that the context is the right one (kubectl cluster-info)"
    )]
    Unreachable {
        /// Its URL.
        server: String,
        /// The lowest-level reason that is known.
        reason: String,
    },
    /// Connected, but no answer came in time.
    #[error("the API server {server} did not answer within {} s; try again, or allow more with --request-timeout", after.as_secs_f32())]
    TimedOut {
        /// Its URL.
        server: String,
        /// How long the answer was waited for.
        after: Duration,
    },
    /// The kubeconfig's way to log in did not work: an exec plugin, a token file.
    #[error(
        "logging in failed: {reason}; log in again, or check the user's entry in the kubeconfig"
    )]
    Login {
        /// What the plugin or the file system said.
        reason: String,
    },
    /// 401: the server does not know who is asking.
    #[error(
        "the API server does not accept the credentials ({message}): they are wrong or have expired; log in again, or choose another --context or --user"
    )]
    Unauthorized {
        /// The server's words.
        message: String,
    },
    /// 403: the server knows who is asking and says no.
    #[error(
        "forbidden: {message}; ask for that right (the ones x-tracer needs are in k8s/rbac), or choose another --context or --as"
    )]
    Forbidden {
        /// The server's words.
        message: String,
    },
    /// 404.
    #[error("not found: {message}; check the name, the namespace and the context")]
    NotFound {
        /// The server's words.
        message: String,
    },
    /// 409.
    #[error("conflict: {message}; remove what is in the way, or try again")]
    Conflict {
        /// The server's words.
        message: String,
    },
    /// 400 or 422: what was sent is not acceptable to the server or to an admission policy.
    #[error(
        "the API server rejects it: {message}; correct the option that it is about, or ask whoever made the policy"
    )]
    Rejected {
        /// The server's words.
        message: String,
    },
    /// Any other answer of the server.
    #[error(
        "the API server answered {code}: {message}; try again, and look into the server's log if it stays so"
    )]
    Server {
        /// HTTP status code.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// An answer that is not what the API promises.
    #[error(
        "the answer of {server} cannot be read ({reason}); check that this URL is a Kubernetes API server"
    )]
    Unreadable {
        /// Its URL.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ApiError {
    pub(crate) fn new(doing: impl Into<String>, server: &str, error: &kube::Error) -> Self {
        Self {
            doing: doing.into(),
            cause: Cause::of(server, error),
        }
    }

    /// Which kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.cause.is_refusal() {
            Kind::Forbidden
        } else {
            Kind::Failed
        }
    }

    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self.cause, Cause::Conflict { .. })
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self.cause, Cause::NotFound { .. })
    }
}

impl Cause {
    /// Whether the cluster says no to who is asking, so that asking again makes no difference.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Forbidden { .. } | Self::Unauthorized { .. } | Self::Login { .. }
        )
    }

    pub(crate) fn of(server: &str, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(status),
            kube::Error::SerdeError(error) => Self::Unreadable {
                server: server.to_owned(),
                reason: visible(&error.to_string()),
            },
            other => Self::of_transport(server, other),
        }
    }

    pub(crate) fn of_status(status: &Status) -> Self {
        let message = visible(if status.message.is_empty() {
            &status.reason
        } else {
            &status.message
        });
        match status.code {
            401 => Self::Unauthorized { message },
            403 => Self::Forbidden { message },
            404 => Self::NotFound { message },
            409 => Self::Conflict { message },
            400 | 422 => Self::Rejected { message },
            code => Self::Server { code, message },
        }
    }

    /// Failures below HTTP reach us as boxes in boxes: the login has a type of its own, the rest is
    /// told best by the innermost error (`Connection refused`, `invalid peer certificate`).
    fn of_transport(server: &str, error: &kube::Error) -> Self {
        let mut innermost: &dyn std::error::Error = error;
        loop {
            if let Some(login) = innermost.downcast_ref::<kube::client::AuthError>() {
                return Self::Login {
                    reason: login_reason(login),
                };
            }
            match innermost.source() {
                Some(source) => innermost = source,
                None => break,
            }
        }
        Self::Unreachable {
            server: server.to_owned(),
            reason: visible(&innermost.to_string()),
        }
    }
}

/// The plugin's own words instead of a dump of its output.
fn login_reason(error: &kube::client::AuthError) -> String {
    match error {
        kube::client::AuthError::AuthExecRun { cmd, out } => {
            let said = visible(&String::from_utf8_lossy(&out.stderr));
            let colon = if said.is_empty() { "" } else { ": " };
            format!(
                "`{}` ended with {}{colon}{said}",
                visible(program(cmd)),
                out.status
            )
        }
        other => visible(&other.to_string()),
    }
}

/// The program in the debug form of a command (`A="1" B="2" "/bin/login" "--fast"`), whose environment
/// and arguments may hold secrets.
fn program(command: &str) -> &str {
    let mut rest = command;
    loop {
        let (before, quoted) = rest.split_once('"').unwrap_or((rest, ""));
        let mut escaped = false;
        let end = quoted.find(|character| {
            let ends = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            ends
        });
        let (content, after) = quoted.split_at(end.unwrap_or(quoted.len()));
        if !before.trim_start().ends_with('=') || after.is_empty() {
            return content;
        }
        rest = &after[1..];
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, Status, program};

    fn status(code: u16, message: &str) -> Status {
        Status {
            code,
            message: message.to_owned(),
            ..Status::default()
        }
    }

    #[test]
    fn answers_are_told_apart_by_their_code() {
        assert!(matches!(
            Cause::of_status(&status(401, "Unauthorized")),
            Cause::Unauthorized { .. }
        ));
        assert!(matches!(
            Cause::of_status(&status(403, "no")),
            Cause::Forbidden { .. }
        ));
        assert!(matches!(
            Cause::of_status(&status(404, "no")),
            Cause::NotFound { .. }
        ));
        assert!(matches!(
            Cause::of_status(&status(409, "no")),
            Cause::Conflict { .. }
        ));
        assert_eq!(
            Cause::of_status(&status(500, "etcd\x1b[31m is gone")),
            Cause::Server {
                code: 500,
                message: "etcd\\u{1b}[31m is gone".to_owned()
            }
        );
    }

    #[test]
    fn an_answer_without_words_gives_its_reason() {
        let bare = Status {
            code: 409,
            reason: "AlreadyExists".to_owned(),
            ..Status::default()
        };
        assert_eq!(
            Cause::of_status(&bare),
            Cause::Conflict {
                message: "AlreadyExists".to_owned()
            }
        );
    }

    #[test]
    fn of_a_plugins_command_only_the_program_is_shown() {
        assert_eq!(
            program(r#"INFO="{\"a\": \"b\\\\\"}" KEY="s3cret" "/bin/login" "--token" "s3cret""#),
            "/bin/login"
        );
        assert_eq!(program(r#""login""#), "login");
        assert_eq!(program(""), "");
    }
}
