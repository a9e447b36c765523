//! Which agents have said anything, and which their last word: pure, no I/O.

use std::collections::{BTreeMap, BTreeSet};

use probeparser::wire::{State, Status};

use super::MAX_ENTRIES;

/// An agent, by session and node.
type Agent = (String, String);

/// What was heard of agents, as against their probes.
#[derive(Debug, Default)]
pub(super) struct Attendance {
    /// Those that have said something, with the time of their last start.
    heard: BTreeMap<Agent, String>,
    /// Those that have said their last word.
    closed: BTreeSet<Agent>,
    /// When each said its last word, and how often it did: it may be started again.
    ends: BTreeMap<Agent, (String, u64)>,
    /// Whether anybody has ever said anything.
    spoken: bool,
}

impl Attendance {
    /// Enters a status message. Gives whether it says that the agent before was killed.
    pub(super) fn enter(&mut self, status: &Status) -> bool {
        let agent = agent(status);
        self.spoken = true;
        if self.heard.len() < MAX_ENTRIES {
            self.heard.entry(agent.clone()).or_default();
        }
        match (status.probe, status.state) {
            (None, State::Starting) => return self.begin(&agent, &status.time),
            (None, State::Stopped) if self.closed.len() < MAX_ENTRIES => {
                self.closed.insert(agent);
            }
            _ => {}
        }
        false
    }

    /// An agent begins. Unless the one before it has said its last word, it was killed.
    fn begin(&mut self, agent: &Agent, time: &str) -> bool {
        let ended = self.closed.remove(agent);
        let Some(last) = self.heard.get_mut(agent) else {
            return false;
        };
        // A message may come twice.
        let begins = time > last.as_str();
        if begins {
            time.clone_into(last);
        }
        begins && !ended
    }

    /// Enters an agent's last word, which counts however old it is.
    pub(super) fn end(&mut self, status: &Status) {
        let agent = agent(status);
        if let Some((last, times)) = self.ends.get_mut(&agent) {
            // A message may come twice.
            if status.time > *last {
                last.clone_from(&status.time);
                *times += 1;
            }
        } else if self.ends.len() < MAX_ENTRIES {
            self.ends.insert(agent, (status.time.clone(), 1));
        }
    }

    /// Another agent comes in the place of this one, and is to be heard itself.
    pub(super) fn await_anew(&mut self, agent: &Agent) {
        self.heard.remove(agent);
    }

    /// Whether anybody has ever said anything.
    pub(super) fn have_spoken(&self) -> bool {
        self.spoken
    }

    /// Whether an agent has said anything.
    pub(super) fn has_heard(&self, agent: &Agent) -> bool {
        self.heard.contains_key(agent)
    }

    /// Whether an agent has said its last word.
    pub(super) fn is_closed(&self, agent: &Agent) -> bool {
        self.closed.contains(agent)
    }

    /// How often an agent ended in good order before it was started again.
    pub(super) fn good_ends(&self, agent: &Agent) -> u64 {
        let ends = self.ends.get(agent).map_or(0, |(_, times)| *times);
        ends.saturating_sub(u64::from(self.is_closed(agent)))
    }
}

fn agent(status: &Status) -> Agent {
    (status.session.clone(), status.node.clone())
}
