//! What an agent says of itself and of its probes.

use serde::{Deserialize, Serialize};

use super::VERSION;
use super::decode::{self, DecodeError};
use crate::Probe;

/// Where a probe, or the agent, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is on its way: compiling, attaching.
    Starting,
    /// Its tool has attached and reports.
    Attached,
    /// It goes on, but something should be known.
    Note,
    /// It has failed and will be tried again.
    Failed,
    /// It has failed for good.
    GivenUp,
    /// Its tool has come to its own end (recorded output that was replayed).
    Finished,
    /// It was stopped because the session ends.
    Stopped,
    /// Nothing new but the ledger.
    Report,
}

/// Where every line that a tool printed went. For each probe,
/// `printed = outside + unattributed + unparsed + dropped + published` once its queue is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Lines that the tool printed, banners and headers not counted.
    pub printed: u64,
    /// Of a process outside the target.
    pub outside: u64,
    /// Of a process that had gone and that nobody had seen.
    pub unattributed: u64,
    /// Not understood.
    pub unparsed: u64,
    /// Dropped because the agent's queue was full.
    pub dropped: u64,
    /// Handed to NATS.
    pub published: u64,
    /// Lost before the tool saw them: in the kernel's perf buffer.
    pub lost_samples: u64,
    /// Lost between the tool and the agent.
    pub lost_in_host: u64,
    /// Runs of the tool's programs that the kernel skipped because another one ran on that CPU, where
    /// it counts them (from 6.7 on). Each may have been an event. Earlier agents say nothing of it.
    #[serde(default)]
    pub skipped: u64,
    /// How often the tool was started again.
    pub restarts: u64,
    /// Lines about the agent's own known events (see [`Sight`]); they are in no other column, not
    /// even in `printed`. Agents of the first days say nothing of it.
    #[serde(default)]
    pub known: u64,
}

impl Ledger {
    /// The printed lines whose end is known.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        // Anybody may have sent it, so the sum of its numbers need not fit.
        [
            self.unattributed,
            self.unparsed,
            self.dropped,
            self.published,
        ]
        .into_iter()
        .fold(self.outside, u64::saturating_add)
    }
}

/// What became of the events that the agent made itself to see whether a probe reports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All were reported.
    Sees,
    /// Some were, or some of their columns hold nothing: which, is in [`Sight::dead`].
    Suspect,
    /// None was: the tool is attached, and silent whatever happens.
    Blind,
    /// They could not be made. Also what a later release may say that this one does not know.
    #[serde(other)]
    Unproven,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sees => "sees",
            Self::Suspect => "suspect",
            Self::Blind => "blind",
            Self::Unproven => "unproven",
        }
    }
}

/// Whether a probe that is attached sees: attached is not seeing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// What is proven.
    pub verdict: Verdict,
    /// Events and columns that are proven dead, in the tool's terms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead: Vec<String>,
    /// What the agent has changed so that it sees, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healed: Option<String>,
}

/// One status message. Without `probe` it is about the agent itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the wire contract.
    pub v: u32,
    /// The tracing session.
    pub session: String,
    /// The node's name.
    pub node: String,
    /// When: RFC 3339, nanoseconds, UTC.
    pub time: String,
    /// The probe that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// Where it stands.
    pub state: State,
    /// What there is to say, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The tool's own last words, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
    /// The probes of the session, in the order in which they are started (agent, `starting`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// Milliseconds from the tool's start to its attachment (probe, `attached`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// The probe's ledger so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Ledger>,
    /// Whether the probe sees, when that is news.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sight: Option<Sight>,
}

impl Status {
    /// One that says nothing yet, and has no time.
    #[must_use]
    pub fn new(
        session: impl Into<String>,
        node: impl Into<String>,
        probe: Option<Probe>,
        state: State,
    ) -> Self {
        Self {
            v: VERSION,
            session: session.into(),
            node: node.into(),
            time: String::new(),
            probe,
            state,
            message: String::new(),
            remedy: None,
            said: Vec::new(),
            probes: Vec::new(),
            took_ms: None,
            ledger: None,
            sight: None,
        }
    }

    /// The message's payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers go into a vector without fail")
    }

    /// Reads a payload that anybody may have sent.
    ///
    /// # Errors
    /// When it is too long, no status object, or of another version.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        decode::message(payload, |status: &Self| status.v)
    }
}

#[cfg(test)]
mod tests {
    use super::VERSION;
    use super::*;

    #[test]
    fn decodes_to_what_was_encoded() {
        let status = Status {
            v: VERSION,
            session: "s".into(),
            node: "n".into(),
            time: "t".into(),
            probe: Some(Probe::Biosnoop),
            state: State::GivenUp,
            message: "cannot attach".into(),
            remedy: Some("use another kernel".into()),
            said: vec!["Exception: …".into()],
            probes: vec![],
            took_ms: None,
            ledger: Some(Ledger {
                printed: 3,
                published: 3,
                ..Ledger::default()
            }),
            sight: Some(Sight {
                verdict: Verdict::Suspect,
                dead: vec!["MISSES".into()],
                healed: Some("another way in".into()),
            }),
        };
        assert_eq!(Status::decode(&status.encode()).unwrap(), status);
    }

    #[test]
    fn an_agent_of_another_day_is_understood() {
        let earlier = r#"{"v":1,"session":"s","node":"n","time":"t","state":"report","ledger":
            {"printed":1,"outside":1,"unattributed":0,"unparsed":0,"dropped":0,"published":0,
             "lost_samples":0,"lost_in_host":0,"restarts":0}}"#;
        let status = Status::decode(earlier.as_bytes()).unwrap();
        let ledger = status.ledger.unwrap();
        assert_eq!((ledger.known, ledger.skipped), (0, 0));
        let later = r#"{"v":1,"session":"s","node":"n","time":"t","state":"note","sight":
            {"verdict":"dazzled","since":4}}"#;
        let status = Status::decode(later.as_bytes()).unwrap();
        assert_eq!(status.sight.unwrap().verdict, Verdict::Unproven);
    }

    #[test]
    fn another_version_is_refused() {
        let payload = br#"{"v":9,"session":"s","node":"n","time":"t","state":"note"}"#;
        assert!(matches!(
            Status::decode(payload),
            Err(DecodeError::Version(9))
        ));
    }
}
