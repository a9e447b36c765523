//! Why there is nothing to trace.

use super::{Odd, PodName, ReferenceError};
use crate::error::Kind;

/// The pods that were asked for are not there, or cannot be traced.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// No pod or owner of that name.
    #[error("there is no {kind} {name:?} in the namespace {namespace}{hint}")]
    NotFound {
        /// `pod`, `deployment`, …
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// Where it was looked for; `any` when everywhere.
        namespace: String,
        /// What is there instead, and the next step.
        hint: String,
    },
    /// No such namespace.
    #[error(
        "there is no namespace {namespace}; see which there are with: kubectl get namespaces, and choose one with -n"
    )]
    NoNamespace {
        /// Its name.
        namespace: String,
    },
    /// A selector, or an owner's selector, matches nothing now.
    #[error(
        "no pod matches {what} in the namespace {namespace}; check it with: kubectl get pods {arguments}"
    )]
    NoMatch {
        /// The selector or owner.
        what: String,
        /// Where it was looked for; `any` when everywhere.
        namespace: String,
        /// What kubectl takes to show the same.
        arguments: String,
    },
    /// A name or kind that Kubernetes cannot have.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// Owners are in one namespace.
    #[error(
        "{what} needs a namespace: use -n NAMESPACE with it, or -A with -l SELECTOR or a pod's name"
    )]
    OwnerEverywhere {
        /// The owner as it was typed.
        what: String,
    },
    /// An owner without a usable selector.
    #[error("{what} has no usable pod selector ({reason}); name its pods with -l SELECTOR")]
    NoSelector {
        /// The owner.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The pod is there and cannot be traced.
    #[error("the pod {pod} cannot be traced: {odd}")]
    Odd {
        /// Which pod.
        pod: PodName,
        /// Why not, and the next step.
        odd: Box<Odd>,
    },
}

impl TargetError {
    /// Whether waiting makes no difference: it is not what runs that is wrong, but what was asked for.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::NoMatch { .. } => false,
            Self::Odd { odd, .. } => odd.is_lasting(),
            _ => true,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Reference(_) | Self::OwnerEverywhere { .. } => Kind::Usage,
            _ => Kind::NoTarget,
        }
    }
}
