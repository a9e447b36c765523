//! Whether a message is what its subject says. Whoever may publish may publish anything.

use std::collections::HashMap;
use std::sync::Arc;

use probeparser::wire::{DecodeError, Envelope, Status, StatusSubject, Subject, SubjectError};

/// Subjects that are remembered. A stranger may invent them without end.
const MAX_SUBJECTS: usize = 4096;

/// A message that was understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message<'a> {
    /// What a probe reported.
    Record(Box<Envelope<'a>>),
    /// What an agent says of itself.
    Status(Box<Status>),
}

/// Reads messages. Their subjects are few and come again and again, so that each is read once.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    subjects: HashMap<String, Arc<Source>>,
}

/// What a subject says.
#[derive(Debug)]
enum Source {
    Agent(StatusSubject),
    Probe(Subject),
}

/// Why a message is not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Its subject is none of the contract's.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// Its payload is none of the contract's.
    #[error(transparent)]
    Payload(#[from] DecodeError),
    /// Its payload names another place than its subject.
    #[error("its {member} is `{}`, its subject says `{}`", .payload.escape_default(), .subject.escape_default())]
    Contradiction {
        /// The member of the payload.
        member: &'static str,
        /// What it says.
        payload: String,
        /// What the subject says.
        subject: String,
    },
    /// Its number is none: records are numbered from 1.
    #[error("its number is 0, records are numbered from 1")]
    Number,
    /// More agents and probes than there can be.
    #[error("more than {0} sessions, nodes and probes at once")]
    Streams(usize),
}

impl Gate {
    /// Reads a message that anybody may have sent.
    ///
    /// # Errors
    /// When its subject or its payload is none of the contract's, or one contradicts the other. A
    /// wildcard subscription is a filter, so a record may not claim a place that its subject hides.
    pub(crate) fn admit<'a>(
        &mut self,
        subject: &str,
        payload: &'a [u8],
    ) -> Result<Message<'a>, Refusal> {
        match &*self.source(subject)? {
            Source::Agent(subject) => status(subject, payload),
            Source::Probe(subject) => record(subject, payload),
        }
    }

    fn source(&mut self, subject: &str) -> Result<Arc<Source>, Refusal> {
        if let Some(source) = self.subjects.get(subject) {
            return Ok(Arc::clone(source));
        }
        let source = Arc::new(match subject.parse() {
            Ok(agent) => Source::Agent(agent),
            Err(_) => Source::Probe(subject.parse()?),
        });
        if self.subjects.len() >= MAX_SUBJECTS {
            self.subjects.clear();
        }
        self.subjects
            .insert(subject.to_owned(), Arc::clone(&source));
        Ok(source)
    }
}

fn record<'a>(subject: &Subject, payload: &'a [u8]) -> Result<Message<'a>, Refusal> {
    let envelope = Envelope::decode(payload)?;
    agree("session", &envelope.session, &subject.session)?;
    agree("node", &envelope.node, &subject.node)?;
    agree("namespace", &envelope.namespace, &subject.namespace)?;
    agree("pod", &envelope.pod, &subject.pod)?;
    agree("container", &envelope.container, &subject.container)?;
    agree(
        "probe",
        envelope.record.probe().name(),
        subject.probe.name(),
    )?;
    if envelope.seq == 0 {
        return Err(Refusal::Number);
    }
    Ok(Message::Record(Box::new(envelope)))
}

fn status(subject: &StatusSubject, payload: &[u8]) -> Result<Message<'static>, Refusal> {
    let status = Status::decode(payload)?;
    agree("session", &status.session, &subject.session)?;
    agree("node", &status.node, &subject.node)?;
    Ok(Message::Status(Box::new(status)))
}

