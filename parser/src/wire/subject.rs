//! Where a message stands: `xtracer.v1.<session>.<node>.…`, so that a wildcard is a filter.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use crate::{Probe, UnknownProbe};

/// What every subject of a session begins with.
pub(super) const PREFIX: &str = "xtracer.v1";

/// Escapes a name so that NATS takes it as one token.
///
/// Every byte that is no ASCII letter, digit, `-` or `_` becomes `%` and two hexadecimal digits;
/// the empty name becomes a lone `%`. [`decode_token`] gives the name back.
#[must_use]
pub fn encode_token(name: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() {
        return Cow::Borrowed("%");
    }
    if name.bytes().all(plain) {
        return Cow::Borrowed(name);
    }
    let mut token = String::with_capacity(name.len() + 8);
    for byte in name.bytes() {
        if plain(byte) {
            token.push(char::from(byte));
        } else {
            write!(token, "%{byte:02X}").expect("a string takes every write");
        }
    }
    Cow::Owned(token)
}

/// The name that [`encode_token`] made this token of, if it made it.
#[must_use]
pub fn decode_token(token: &str) -> Option<String> {
    if token == "%" {
        return Some(String::new());
    }
    let mut name = Vec::with_capacity(token.len());
    let mut bytes = token.bytes();
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            _ => byte,
        });
    }
    let name = String::from_utf8(name).ok()?;
    // One name, one token: a second spelling would slip past a filter on the first.
    (encode_token(&name) == token).then_some(name)
}

/// The end of the place for answers that the last message of a batch names: whoever reads on behalf
/// of a user answers there, so that the agent sends no faster than it is read.
pub const PLACE_END: &str = ".end";

/// What the inboxes of all agents begin with.
pub const AGENT_INBOXES: &str = "_INBOX.x-agent.";

/// Where an agent's messages to itself, and answers to it, go: a place that no other agent may read.
#[must_use]
pub fn agent_inbox(session: &str, node: &str) -> String {
    let (session, node) = (encode_token(session), encode_token(node));
    format!("{AGENT_INBOXES}{session}.{node}")
}

/// Where in the inbox of an agent a hub says that it reads, from the subject of a status of that agent; none
/// if it is something else. For a hub that reads a stream, whose messages name no place for answers.
#[must_use]
pub fn hub_place(status: &str) -> Option<String> {
    let agent = status.strip_prefix(PREFIX)?.strip_prefix('.')?;
    let agent = agent.strip_suffix(".status")?;
    (agent.split('.').count() == 2).then(|| format!("{AGENT_INBOXES}{agent}.hub"))
}

/// The subject of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The tracing session.
    pub session: String,
    /// The node's name.
    pub node: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container's name.
    pub container: String,
    /// The tool.
    pub probe: Probe,
}

/// The subject of an agent's status messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSubject {
    /// The tracing session.
    pub session: String,
    /// The node's name.
    pub node: String,
}

/// Why a subject is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// It has another shape.
    #[error("subject `{}` is not {PREFIX}.<session>.<node>.{expected}", .subject.escape_default())]
    Shape {
        /// What it said.
        subject: String,
        /// What should follow the node.
        expected: &'static str,
    },
    /// Its last token names no tool.
    #[error(transparent)]
    Probe(#[from] UnknownProbe),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{PREFIX}.{}.{}.{}.{}.{}.{}",
            encode_token(&self.session),
            encode_token(&self.node),
            encode_token(&self.namespace),
            encode_token(&self.pod),
            encode_token(&self.container),
            self.probe,
        )
    }
}

impl fmt::Display for StatusSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{PREFIX}.{}.{}.status",
            encode_token(&self.session),
            encode_token(&self.node)
        )
    }
}

/// The tokens after the prefix, decoded, if there are `N` of them.
fn tokens<const N: usize>(subject: &str) -> Option<[String; N]> {
    let rest = subject.strip_prefix(PREFIX)?.strip_prefix('.')?;
    let names = rest
        .split('.')
        .map(decode_token)
        .collect::<Option<Vec<_>>>()?;
    names.try_into().ok()
}

impl std::str::FromStr for Subject {
    type Err = SubjectError;

    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        let [session, node, namespace, pod, container, probe] =
            tokens(subject).ok_or_else(|| SubjectError::Shape {
                subject: subject.to_owned(),
                expected: "<namespace>.<pod>.<container>.<probe>",
            })?;
        Ok(Self {
            session,
            node,
            namespace,
            pod,
            container,
            probe: probe.parse()?,
        })
    }
}

impl std::str::FromStr for StatusSubject {
    type Err = SubjectError;

    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        match tokens(subject) {
            Some([session, node, status]) if status == "status" => Ok(Self { session, node }),
            _ => Err(SubjectError::Shape {
                subject: subject.to_owned(),
                expected: "status",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_speaks_to_the_agent_of_a_status_alone() {
        let status = StatusSubject {
            session: "s.1".into(),
            node: "n".into(),
        };
        let place = format!("{}.hub", agent_inbox("s.1", "n"));
        assert_eq!(hub_place(&status.to_string()), Some(place));
        for other in [
            "xtracer.v1.s.n.a.b.c.tcplife",
            "xtracer.v1.s.status",
            "s.n.status",
            "",
        ] {
            assert_eq!(hub_place(other), None);
        }
    }

    #[test]
    fn a_name_is_one_token() {
        assert_eq!(encode_token("web-0"), "web-0");
        assert_eq!(encode_token("web.0 *>%"), "web%2E0%20%2A%3E%25");
        assert_eq!(encode_token(""), "%");
        assert_eq!(encode_token("é"), "%C3%A9");
    }

    #[test]
    fn every_name_comes_back() {
        for name in ["", "%", "a.b", "*", ">", "\0\n\u{1b}", "größe", "%41"] {
            assert_eq!(decode_token(&encode_token(name)).as_deref(), Some(name));
        }
    }

    #[test]
    fn no_second_spelling_is_taken() {
        for token in ["%41", "%2e", "%4", "%zz", "a b", "%FF", "", "%+1"] {
            assert_eq!(decode_token(token), None, "{token}");
        }
    }

    #[test]
    fn subjects_read_back() {
        let subject = Subject {
            session: "s".into(),
            node: "node.1".into(),
            namespace: "default".into(),
            pod: "web.0".into(),
            container: String::new(),
            probe: Probe::Tcplife,
        };
        assert_eq!(
            subject.to_string(),
            "xtracer.v1.s.node%2E1.default.web%2E0.%.tcplife"
        );
        assert_eq!(subject.to_string().parse(), Ok(subject));
        let status = StatusSubject {
            session: "s".into(),
            node: "n".into(),
        };
        assert_eq!(status.to_string().parse(), Ok(status.clone()));
        assert!("xtracer.v1.s.n.x".parse::<StatusSubject>().is_err());
        assert!("xtracer.v1.s.n.a.b.c.tcptop".parse::<Subject>().is_err());
        assert!("xtracer.v2.s.n.a.b.c.tcplife".parse::<Subject>().is_err());
    }
}
