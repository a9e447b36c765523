//! Sessions: how the objects of one are called and labelled, so that two never meet.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::SpecError;
use crate::text::visible;

/// The original's label: `app: x-agent`.
pub const APP: &str = "app";
/// The common label of whoever looks after an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`].
pub const MANAGER: &str = "x-tracer";
/// The label that holds the session: `kubectl delete pods -l x-tracer/session=ID` removes all of it.
pub const SESSION: &str = "x-tracer/session";
/// Annotation: who made it, as `user@machine`.
pub(crate) const MADE_BY: &str = "x-tracer/made-by";

const AGENT_PREFIX: &str = "x-agent-";
const SERVICE_PREFIX: &str = "agent-service-";
const NATS_PREFIX: &str = "x-tracer-nats-";
/// Names are at most 63 characters, the limit of a Service; what they are made of is cut to fit.
const LONGEST_SESSION: usize = 20;
const LONGEST_NODE_PART: usize = 18;

/// A session's name: unique among all hubs on a cluster, fit for labels, object names and NATS subjects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Session(String);

impl Session {
    /// A new name: 40 bits of the standard library's hash seed, which comes from the system.
    #[must_use]
    pub fn random() -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut bits = RandomState::new().hash_one(std::process::id());
        let mut name = String::with_capacity(8);
        for _ in 0..8 {
            name.push(char::from(LETTERS[(bits & 31) as usize]));
            bits >>= 5;
        }
        Self(name)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The label selector of everything that this session made.
    #[must_use]
    pub fn selector(&self) -> String {
        format!("{MANAGED_BY}={MANAGER},{SESSION}={self}")
    }

    pub(super) fn labels(&self, app: &str) -> BTreeMap<String, String> {
        BTreeMap::from([
            (APP.to_owned(), app.to_owned()),
            (MANAGED_BY.to_owned(), MANAGER.to_owned()),
            (SESSION.to_owned(), self.0.clone()),
        ])
    }

    pub(super) fn metadata(&self, namespace: &str, name: String, app: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(namespace.to_owned()),
            labels: Some(self.labels(app)),
            ..ObjectMeta::default()
        }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Session {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let good = (1..=LONGEST_SESSION).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(SpecError::Session(visible(text)))
        }
    }
}

/// The agent's pod on a node. One name per session and node: making it twice finds the first.
#[must_use]
pub fn agent_name(session: &Session, node: &str) -> String {
    let readable: String = node
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(LONGEST_NODE_PART)
        .collect();
    // Two nodes may be equal in the part that is kept: the hash tells them apart.
    format!(
        "{AGENT_PREFIX}{session}-{}-{:08x}",
        readable.trim_matches('-'),
        fnv1a(node.as_bytes())
    )
}

/// The session's own NATS server: pod, Secret and Service.
#[must_use]
pub fn nats_name(session: &Session) -> String {
    format!("{NATS_PREFIX}{session}")
}

/// The Service of one of our pods; `None` for a pod that is not called as ours are.
#[must_use]
pub fn service_name(pod: &str) -> Option<String> {
    if let Some(rest) = pod.strip_prefix(AGENT_PREFIX) {
        return Some(format!("{SERVICE_PREFIX}{rest}"));
    }
    pod.starts_with(NATS_PREFIX).then(|| pod.to_owned())
}

/// FNV-1a, 32 bits: the same on every machine and in every release, which the standard hasher is not.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Session, agent_name, fnv1a, nats_name, service_name};

    #[test]
    fn random_names_are_valid_and_differ() {
        let names: HashSet<_> = (0..200).map(|_| Session::random()).collect();
        assert_eq!(names.len(), 200);
        assert!(
            names
                .iter()
                .all(|name| name.as_str().parse::<Session>().as_ref() == Ok(name))
        );
    }

    #[test]
    fn a_session_fits_into_labels_names_and_subjects() {
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a.b",
            "a b",
            "a\n",
            "123456789012345678901",
        ] {
            bad.parse::<Session>().unwrap_err();
        }
    }

    #[test]
    fn names_fit_and_differ_by_node() {
        let session: Session = "12345678901234567890".parse().unwrap();
        let long = "ip-10-0-0-1.eu-central-1.compute.internal.example.com";
        let (one, other) = (
            agent_name(&session, long),
            agent_name(&session, &format!("{long}x")),
        );
        assert_ne!(one, other);
        for name in [
            one.clone(),
            service_name(&one).unwrap(),
            nats_name(&session),
        ] {
            assert!(name.len() <= 63, "{name}");
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{name}"
            );
        }
        assert_eq!(
            agent_name(&"s1".parse().unwrap(), "node.a"),
            format!("x-agent-s1-node-a-{:08x}", fnv1a(b"node.a"))
        );
    }

    #[test]
    fn only_our_pods_have_services() {
        assert_eq!(
            service_name("x-agent-s-n-1").as_deref(),
            Some("agent-service-s-n-1")
        );
        assert_eq!(
            service_name("x-tracer-nats-s").as_deref(),
            Some("x-tracer-nats-s")
        );
        assert_eq!(service_name("web"), None);
    }

    #[test]
    fn the_hash_is_fnv1a() {
        // http://www.isthe.com/chongo/tech/comp/fnv/: test vectors of the 32-bit FNV-1a hash.
        assert_eq!(
            (fnv1a(b""), fnv1a(b"a"), fnv1a(b"foobar")),
            (0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968)
        );
    }
}
