//! A record's members, in one pass over its object.
//!
//! What every record has and what its probe's has stand in one flat object. To flatten one structure into
//! another, serde would put every value aside first; here each member goes to the one that wants it as it comes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{CowStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};

use super::By;
use crate::{Clock, Probe, Record, Text};

/// What every record has, whatever its probe.
pub(super) struct Head<'de> {
    pub(super) v: u32,
    pub(super) session: Cow<'de, str>,
    pub(super) seq: u64,
    pub(super) time: Cow<'de, str>,
    pub(super) node: Cow<'de, str>,
    pub(super) namespace: Cow<'de, str>,
    pub(super) pod: Cow<'de, str>,
    pub(super) container: Cow<'de, str>,
    pub(super) sys_time: Clock,
    pub(super) pid_ns: Option<u32>,
    pub(super) by: By,
    pub(super) raw: Text,
    pub(super) cut: bool,
    pub(super) hex: BTreeMap<String, String>,
}

/// What was being read when it failed.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// What every record has.
    Head,
    /// The columns of this probe.
    Columns(Probe),
    /// A member of a probe that nobody has named yet.
    Nameless,
}

/// Reads the object.
pub(super) struct Members<'a> {
    /// The probe, where it is known before the object names it.
    pub(super) probe: Option<Probe>,
    /// Says what failed, if something does.
    pub(super) place: &'a mut Place,
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = (Head<'de>, Record);

    fn deserialize<D: Deserializer<'de>>(self, object: D) -> Result<Self::Value, D::Error> {
        object.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = (Head<'de>, Record);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = Found::default();
        let first = loop {
            match members.next_key()? {
                Some(Part(name)) if found.take(&name, &mut members)? => {}
                Some(Part(name)) => break Some(name),
                None => break None,
            }
        };
        let Some(probe) = self.probe.or(found.probe) else {
            *self.place = Place::Nameless;
            return Err(Error::missing_field("probe"));
        };
        *self.place = Place::Columns(probe);
        let record = record(
            probe,
            Columns {
                first,
                members,
                found: &mut found,
                probe,
                place: self.place,
            },
        )?;
        *self.place = Place::Head;
        Ok((found.head()?, record))
    }
}

fn record<'de, A: MapAccess<'de>>(probe: Probe, columns: A) -> Result<Record, A::Error> {
    fn read<'de, T: Deserialize<'de>, A: MapAccess<'de>>(columns: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(columns))
    }
    Ok(match probe {
        Probe::Tcptracer => Record::Tcptracer(read(columns)?),
        Probe::Tcpconnect => Record::Tcpconnect(read(columns)?),
        Probe::Tcpaccept => Record::Tcpaccept(read(columns)?),
        Probe::Tcplife => Record::Tcplife(read(columns)?),
        Probe::Execsnoop => Record::Execsnoop(read(columns)?),
        Probe::Biosnoop => Record::Biosnoop(read(columns)?),
        Probe::Cachetop => Record::Cachetop(read(columns)?),
        Probe::Cachestat => Record::Cachestat(read(columns)?),
    })
}

/// The members that are not of the head.
struct Columns<'a, 'de, A> {
    /// The first of them, whose value has not been read.
    first: Option<Cow<'de, str>>,
    members: A,
    found: &'a mut Found<'de>,
    probe: Probe,
    place: &'a mut Place,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Columns<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        if let Some(name) = self.first.take() {
            return seed.deserialize(key(name)).map(Some);
        }
        while let Some(Part(name)) = self.members.next_key()? {
            *self.place = Place::Head;
            let taken = self.found.take(&name, &mut self.members)?;
            *self.place = Place::Columns(self.probe);
            if !taken {
                return seed.deserialize(key(name)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.members.next_value_seed(seed)
    }
}

fn key<E: Error>(name: Cow<'_, str>) -> CowStrDeserializer<'_, E> {
    name.into_deserializer()
}

/// A name or a text. It is borrowed unless it holds an escape.
#[derive(Deserialize)]
struct Part<'a>(#[serde(borrow)] Cow<'a, str>);

/// It may be `null`.
#[derive(Deserialize)]
struct PidNs(Option<u32>);

/// The head's members as they come.
#[derive(Default)]
struct Found<'de> {
    v: Option<u32>,
    session: Option<Part<'de>>,
    seq: Option<u64>,
    time: Option<Part<'de>>,
    node: Option<Part<'de>>,
    namespace: Option<Part<'de>>,
    pod: Option<Part<'de>>,
    container: Option<Part<'de>>,
    probe: Option<Probe>,
    sys_time: Option<Clock>,
    pid_ns: Option<PidNs>,
    by: Option<By>,
    raw: Option<Text>,
    cut: Option<bool>,
    hex: Option<BTreeMap<String, String>>,
}

impl<'de> Found<'de> {
    /// Reads the value of a member, if it is of the head.
    fn take<A: MapAccess<'de>>(&mut self, name: &str, members: &mut A) -> Result<bool, A::Error> {
        match name {
            "v" => fill(&mut self.v, "v", members)?,
            "session" => fill(&mut self.session, "session", members)?,
            "seq" => fill(&mut self.seq, "seq", members)?,
            "time" => fill(&mut self.time, "time", members)?,
            "node" => fill(&mut self.node, "node", members)?,
            "namespace" => fill(&mut self.namespace, "namespace", members)?,
            "pod" => fill(&mut self.pod, "pod", members)?,
            "container" => fill(&mut self.container, "container", members)?,
            "probe" => fill(&mut self.probe, "probe", members)?,
            "sys_time" => fill(&mut self.sys_time, "sys_time", members)?,
            "pid_ns" => fill(&mut self.pid_ns, "pid_ns", members)?,
            "by" => fill(&mut self.by, "by", members)?,
            "raw" => fill(&mut self.raw, "raw", members)?,
            "cut" => fill(&mut self.cut, "cut", members)?,
            "hex" => fill(&mut self.hex, "hex", members)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn head<E: Error>(self) -> Result<Head<'de>, E> {
        Ok(Head {
            v: needed(self.v, "v")?,
            session: needed(self.session, "session")?.0,
            seq: needed(self.seq, "seq")?,
            time: needed(self.time, "time")?.0,
            node: needed(self.node, "node")?.0,
            namespace: needed(self.namespace, "namespace")?.0,
            pod: needed(self.pod, "pod")?.0,
            container: needed(self.container, "container")?.0,
            sys_time: needed(self.sys_time, "sys_time")?,
            pid_ns: self.pid_ns.and_then(|PidNs(pid)| pid),
            by: needed(self.by, "by")?,
            raw: needed(self.raw, "raw")?,
            cut: self.cut.unwrap_or_default(),
            hex: self.hex.unwrap_or_default(),
        })
    }
}

fn fill<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    place: &mut Option<T>,
    name: &'static str,
    members: &mut A,
) -> Result<(), A::Error> {
    if place.is_some() {
        return Err(Error::duplicate_field(name));
    }
    *place = Some(members.next_value()?);
    Ok(())
}

fn needed<T, E: Error>(member: Option<T>, name: &'static str) -> Result<T, E> {
    member.ok_or_else(|| Error::missing_field(name))
}
