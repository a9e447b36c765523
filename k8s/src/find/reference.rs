//! `POD`, `pod/NAME`, `deploy/NAME`, …: how a target is named on the command line.

use std::fmt;
use std::str::FromStr;

use crate::text::visible;

/// One target as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A pod by its name.
    Pod(String),
    /// All pods of an owner.
    Owner(OwnerKind, String),
}

/// Kinds whose `.spec.selector` says which pods are theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerKind {
    /// `deploy/NAME`
    Deployment,
    /// `sts/NAME`
    StatefulSet,
    /// `ds/NAME`
    DaemonSet,
    /// `job/NAME`
    Job,
    /// `rs/NAME`
    ReplicaSet,
}

/// A reference that cannot name anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// `KIND/NAME` with a kind that has no pods, or that we do not know.
    #[error(
        "{0:?} is not a kind of target: use POD, pod/NAME, deployment/NAME, statefulset/NAME, daemonset/NAME, job/NAME or replicaset/NAME"
    )]
    Kind(String),
    /// No Kubernetes object can have this name.
    #[error("{0:?} cannot be a Kubernetes name: use lower-case letters, digits, '-' and '.'")]
    Name(String),
}

impl OwnerKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::ReplicaSet,
    ];

    /// The kind as kubectl writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::Job => "job",
            Self::ReplicaSet => "replicaset",
        }
    }
}

impl fmt::Display for OwnerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(name) => write!(formatter, "pod/{name}"),
            Self::Owner(kind, name) => write!(formatter, "{kind}/{name}"),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let Some((kind, name)) = text.split_once('/') else {
            return check_name(text).map(Self::Pod);
        };
        // `deployments.apps/web` is what `kubectl get -o name` prints.
        let (kind, group) = kind
            .split_once('.')
            .map_or((kind, None), |(kind, group)| (kind, Some(group)));
        let owner = match (kind, group) {
            ("pod" | "pods" | "po", None) => return check_name(name).map(Self::Pod),
            ("deployment" | "deployments" | "deploy", None | Some("apps")) => OwnerKind::Deployment,
            ("statefulset" | "statefulsets" | "sts", None | Some("apps")) => OwnerKind::StatefulSet,
            ("daemonset" | "daemonsets" | "ds", None | Some("apps")) => OwnerKind::DaemonSet,
            ("replicaset" | "replicasets" | "rs", None | Some("apps")) => OwnerKind::ReplicaSet,
            ("job" | "jobs", None | Some("batch")) => OwnerKind::Job,
            _ => return Err(ReferenceError::Kind(visible(text))),
        };
        check_name(name).map(|name| Self::Owner(owner, name))
    }
}

/// Names go into URLs: what the API could never hold is refused before it gets there.
fn check_name(name: &str) -> Result<String, ReferenceError> {
    let good = !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.'
        })
        && !name.contains("..")
        && !name.starts_with(['-', '.'])
        && !name.ends_with(['-', '.']);
    if good {
        Ok(name.to_owned())
    } else {
        Err(ReferenceError::Name(visible(name)))
    }
}

pub(crate) fn check_namespace(name: &str) -> Result<(), ReferenceError> {
    check_name(name).and_then(|name| {
        if name.contains('.') {
            Err(ReferenceError::Name(name))
        } else {
            Ok(())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{OwnerKind, Reference, ReferenceError, check_namespace};

    #[test]
    fn every_short_and_long_form_is_known() {
        for (text, expected) in [
            ("web", "pod/web"),
            ("po/web.1", "pod/web.1"),
            ("pods/web", "pod/web"),
            ("deploy/web", "deployment/web"),
            ("deployments.apps/web", "deployment/web"),
            ("sts/db", "statefulset/db"),
            ("statefulset/db", "statefulset/db"),
            ("ds/log", "daemonset/log"),
            ("job/once", "job/once"),
            ("jobs.batch/once", "job/once"),
            ("rs/web-1", "replicaset/web-1"),
        ] {
            assert_eq!(
                text.parse::<Reference>().unwrap().to_string(),
                expected,
                "{text}"
            );
        }
        assert_eq!(
            "ds/x".parse(),
            Ok(Reference::Owner(OwnerKind::DaemonSet, "x".to_owned()))
        );
    }

    #[test]
    fn what_cannot_be_a_target_is_named() {
        assert_eq!(
            "svc/web".parse::<Reference>(),
            Err(ReferenceError::Kind("svc/web".to_owned()))
        );
        assert_eq!(
            "jobs.apps/web".parse::<Reference>(),
            Err(ReferenceError::Kind("jobs.apps/web".to_owned()))
        );
        for name in [
            "",
            "Web",
            "a/b/c",
            "pod/",
            "..",
            "pod/../nodes",
            "web?x=1",
            "-web",
            "web\x1b[m",
            "a..b",
            "é",
        ] {
            let error = name.parse::<Reference>().unwrap_err().to_string();
            assert!(!error.contains('\x1b'), "{error}");
        }
        "a".repeat(254).parse::<Reference>().unwrap_err();
    }

    #[test]
    fn a_namespace_has_no_dots() {
        check_namespace("kube-system").unwrap();
        check_namespace("a.b").unwrap_err();
        check_namespace("../x").unwrap_err();
    }
}
