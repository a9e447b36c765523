//! The agents that this hub has started, and what is expected of each: pure, no I/O.

use std::collections::{BTreeMap, BTreeSet};

use probeparser::Probe;

use crate::receive::Stream;

/// The agents that this hub has started.
#[derive(Clone, Debug, Default)]
pub(in crate::session) struct Crew {
    /// Their session.
    session: String,
    /// The probes that each of them runs.
    probes: Vec<Probe>,
    /// Their nodes.
    nodes: BTreeSet<String>,
    /// Nodes whose agent did not come up, has ended by itself or is wanted no more.
    lost: BTreeSet<String>,
    /// Nodes whose agent joined others.
    late: BTreeSet<String>,
    /// How often a node's agent was replaced.
    replaced: BTreeMap<String, u64>,
}

impl Crew {
    /// An agent with these probes on each of these nodes.
    pub(in crate::session) fn new(
        session: String,
        probes: Vec<Probe>,
        nodes: BTreeSet<String>,
    ) -> Self {
        Self {
            session,
            probes,
            nodes,
            ..Self::default()
        }
    }

    /// One more agent is expected, perhaps on a node that had one.
    pub(super) fn join(&mut self, node: &str) {
        self.lost.remove(node);
        self.late.insert(node.to_owned());
        self.nodes.insert(node.to_owned());
    }

    /// Nothing more is expected of this node.
    pub(super) fn lose(&mut self, node: &str) {
        self.lost.insert(node.to_owned());
    }

    /// Another agent takes the place of this node's.
    pub(super) fn replace(&mut self, node: &str) {
        *self.replaced.entry(node.to_owned()).or_default() += 1;
    }

    /// The nodes whose agents were replaced, and how often.
    pub(in crate::session) fn replaced(&self) -> impl Iterator<Item = (&str, u64)> {
        let replaced = self.replaced.iter();
        replaced.map(|(node, times)| (node.as_str(), *times))
    }

    /// Whether the agent on this node joined others.
    pub(super) fn is_late(&self, node: &str) -> bool {
        self.late.contains(node)
    }

    /// Whether there is, and was, but one agent.
    pub(super) fn is_alone(&self) -> bool {
        self.nodes.len() == 1
    }

    /// All nodes that have, or had, an agent.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &String> {
        self.nodes.iter()
    }

    /// The nodes of whose agents anything is expected.
    pub(super) fn expected(&self) -> impl Iterator<Item = &String> {
        self.nodes.iter().filter(|node| !self.lost.contains(*node))
    }

    /// An agent of ours, by session and node.
    pub(super) fn agent(&self, node: &str) -> (String, String) {
        (self.session.clone(), node.to_owned())
    }

    /// The numberings of one of our agents.
    pub(super) fn streams(&self, node: &str) -> impl Iterator<Item = Stream> {
        let probes = self.probes.iter();
        probes.map(move |&probe| Stream {
            session: self.session.clone(),
            node: node.to_owned(),
            probe,
        })
    }

    /// The numberings of all of them.
    pub(in crate::session) fn all_streams(&self) -> impl Iterator<Item = Stream> {
        self.nodes.iter().flat_map(|node| self.streams(node))
    }

    /// How many probes there must be.
    pub(super) fn size(&self) -> usize {
        self.nodes.len() * self.probes.len()
    }
}
