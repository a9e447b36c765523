//! Where every probe of every agent stands, from their status messages: pure, no I/O.

mod attendance;
mod crew;
mod standing;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use probeparser::wire::{Sight, State, Status, Verdict};

use crate::receive::Stream;
use attendance::Attendance;
pub(super) use crew::Crew;
pub(super) use standing::Standing;

/// Numberings that are kept: a stranger may invent sessions and nodes without end.
const MAX_ENTRIES: usize = 100_000;

/// All probes that were heard of.
#[derive(Debug)]
pub(super) struct Board {
    /// Only with agents of our own it is known how many probes there must be.
    crew: Option<Crew>,
    standings: BTreeMap<Stream, Standing>,
    agents: Attendance,
    /// What was said before this time is not heard.
    began: String,
    /// Whether a probe has ever worked.
    worked: bool,
    announced: bool,
    sight_announced: bool,
}

impl Board {
    /// Nothing heard yet, from agents of our own or, without a crew, from anybody.
    #[must_use]
    pub(super) fn new(crew: Option<Crew>) -> Self {
        Self {
            crew,
            standings: BTreeMap::new(),
            agents: Attendance::default(),
            began: String::new(),
            worked: false,
            announced: false,
            sight_announced: false,
        }
    }

    /// Hears nothing that was said before this time, as the agents write it.
    pub(super) fn begin(&mut self, time: String) {
        self.began = time;
    }

    /// Our agents, if we have started any.
    #[must_use]
    pub(super) fn crew(&self) -> Option<&Crew> {
        self.crew.as_ref()
    }

    /// One more agent of ours is expected, and how all of them stand is told anew.
    pub(super) fn join(&mut self, node: &str) {
        if let Some(crew) = &mut self.crew {
            crew.join(node);
            self.await_anew(node);
        }
    }

    /// Another agent takes the place of the one on this node, and how all of them stand is told anew.
    pub(super) fn replace(&mut self, node: &str) {
        if let Some(crew) = &mut self.crew {
            crew.replace(node);
            self.await_anew(node);
        }
    }

    fn await_anew(&mut self, node: &str) {
        let Some(crew) = &self.crew else {
            return;
        };
        self.agents.await_anew(&crew.agent(node));
        for stream in crew.streams(node) {
            if let Some(standing) = self.standings.get_mut(&stream) {
                standing.begin_anew();
            }
        }
        self.announced = false;
        self.sight_announced = false;
    }

    /// Whether the agent on this node joined others.
    #[must_use]
    pub(super) fn is_late(&self, node: &str) -> bool {
        self.crew.as_ref().is_some_and(|crew| crew.is_late(node))
    }

    /// Nothing more is expected of this node.
    pub(super) fn lose(&mut self, node: &str) {
        if let Some(crew) = &mut self.crew {
            crew.lose(node);
        }
    }

    /// Nothing more is expected of agents that never said anything.
    pub(super) fn lose_the_unheard(&mut self) {
        let nodes = self.crew.iter().flat_map(Crew::nodes);
        let unheard: Vec<_> = nodes
            .filter(|node| !self.has_heard(node))
            .cloned()
            .collect();
        for node in &unheard {
            self.lose(node);
        }
    }

    /// Whether it is the last agent of which anything is expected.
    #[must_use]
    pub(super) fn is_last(&self, node: &str) -> bool {
        let mut expected = self.crew.iter().flat_map(Crew::expected);
        expected.all(|other| other == node)
    }

    /// Whether an agent of ours has said anything.
    #[must_use]
    pub(super) fn has_heard(&self, node: &str) -> bool {
        let crew = self.crew.as_ref();
        crew.is_some_and(|crew| self.agents.has_heard(&crew.agent(node)))
    }

    /// Whether anybody has ever said anything.
    #[must_use]
    pub(super) fn has_heard_any(&self) -> bool {
        self.agents.have_spoken()
    }

    /// A probe as it is called in messages: with its node, unless there can be but one.
    #[must_use]
    pub(super) fn name(&self, stream: &Stream) -> String {
        format!("{}{}", self.place(&stream.node), stream.probe)
    }

    fn place(&self, node: &str) -> String {
        match &self.crew {
            Some(crew) if crew.is_alone() => String::new(),
            _ => format!("{node}: "),
        }
    }

    /// Every probe that was heard of.
    #[must_use]
    pub(super) fn standings(&self) -> &BTreeMap<Stream, Standing> {
        &self.standings
    }