fn agree(member: &'static str, payload: &str, subject: &str) -> Result<(), Refusal> {
    if payload == subject {
        return Ok(());
    }
    Err(Refusal::Contradiction {
        member,
        payload: payload.to_owned(),
        subject: subject.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn admit<'a>(subject: &str, payload: &'a [u8]) -> Result<Message<'a>, Refusal> {
        Gate::default().admit(subject, payload)
    }

    const SUBJECT: &str = "xtracer.v1.s.n.ns.web%2E0.app.execsnoop";

    fn payload(member: &str, value: &str) -> String {
        let record = r#"{"v":1,"session":"s","seq":1,"time":"t","node":"n","namespace":"ns","pod":"web.0","container":"app","probe":"execsnoop","sys_time":"00:00:00","comm":"x","pid":1,"ppid":1,"ret":0,"args":"","by":"kernel","raw":"r"}"#;
        let mut record: serde_json::Value = serde_json::from_str(record).unwrap();
        if !member.is_empty() {
            record[member] = serde_json::from_str(value).unwrap();
        }
        record.to_string()
    }

    #[test]
    fn a_record_that_agrees_is_admitted() {
        let payload = payload("", "");
        let message = admit(SUBJECT, payload.as_bytes()).unwrap();
        assert!(matches!(message, Message::Record(envelope) if envelope.pod == "web.0"));
    }

    #[test]
    fn a_contradiction_is_refused_by_name() {
        for member in ["session", "node", "namespace", "pod", "container"] {
            let payload = payload(member, "\"\\u001bother\"");
            let refusal = admit(SUBJECT, payload.as_bytes());
            let refusal = refusal.unwrap_err().to_string();
            assert!(
                refusal.starts_with(&format!("its {member} is `\\u{{1b}}other`")),
                "{refusal}"
            );
        }
        let subject = SUBJECT.replace("execsnoop", "tcplife");
        let refusal = admit(&subject, payload("", "").as_bytes()).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "its probe is `execsnoop`, its subject says `tcplife`"
        );
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for (subject, payload) in [
            (SUBJECT, "{".to_owned()),
            (SUBJECT, String::new()),
            (SUBJECT, payload("v", "2")),
            (SUBJECT, payload("seq", "0")),
            (SUBJECT, payload("seq", "-1")),
            (SUBJECT, payload("probe", "\"tcptop\"")),
            (SUBJECT, "[".repeat(100_000)),
            ("xtracer.v1.s.n.ns.web%2E0.app", payload("", "")),
            ("xtracer.v2.s.n.ns.web%2E0.app.execsnoop", payload("", "")),
            ("xtracer.v1.s.n.ns.web%2e0.app.execsnoop", payload("", "")),
            ("xtracer.v1.s.n.status", payload("", "")),
        ] {
            assert!(
                admit(subject, payload.as_bytes()).is_err(),
                "{subject} {payload}"
            );
        }
    }

    /// What is remembered of a subject decides nothing for another one, however many there are.
    #[test]
    fn each_subject_speaks_for_itself() {
        let mut gate = Gate::default();
        let payload = payload("", "");
        for number in 0..=2 * MAX_SUBJECTS {
            let other = SUBJECT.replace("app", &format!("app{number}"));
            assert!(gate.admit(&other, payload.as_bytes()).is_err());
            assert!(gate.admit(SUBJECT, payload.as_bytes()).is_ok());
            assert!(gate.subjects.len() <= MAX_SUBJECTS);
        }
    }

    #[test]
    fn a_status_must_agree_too() {
        let payload =
            br#"{"v":1,"session":"s","node":"n","time":"t","state":"attached","probe":"tcplife"}"#;
        assert!(admit("xtracer.v1.s.n.status", payload).is_ok());
        assert!(admit("xtracer.v1.s.other.status", payload).is_err());
        assert!(admit("xtracer.v1.other.n.status", payload).is_err());
    }

    proptest! {
        /// Anybody may send anything: it is admitted or refused, and the refusal can be told.
        #[test]
        fn nothing_breaks_it(subject in ".*", payload: Vec<u8>) {
            for subject in [subject.as_str(), SUBJECT, "xtracer.v1.s.n.status"] {
                if let Err(refusal) = admit(subject, &payload) {
                    prop_assert!(!refusal.to_string().is_empty());
                }
            }
        }

        /// A record with one byte changed is refused or is another record of the same place.
        #[test]
        fn a_changed_byte_moves_no_record(at in 0_usize..220, byte: u8) {
            let mut payload = payload("", "").into_bytes();
            let at = at % payload.len();
            payload[at] = byte;
            if let Ok(Message::Record(envelope)) = admit(SUBJECT, &payload) {
                prop_assert_eq!(&*envelope.session, "s");
                prop_assert_eq!(&*envelope.node, "n");
                prop_assert_eq!(&*envelope.namespace, "ns");
                prop_assert_eq!(&*envelope.pod, "web.0");
                prop_assert_eq!(&*envelope.container, "app");
            }
        }
    }
}
