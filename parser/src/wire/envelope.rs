//! A record with who, where and when.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize, Serializer};

use super::VERSION;
use super::decode::{self, DecodeError};
use crate::{Clock, Probe, Record, Text};

/// How it was decided that a process belongs to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The kernel table, written before the process ran.
    Kernel,
    /// `/proc`, read after the line came out.
    Procfs,
}

/// One record on the wire: a flat JSON object, one a message.
///
/// JSON strings can't hold bytes that aren't UTF-8. Such a text is shown with U+FFFD and its exact
/// bytes stand, in hexadecimal, in the member `hex` under the same name; without such a text there
/// is no `hex`.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope<'a> {
    /// The tracing session; agents of one session share it.
    pub session: Cow<'a, str>,
    /// Number of the record among those of this agent and probe, from 1, without holes unless a
    /// record was lost.
    pub seq: u64,
    /// When the agent took the line: RFC 3339, nanoseconds, UTC.
    pub time: Cow<'a, str>,
    /// The node's name.
    pub node: Cow<'a, str>,
    /// The pod's namespace.
    pub namespace: Cow<'a, str>,
    /// The pod's name.
    pub pod: Cow<'a, str>,
    /// The container's name.
    pub container: Cow<'a, str>,
    /// Time of day on the node: the tool's own clock cell, or the agent's clock where the tool
    /// prints none.
    pub sys_time: Clock,
    /// What the tool reported.
    pub record: Record,
    /// The process, as the container numbers it, where known.
    pub pid_ns: Option<u32>,
    /// How the process was attributed.
    pub by: By,
    /// The line as the tool printed it.
    pub raw: Text,
    /// Whether the ends of `raw` and `args` were cut off, because a NATS message would not have
    /// held them.
    pub cut: bool,
}

/// The members in the order in which a reader wants to see them.
#[derive(Serialize)]
struct Members<'a> {
    v: u32,
    session: &'a str,
    seq: u64,
    time: &'a str,
    node: &'a str,
    namespace: &'a str,
    pod: &'a str,
    container: &'a str,
    probe: Probe,
    sys_time: Clock,
    #[serde(flatten)]
    record: &'a Record,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid_ns: Option<u32>,
    by: By,
    raw: &'a Text,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    hex: BTreeMap<&'static str, String>,
}

impl Envelope<'_> {
    /// The message's payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(512 + 2 * self.raw.as_bytes().len());
        self.encode_to(&mut payload);
        payload
    }

    /// Appends the message's payload.
    pub fn encode_to(&self, payload: &mut Vec<u8>) {
        serde_json::to_writer(payload, self)
            .expect("strings and numbers go into a vector without fail");
    }

    /// The same, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Envelope<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Envelope {
            session: owned(self.session),
            time: owned(self.time),
            node: owned(self.node),
            namespace: owned(self.namespace),
            pod: owned(self.pod),
            container: owned(self.container),
            seq: self.seq,
            sys_time: self.sys_time,
            record: self.record,
            pid_ns: self.pid_ns,
            by: self.by,
            raw: self.raw,
            cut: self.cut,
        }
    }
}

/// The object of the payload, for whoever wants it in another form.
impl Serialize for Envelope<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut hex = hex_members(&self.record);
        keep_bytes(&mut hex, "raw", &self.raw);
        Members {
            v: VERSION,
            session: &self.session,
            seq: self.seq,
            time: &self.time,
            node: &self.node,
            namespace: &self.namespace,
            pod: &self.pod,
            container: &self.container,
            probe: self.record.probe(),
            sys_time: self.sys_time,
            record: &self.record,
            pid_ns: self.pid_ns,
            by: self.by,
            raw: &self.raw,
            cut: self.cut,
            hex,
        }
        .serialize(serializer)
    }
}

impl<'a> Envelope<'a> {
    /// Reads a payload that anybody may have sent.
    ///
    /// # Errors
    /// When it is too long, no JSON object, of another version, or lacks a member of its probe.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        decode::envelope(payload)
    }
}

/// The texts of a record that JSON can't hold, by their names.
pub(crate) fn hex_members(record: &Record) -> BTreeMap<&'static str, String> {
    let mut hex = BTreeMap::new();
    record.texts(|name, text| keep_bytes(&mut hex, name, text));
    hex
}

fn keep_bytes(hex: &mut BTreeMap<&'static str, String>, name: &'static str, text: &Text) {
    if !text.is_utf8() {
        hex.insert(name, to_hex(text.as_bytes()));
    }
}

fn to_hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(hex, "{byte:02x}").expect("a string takes every write");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Execsnoop;

    fn envelope(comm: &[u8]) -> Envelope<'static> {
        Envelope {
            session: "s1".into(),
            seq: 7,
            time: "2026-11-23T18:00:00.000000001Z".into(),
            node: "node-1".into(),
            namespace: "default".into(),
            pod: "web.0".into(),
            container: "app".into(),
            sys_time: Clock::new(18, 0, 0).unwrap(),
            record: Record::Execsnoop(Execsnoop {
                time_s: Some(0.5),
                uid: None,
                comm: comm.into(),
                pid: 4242,
                parent_comm: None,
                ppid: None,
                cpu: None,
                ret: 0,
                args: "/bin/true \"x\"".into(),
            }),
            pid_ns: Some(17),
            by: By::Kernel,
            raw: "…".into(),
            cut: false,
        }
    }

    #[test]
    fn is_one_flat_object() {
        assert_eq!(
            String::from_utf8(envelope(b"true").encode()).unwrap(),
            r#"{"v":1,"session":"s1","seq":7,"time":"2026-11-23T18:00:00.000000001Z","node":"node-1","namespace":"default","pod":"web.0","container":"app","probe":"execsnoop","sys_time":"18:00:00","time_s":0.5,"comm":"true","pid":4242,"ppid":null,"ret":0,"args":"/bin/true \"x\"","pid_ns":17,"by":"kernel","raw":"…"}"#
        );
    }

    #[test]
    fn decodes_to_what_was_encoded() {
        for comm in [
            &b"true"[..],
            b"a\nb",
            b"\x1b[2J",
            b"bad\xff\xc3",
            b"",
            "größe".as_bytes(),
        ] {
            let sent = envelope(comm);
            assert_eq!(Envelope::decode(&sent.encode()).unwrap(), sent);
        }
    }
}
