//! Why an agent did not come up, in words that lead on.

use crate::Error;
use crate::error::{ApiError, Cause, Kind};

/// An agent did not come up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RolloutError {
    /// Something else has the name.
    #[error(
        "the pod {pod} exists and is not of this session, or is being deleted; remove it, or start a new session"
    )]
    Taken {
        /// Namespace and name.
        pod: String,
    },
    /// The namespace for agents is missing.
    #[error(
        "the namespace {namespace} does not exist; make it with: kubectl create namespace {namespace}, or choose another --agent-namespace"
    )]
    NoNamespace {
        /// The namespace.
        namespace: String,
    },
    /// The namespace for agents is going away.
    #[error(
        "the namespace {namespace} is being deleted; wait until it is gone and make it again, or choose another --agent-namespace"
    )]
    EndingNamespace {
        /// The namespace.
        namespace: String,
    },
    /// The namespace's pod security standard forbids what the agent needs.
    #[error(
        "the namespace {namespace} enforces a pod security standard that an agent cannot keep ({message}); allow it with: kubectl label --overwrite namespace {namespace} pod-security.kubernetes.io/enforce=privileged, or choose another --agent-namespace"
    )]
    PodSecurity {
        /// The namespace.
        namespace: String,
        /// What the standard forbids, in the server's words.
        message: String,
    },
    /// The namespace's quota is used up.
    #[error(
        "the quota of the namespace {namespace} is used up ({message}); free some of it, or choose another --agent-namespace"
    )]
    Quota {
        /// The namespace.
        namespace: String,
        /// The server's words.
        message: String,
    },
    /// The scheduler finds no place.
    #[error(
        "the pod {pod} cannot be scheduled on its node ({reason}){events}; free what the node lacks, or ask for less"
    )]
    Unschedulable {
        /// Namespace and name.
        pod: String,
        /// The scheduler's words.
        reason: String,
        /// The pod's events, as a part of the sentence.
        events: String,
    },
    /// The image does not reach the node.
    #[error(
        "the image {image} of the pod {pod} cannot be pulled ({reason}){events}; check --image, --image-pull-policy and --image-pull-secret, or import the image on the node"
    )]
    Image {
        /// Namespace and name.
        pod: String,
        /// The image.
        image: String,
        /// `ErrImagePull: …`
        reason: String,
        /// The pod's events.
        events: String,
    },
    /// The runtime cannot start the container.
    #[error(
        "the container of the pod {pod} cannot be started ({reason}){events}; correct what that names, then try again"
    )]
    Container {
        /// Namespace and name.
        pod: String,
        /// `CreateContainerError: …`
        reason: String,
        /// The pod's events.
        events: String,
    },
    /// The agent ended before it was up.
    #[error(
        "the pod {pod} ended at once ({how}){said}{events}; correct what it says, or try --privileged if a right is missing"
    )]
    Ended {
        /// Namespace and name.
        pod: String,
        /// Phase, reason and exit status.
        how: String,
        /// Its last words, as a part of the sentence.
        said: String,
        /// The pod's events.
        events: String,
        /// Somebody else ended it: another one may fare better.
        taken_away: bool,
    },
    /// Somebody deleted it.
    #[error("the pod {pod} was deleted by somebody else while it started; start again")]
    Deleted {
        /// Namespace and name.
        pod: String,
    },
    /// Time is up.
    #[error(
        "the pod {pod} was not up within {seconds} s (last seen: {state}){events}; look at it with: kubectl describe pod {}, or allow more time",
        arguments(pod)
    )]
    TooLate {
        /// Namespace and name.
        pod: String,
        /// How long it had.
        seconds: u64,
        /// What its status said last.
        state: String,
        /// The pod's events.
        events: String,
    },
}

/// `namespace/name` as kubectl takes it.
fn arguments(pod: &str) -> String {
    pod.split_once('/').map_or_else(
        || pod.to_owned(),
        |(namespace, name)| format!("-n {namespace} {name}"),
    )
}

impl RolloutError {
    /// Whether somebody else ended the pod, so that another one may fare better.
    #[must_use]
    pub fn is_taken_away(&self) -> bool {
        match self {
            Self::Deleted { .. } => true,
            Self::Ended { taken_away, .. } => *taken_away,
            _ => false,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::PodSecurity { .. } => Kind::Forbidden,
            _ => Kind::Failed,
        }
    }
}

/// Several refusals of a create have the status 403 or 404 and are no question of rights or names.
pub(super) fn refused_create(namespace: &str, error: ApiError) -> Error {
    let namespace = namespace.to_owned();
    match &error.cause {
        Cause::Forbidden { message } if message.contains("violates PodSecurity") => {
            // `pods "x" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostPID=true), …`
            let message = message
                .split_once("violates ")
                .map_or(message.as_str(), |(_, violation)| violation)
                .to_owned();
            RolloutError::PodSecurity { namespace, message }.into()
        }
        Cause::Forbidden { message }
            if message.contains("exceeded quota") || message.contains("failed quota") =>
        {
            RolloutError::Quota {
                namespace,
                message: message.clone(),
            }
            .into()
        }
        Cause::Forbidden { message } if message.contains("because it is being terminated") => {
            RolloutError::EndingNamespace { namespace }.into()
        }
        Cause::NotFound { message }
            if message.contains(&format!("namespaces \"{namespace}\" not found")) =>
        {
            RolloutError::NoNamespace { namespace }.into()
        }
        _ => error.into(),
    }
}
