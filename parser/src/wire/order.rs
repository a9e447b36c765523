//! What a hub asks of an agent that runs: to trace more. The only messages that go to an agent.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::VERSION;
use super::decode::{self, DecodeError};
use super::subject::encode_token;

/// The subject of an agent's orders. It is no part of what is published of a session, so that readers of
/// that do not meet them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSubject {
    /// The tracing session.
    pub session: String,
    /// The node's name.
    pub node: String,
}

/// To trace these as well. It may be repeated: a target that is known is no news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Version of the wire contract.
    pub v: u32,
    /// What to trace, as the agent's `--target` has it.
    pub targets: Vec<String>,
    /// The hub's signature of what [`Order::statement`] gives, by Ed25519: others may write to the subject.
    #[serde(default)]
    pub signature: Vec<u8>,
}

/// The agent's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obeyed {
    /// Version of the wire contract.
    pub v: u32,
    /// Why a target is not traced, one text each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}

impl fmt::Display for OrderSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "xtracer-orders.v{VERSION}.{}.{}",
            encode_token(&self.session),
            encode_token(&self.node)
        )
    }
}

impl Order {
    /// An order to trace these, to be signed.
    #[must_use]
    pub fn new(targets: Vec<String>) -> Self {
        Self {
            v: VERSION,
            targets,
            signature: Vec::new(),
        }
    }

    /// What is signed: to whom it goes, and what it says.
    #[must_use]
    pub fn statement(&self, subject: &OrderSubject) -> Vec<u8> {
        serde_json::to_vec(&(subject.to_string(), self.v, &self.targets))
            .expect("strings and numbers go into a vector without fail")
    }

    /// The message's payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers go into a vector without fail")
    }

    /// Reads a payload that anybody may have sent.
    ///
    /// # Errors
    /// When it is too long, no order, or of another version.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        decode::message(payload, |order: &Self| order.v)
    }
}

impl Obeyed {
    /// An answer.
    #[must_use]
    pub fn new(refused: Vec<String>) -> Self {
        let v = VERSION;
        Self { v, refused }
    }

    /// The message's payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers go into a vector without fail")
    }

    /// Reads a payload that anybody may have sent.
    ///
    /// # Errors
    /// When it is too long, no answer, or of another version.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        decode::message(payload, |answer: &Self| answer.v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::MAX_PAYLOAD;

    #[test]
    fn an_order_reads_back_and_nothing_else_is_one() {
        let order = Order::new(vec!["container:00,pod=web".into()]);
        assert_eq!(Order::decode(&order.encode()).unwrap(), order);
        let answer = Obeyed::new(vec![]);
        assert_eq!(Obeyed::decode(&answer.encode()).unwrap(), answer);
        for payload in ["", "{}", r#"{"v":2,"targets":[]}"#, r#"{"v":1}"#] {
            assert!(Order::decode(payload.as_bytes()).is_err(), "{payload}");
        }
        assert!(Order::decode(&vec![b' '; MAX_PAYLOAD + 1]).is_err());
    }

    #[test]
    fn a_statement_is_about_one_agent_and_all_targets() {
        let subject = |node: &str| OrderSubject {
            session: "s".into(),
            node: node.into(),
        };
        let order =
            |targets: &[&str]| Order::new(targets.iter().map(ToString::to_string).collect());
        let one = order(&["container:00", "pod"]).statement(&subject("n"));
        assert_eq!(
            one,
            order(&["container:00", "pod"]).statement(&subject("n"))
        );
        for other in [
            order(&["container:00", "pod"]).statement(&subject("m")),
            order(&["container:00\",\"pod"]).statement(&subject("n")),
            order(&["container:00"]).statement(&subject("n")),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_subject_has_no_more_tokens_than_it_should() {
        let subject = OrderSubject {
            session: "s".into(),
            node: "n.example".into(),
        };
        assert_eq!(subject.to_string(), "xtracer-orders.v1.s.n%2Eexample");
    }
}