    /// Enters a status message and gives the lines to say about it.
    pub(super) fn enter(&mut self, status: &Status) -> Vec<String> {
        if status.probe.is_none() && status.state == State::Stopped {
            self.agents.end(status);
        }
        // Both are RFC 3339 in UTC with nanoseconds, so that texts compare as times do.
        if status.time < self.began {
            return Vec::new();
        }
        let mut lines = self.lines(status);
        if self.agents.enter(status) {
            // What happened until the next one saw was not seen.
            let ours =
                |stream: &Stream| agent(stream) == (status.session.clone(), status.node.clone());
            let standings = self.standings.iter_mut();
            for (_, standing) in standings.filter(|(stream, _)| ours(stream)) {
                standing.interrupt();
            }
        }
        if let Some(probe) = status.probe {
            let stream = Stream {
                session: status.session.clone(),
                node: status.node.clone(),
                probe,
            };
            if self.standings.len() < MAX_ENTRIES || self.standings.contains_key(&stream) {
                let standing = self.standings.entry(stream).or_default();
                standing.enter(status);
                self.worked |= standing.worked;
            }
        }
        if !self.announced && self.all(Standing::is_settled) {
            self.announced = true;
            lines.push(format!(
                "probes attached {}",
                self.share(|standing| standing.worked)
            ));
        }
        let is_known = |standing: &Standing| standing.is_final() || standing.sight.is_some();
        if !self.sight_announced && status.sight.is_some() && self.all(is_known) {
            self.sight_announced = true;
            let sees = |standing: &Standing| standing.verdict() == Some(Verdict::Sees);
            lines.push(format!("probes proven to see {}", self.share(sees)));
        }
        lines
    }

    /// For how many probes something holds, of how many that there must be.
    fn share(&self, holds: impl Fn(&Standing) -> bool) -> String {
        let held = self.standings.values().filter(|one| holds(one)).count();
        let all = self.crew.as_ref().map_or(0, Crew::size);
        format!("{held}/{all}")
    }

    /// Whether our agents never said anything: they did not come that far, and it was said why.
    #[must_use]
    pub(super) fn is_silent(&self) -> bool {
        self.crew.is_some() && self.standings.is_empty()
    }

    /// Whether the agent of these probes has said its last word, so that its ledgers are final.
    #[must_use]
    pub(super) fn is_closed(&self, stream: &Stream) -> bool {
        self.agents.is_closed(&agent(stream))
    }

    /// How often the agent of these probes ended in good order before it was started again.
    #[must_use]
    pub(super) fn good_ends(&self, stream: &Stream) -> u64 {
        self.agents.good_ends(&agent(stream))
    }

    /// Whether all of our agents have said their last word, of whom any is expected.
    #[must_use]
    pub(super) fn has_last_word(&self) -> bool {
        self.crew.as_ref().is_none_or(|crew| {
            let mut expected = crew.expected();
            expected.all(|node| self.agents.is_closed(&crew.agent(node)))
        })
    }

    /// Whether one of our probes has ever worked.
    #[must_use]
    pub(super) fn has_worked(&self) -> bool {
        self.worked
    }

    /// Whether nothing more will come from any of our probes.
    #[must_use]
    pub(super) fn is_over(&self) -> bool {
        self.all(Standing::is_final)
    }

    /// Whether all our probes have come to an end of their own. Of agents that somebody else ends, it is yet
    /// to be seen what becomes.
    #[must_use]
    pub(super) fn is_spent(&self) -> bool {
        self.all(Standing::is_spent)
    }

    /// Whether all our probes have been given up, or are attached and see nothing.
    #[must_use]
    pub(super) fn is_blind(&self) -> bool {
        self.all(Standing::is_blind)
    }

    /// Whether something holds for every probe of ours from which anything is expected.
    fn all(&self, holds: impl Fn(&Standing) -> bool) -> bool {
        let Some(crew) = &self.crew else {
            return false;
        };
        let mut expected = crew.expected().peekable();
        expected.peek().is_some()
            && expected.all(|node| {
                crew.streams(node).all(|stream| {
                    let standing = self.standings.get(&stream);
                    standing.is_some_and(&holds)
                })
            })
    }

    /// Whether it says of a probe of ours that it sees, and nothing else was ever said: one line will
    /// say it of all.
    fn is_expected(&self, status: &Status) -> bool {
        let sees = |sight: &Sight| sight.verdict == Verdict::Sees && sight.healed.is_none();
        let mut others = self
            .standings
            .iter()
            .filter(|(stream, _)| Some(stream.probe) == status.probe && stream.node == status.node);
        self.crew.is_some()
            && status.sight.as_ref().is_some_and(sees)
            && others.all(|(_, standing)| standing.sight.as_ref().is_none_or(sees))
    }

    fn lines(&self, status: &Status) -> Vec<String> {
        if self.is_expected(status) {
            return Vec::new();
        }
        let mut who = self.place(&status.node);
        if let Some(probe) = status.probe {
            who = format!("{who}{probe}: ");
        }
        // That ours is starting was said by whoever started it.
        let is_known =
            self.crew.is_some() && status.probe.is_none() && status.state == State::Starting;
        words::lines(&who, status, !is_known)
    }
}

/// The agent of a numbering, by session and node.
fn agent(stream: &Stream) -> (String, String) {
    (stream.session.clone(), stream.node.clone())
}
