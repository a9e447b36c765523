//! Which nodes have agents, and which may have one: pure, no I/O.

use std::collections::BTreeSet;

/// Agents beyond which a session brings none to another node by itself.
pub(super) const MAX_AGENTS: usize = 128;

/// The nodes of a session.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// Those that have, or are to have, an agent.
    served: BTreeSet<String>,
    /// Those whose agent has ended for a reason that would repeat itself.
    failed: BTreeSet<String>,
}

/// What there is for a container that runs on a node.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// An agent, which is there or comes.
    Served,
    /// None any more.
    Failed,
    /// None yet.
    Vacant,
    /// None, and there are as many as there may be.
    Full,
}

impl Nodes {
    /// These have agents from the beginning.
    pub(super) fn new(served: impl IntoIterator<Item = String>) -> Self {
        Self {
            served: served.into_iter().collect(),
            failed: BTreeSet::new(),
        }
    }

    /// What there is on this node.
    pub(super) fn spot(&self, node: &str) -> Spot {
        if self.failed.contains(node) {
            Spot::Failed
        } else if self.served.contains(node) {
            Spot::Served
        } else if self.served.len() < MAX_AGENTS {
            Spot::Vacant
        } else {
            Spot::Full
        }
    }

    /// An agent comes to this node.
    pub(super) fn serve(&mut self, node: &str) {
        self.served.insert(node.to_owned());
    }

    /// There is no agent on this node, and another one may come.
    pub(super) fn free(&mut self, node: &str) {
        self.served.remove(node);
    }

    /// There is no agent on this node, and none is to come.
    pub(super) fn fail(&mut self, node: &str) {
        self.served.remove(node);
        self.failed.insert(node.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_agents_than_there_may_be() {
        let mut nodes = Nodes::new((1..MAX_AGENTS).map(|number| format!("n{number}")));
        assert_eq!(nodes.spot("n0"), Spot::Vacant);
        nodes.serve("n0");
        assert_eq!(nodes.spot("n0"), Spot::Served);
        assert_eq!(nodes.spot("other"), Spot::Full);
        nodes.free("n1");
        assert_eq!(nodes.spot("n1"), Spot::Vacant);
        nodes.fail("n2");
        assert_eq!(nodes.spot("n2"), Spot::Failed);
        assert_eq!(nodes.spot("other"), Spot::Vacant);
    }
}
