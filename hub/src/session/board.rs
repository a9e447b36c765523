//! Where every probe stands, from the agents' status messages: pure, no I/O.

use std::collections::{BTreeMap, BTreeSet};

use probeparser::Probe;
use probeparser::wire::{Ledger, Sight, State, Status, Verdict};

use crate::receive::Stream;

/// A tool's last words that are repeated.
const WORDS: usize = 8;
/// Numberings that are kept: a stranger may invent sessions and nodes without end.
const MAX_ENTRIES: usize = 100_000;

/// One probe of one agent.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// Its last state that is one of its life: notes and reports are none.
    pub state: State,
    /// Whether it has ever attached, or come to its own end.
    pub worked: bool,
    /// How often it failed, or its agent was killed, after it had worked: what happened until it was
    /// back was not seen.
    pub(crate) interruptions: u64,
    /// Its latest ledger.
    pub ledger: Option<Ledger>,
    /// Whether it sees, as far as that is proven.
    pub sight: Option<Sight>,
}

impl Standing {
    /// Whether nothing more will come from it.
    #[must_use]
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self.state,
            State::Stopped | State::Finished | State::GivenUp
        )
    }

    /// What is proven of its sight.
    #[must_use]
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.sight.as_ref().map(|sight| sight.verdict)
    }

    /// Whether it shows nothing whatever happens.
    fn is_blind(&self) -> bool {
        self.state == State::GivenUp || self.verdict() == Some(Verdict::Blind)
    }

    /// Whether it is past its start.
    fn is_settled(&self) -> bool {
        self.worked || self.is_final()
    }
}

/// The agents that this hub has started.
#[derive(Clone, Debug, Default)]
pub(super) struct Crew {
    /// Their session.
    pub session: String,
    /// The probes that each of them runs.
    pub probes: Vec<Probe>,
    /// Their nodes.
    pub nodes: BTreeSet<String>,
}

/// All probes that were heard of.
#[derive(Debug)]
pub(super) struct Board {
    /// Only with agents of our own it is known how many probes there must be.
    crew: Option<Crew>,
    standings: BTreeMap<Stream, Standing>,
    /// Agents that have said something: by session and node, with the time of their last start.
    heard: BTreeMap<(String, String), String>,
    /// Agents that have said their last word.
    closed: BTreeSet<(String, String)>,
    /// Nodes whose agent did not come up, or ended by itself.
    lost: BTreeSet<String>,
    /// Nodes whose agent joined others.
    late: BTreeSet<String>,
    /// When each agent said its last word, and how often it did: it may be started again.
    ends: BTreeMap<(String, String), (String, u64)>,
    /// What was said before this time is not heard.
    began: String,
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
            heard: BTreeMap::new(),
            closed: BTreeSet::new(),
            lost: BTreeSet::new(),
            late: BTreeSet::new(),
            ends: BTreeMap::new(),
            began: String::new(),
            announced: false,
            sight_announced: false,
        }
    }

    /// Hears nothing that was said before this time, as the agents write it.
    pub(super) fn begin(&mut self, time: String) {
        self.began = time;
    }

    /// How often the agent of these probes ended in good order before it was started again.
    #[must_use]
    pub(super) fn good_ends(&self, stream: &Stream) -> u64 {
        let agent = (stream.session.clone(), stream.node.clone());
        let ends = self.ends.get(&agent).map_or(0, |(_, times)| *times);
        ends.saturating_sub(u64::from(self.closed.contains(&agent)))
    }

    /// Our agents, if we have started any.
    #[must_use]
    pub(super) fn crew(&self) -> Option<&Crew> {
        self.crew.as_ref()
    }

    /// One more agent of ours is expected, and how all of them stand is told anew.
    pub(super) fn join(&mut self, node: String) {
        if let Some(crew) = &mut self.crew {
            crew.nodes.insert(node.clone());
            self.late.insert(node);
            self.announced = false;
            self.sight_announced = false;
        }
    }

    /// Whether the agent on this node joined others.
    #[must_use]
    pub(super) fn is_late(&self, node: &str) -> bool {
        self.late.contains(node)
    }

    /// Nothing more is expected of this node.
    pub(super) fn lose(&mut self, node: &str) {
        self.lost.insert(node.to_owned());
    }

    /// Nothing more is expected of agents that never said anything.
    pub(super) fn lose_the_unheard(&mut self) {
        let nodes = self.crew.iter().flat_map(|crew| &crew.nodes);
        let unheard: Vec<_> = nodes
            .filter(|node| !self.has_heard(node))
            .cloned()
            .collect();
        self.lost.extend(unheard);
    }

    /// Whether it is the last agent of which anything is expected.
    #[must_use]
    pub(super) fn is_last(&self, node: &str) -> bool {
        let nodes = self.crew.iter().flat_map(|crew| &crew.nodes);
        !nodes
            .filter(|other| *other != node)
            .any(|other| !self.lost.contains(other))
    }

    /// Whether an agent of ours has said anything.
    #[must_use]
    pub(super) fn has_heard(&self, node: &str) -> bool {
        self.crew
            .as_ref()
            .is_some_and(|crew| self.heard.contains_key(&crew.agent(node)))
    }

    /// A probe as it is called in messages: with its node, unless there can be but one.
    #[must_use]
    pub(super) fn name(&self, stream: &Stream) -> String {
        format!("{}{}", self.place(&stream.node), stream.probe)
    }

    fn place(&self, node: &str) -> String {
        match &self.crew {
            Some(crew) if crew.nodes.len() == 1 => String::new(),
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
            self.end(status);
        }
        // Both are RFC 3339 in UTC with nanoseconds, so that texts compare as times do.
        if status.time < self.began {
            return Vec::new();
        }
        let mut lines = self.lines(status);
        let agent = (status.session.clone(), status.node.clone());
        if self.heard.len() < MAX_ENTRIES {
            self.heard.entry(agent.clone()).or_default();
        }
        if status.probe.is_none() {
            if status.state == State::Starting {
                self.start(&agent, &status.time);
            } else if status.state == State::Stopped && self.closed.len() < MAX_ENTRIES {
                self.closed.insert(agent);
            }
        }
        if let Some(probe) = status.probe {
            let stream = Stream {
                session: status.session.clone(),
                node: status.node.clone(),
                probe,
            };
            if self.standings.len() < MAX_ENTRIES || self.standings.contains_key(&stream) {
                let standing = self.standings.entry(stream).or_insert(Standing {
                    state: State::Starting,
                    worked: false,
                    interruptions: 0,
                    ledger: None,
                    sight: None,
                });
                if !matches!(status.state, State::Note | State::Report) {
                    if standing.worked && status.state == State::Failed {
                        standing.interruptions += 1;
                    }
                    standing.state = status.state;
                    standing.worked |= matches!(status.state, State::Attached | State::Finished);
                }
                standing.ledger = status.ledger.or(standing.ledger);
                if status.sight.is_some() {
                    standing.sight.clone_from(&status.sight);
                }
            }
        }
        if !self.announced && self.all(Standing::is_settled) {
            self.announced = true;
            let worked = self
                .standings
                .values()
                .filter(|standing| standing.worked)
                .count();
            let all = self.crew.as_ref().map_or(0, Crew::size);
            lines.push(format!("probes attached {worked}/{all}"));
        }
        let is_known = |standing: &Standing| standing.is_final() || standing.sight.is_some();
        if !self.sight_announced && status.sight.is_some() && self.all(is_known) {
            self.sight_announced = true;
            let see = self
                .standings
                .values()
                .filter(|standing| standing.verdict() == Some(Verdict::Sees))
                .count();
            let all = self.crew.as_ref().map_or(0, Crew::size);
            lines.push(format!("probes proven to see {see}/{all}"));
        }
        lines
    }

    /// An agent begins. Unless the one before it has said its last word, it was killed.
    fn start(&mut self, agent: &(String, String), time: &str) {
        let ended = self.closed.remove(agent);
        let Some(last) = self.heard.get_mut(agent) else {
            return;
        };
        // A message may come twice.
        if time <= last.as_str() {
            return;
        }
        time.clone_into(last);
        if !ended {
            let theirs = |stream: &Stream| (&stream.session, &stream.node) == (&agent.0, &agent.1);
            let standings = self.standings.iter_mut();
            for (_, standing) in standings.filter(|(stream, _)| theirs(stream)) {
                standing.interruptions += u64::from(standing.worked);
            }
        }
    }

    fn end(&mut self, status: &Status) {
        let agent = (status.session.clone(), status.node.clone());
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

    /// Whether our agents never said anything: they did not come that far, and it was said why.
    #[must_use]
    pub(crate) fn is_silent(&self) -> bool {
        self.crew.is_some() && self.standings.is_empty()
    }

    /// Whether the agent of these probes has said its last word, so that its ledgers are final.
    #[must_use]
    pub(crate) fn is_closed(&self, stream: &Stream) -> bool {
        let agent = (stream.session.clone(), stream.node.clone());
        self.closed.contains(&agent)
    }

    /// Whether all of our agents have said their last word, of whom any is expected.
    #[must_use]
    pub(crate) fn has_last_word(&self) -> bool {
        self.crew.as_ref().is_none_or(|crew| {
            let mut expected = crew.nodes.iter().filter(|node| !self.lost.contains(*node));
            expected.all(|node| self.closed.contains(&crew.agent(node)))
        })
    }

    /// Whether one of our probes has ever worked.
    #[must_use]
    pub(super) fn has_worked(&self) -> bool {
        self.standings.values().any(|standing| standing.worked)
    }

    /// Whether nothing more will come from any of our probes.
    #[must_use]
    pub(super) fn is_over(&self) -> bool {
        self.all(Standing::is_final)
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
        let mut expected = crew
            .nodes
            .iter()
            .filter(|node| !self.lost.contains(*node))
            .peekable();
        expected.peek().is_some()
            && expected.all(|node| {
                crew.probes.iter().all(|&probe| {
                    let standing = self.standings.get(&crew.stream(node, probe));
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
        let mut who = self.place(&status.node);
        if let Some(probe) = status.probe {
            who = format!("{who}{probe}: ");
        }
        let mut lines = Vec::new();
        if self.is_expected(status) {
            return lines;
        }
        let ours = self.crew.is_some();
        if !(ours && status.probe.is_none() && status.state == State::Starting) {
            lines.extend(headline(status).map(|line| format!("{who}{line}")));
        }
        let silent = status.said.len().saturating_sub(WORDS);
        let said = status.said[silent..].iter();
        lines.extend(said.map(|said| format!("{who}| {said}")));
        let remedy = status.remedy.iter();
        lines.extend(remedy.map(|remedy| format!("{who}what to do: {remedy}")));
        lines
    }
}

impl Crew {
    /// An agent of ours, as the board knows it.
    fn agent(&self, node: &str) -> (String, String) {
        (self.session.clone(), node.to_owned())
    }

    /// The numbering of one of our probes.
    #[must_use]
    pub(super) fn stream(&self, node: &str, probe: Probe) -> Stream {
        Stream {
            session: self.session.clone(),
            node: node.to_owned(),
            probe,
        }
    }

    /// How many probes there must be.
    fn size(&self) -> usize {
        self.nodes.len() * self.probes.len()
    }
}

/// What a status says in a line, if it says anything.
fn headline(status: &Status) -> Option<String> {
    let message = status.message.as_str();
    let name = status.probe.map_or("", Probe::name);
    let message = message
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(message);
    // An account for the summary; what it is about has been said.
    if message.is_empty() && status.ledger.is_some() {
        return None;
    }
    match (status.state, status.probe) {
        (State::Starting, Some(_)) => Some(join("starting", message)),
        (State::Attached, _) => {
            let took = status
                .took_ms
                .map(|took| format!(" after {}", seconds(took)));
            Some(format!("attached{}", took.unwrap_or_default()))
        }
        (State::Failed, _) => Some(join("failed", message)),
        (State::GivenUp, _) => Some(join("given up", message)),
        (State::Finished, _) => Some(join("finished", message)),
        _ => Some(message.to_owned()).filter(|message| !message.is_empty()),
    }
}

fn join(what: &str, message: &str) -> String {
    if message.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {message}")
    }
}

/// Milliseconds as seconds with one decimal.
fn seconds(milliseconds: u64) -> String {
    let tenths = milliseconds.saturating_add(50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One agent of our own, on the node `n`.
    fn own(probes: &[Probe]) -> Board {
        Board::new(Some(Crew {
            session: "s".into(),
            probes: probes.to_vec(),
            nodes: ["n".into()].into(),
        }))
    }

    fn status(probe: Option<Probe>, state: State) -> Status {
        Status {
            v: 1,
            session: "s".into(),
            node: "n".into(),
            time: String::new(),
            probe,
            state,
            message: String::new(),
            remedy: None,
            said: vec![],
            probes: vec![],
            took_ms: None,
            ledger: None,
            sight: None,
        }
    }

    fn sight(probe: Probe, verdict: Verdict) -> Status {
        Status {
            message: format!("{}: …", verdict.word()),
            sight: Some(Sight {
                verdict,
                dead: vec![],
                healed: None,
            }),
            ..status(Some(probe), State::Note)
        }
    }

    #[test]
    fn sight_is_summed_up_and_what_does_not_see_is_named() {
        let mut board = own(&[Probe::Tcptracer, Probe::Tcpaccept]);
        for probe in [Probe::Tcptracer, Probe::Tcpaccept] {
            board.enter(&status(Some(probe), State::Attached));
        }
        let nothing: [&str; 0] = [];
        assert_eq!(
            board.enter(&sight(Probe::Tcptracer, Verdict::Sees)),
            nothing
        );
        assert_eq!(
            board.enter(&sight(Probe::Tcpaccept, Verdict::Blind)),
            ["tcpaccept: blind: …", "probes proven to see 1/2"]
        );
        assert!(!board.is_blind());
        assert_eq!(
            board.enter(&sight(Probe::Tcpaccept, Verdict::Sees)),
            ["tcpaccept: sees: …"]
        );
        board.enter(&sight(Probe::Tcptracer, Verdict::Blind));
        board.enter(&sight(Probe::Tcpaccept, Verdict::Blind));
        assert!(board.is_blind());
    }

    #[test]
    fn attaching_is_told_and_summed_up_once() {
        let mut board = own(&[Probe::Tcptracer, Probe::Biosnoop]);
        let mut attached = status(Some(Probe::Tcptracer), State::Attached);
        attached.took_ms = Some(31_249);
        assert_eq!(board.enter(&attached), ["tcptracer: attached after 31.2 s"]);
        assert!(board.has_worked() && !board.is_over());
        let mut given_up = status(Some(Probe::Biosnoop), State::GivenUp);
        given_up.message = "cannot attach".into();
        given_up.said = (0..20).map(|line| format!("line {line}")).collect();
        given_up.remedy = Some("use another kernel".into());
        let lines = board.enter(&given_up);
        assert_eq!(lines[0], "biosnoop: given up: cannot attach");
        assert_eq!(lines[1], "biosnoop: | line 12");
        assert_eq!(
            lines[lines.len() - 2..],
            [
                "biosnoop: what to do: use another kernel",
                "probes attached 1/2"
            ]
        );
        assert_eq!(
            board
                .enter(&status(Some(Probe::Tcptracer), State::Finished))
                .len(),
            1
        );
        assert!(board.is_over() && !board.is_blind());
    }

    #[test]
    fn all_given_up_is_blind() {
        let mut board = own(&[Probe::Tcplife]);
        assert!(!board.is_over());
        assert_eq!(
            board.enter(&status(Some(Probe::Tcplife), State::GivenUp)),
            ["tcplife: given up", "probes attached 0/1"]
        );
        assert!(board.is_over() && board.is_blind() && !board.has_worked());
    }

    #[test]
    fn a_note_or_a_report_changes_no_state_and_keeps_the_ledger() {
        let mut board = own(&[Probe::Tcplife]);
        let mut report = status(Some(Probe::Tcplife), State::Finished);
        report.ledger = Some(Ledger {
            printed: 3,
            ..Ledger::default()
        });
        assert_eq!(
            board.enter(&report),
            ["probes attached 1/1"],
            "an account is for the summary"
        );
        assert_eq!(
            board.enter(&status(Some(Probe::Tcplife), State::Report)),
            Vec::<String>::new()
        );
        assert!(board.is_over() && !board.has_last_word());
        board.enter(&status(None, State::Stopped));
        assert!(board.has_last_word());
        let standing = board.standings().values().next().unwrap();
        assert_eq!(standing.ledger.unwrap().printed, 3);
    }

    #[test]
    fn an_end_counts_once_an_agent_is_started_again() {
        let mut board = Board::new(None);
        let stream = Stream {
            session: "s".into(),
            node: "n".into(),
            probe: Probe::Tcplife,
        };
        let mut say = |state, time: &str| {
            let mut status = status(None, state);
            status.time = time.to_owned();
            board.enter(&status);
            board.good_ends(&stream)
        };
        assert_eq!(say(State::Starting, "1"), 0);
        assert_eq!(say(State::Stopped, "2"), 0);
        assert_eq!(say(State::Stopped, "2"), 0, "the same once more");
        assert_eq!(say(State::Starting, "3"), 1);
        assert_eq!(say(State::Starting, "4"), 1);
    }

    #[test]
    fn what_was_said_before_our_time_is_not_heard() {
        let mut board = own(&[Probe::Tcplife]);
        board.begin("2".into());
        let mut finished = status(Some(Probe::Tcplife), State::Finished);
        finished.time = "1".into();
        assert!(board.enter(&finished).is_empty() && !board.is_over());
        finished.time = "2".into();
        board.enter(&finished);
        assert!(board.is_over());
    }

    #[test]
    fn who_only_listens_is_told_the_node() {
        let mut board = Board::new(None);
        let mut note = status(None, State::Note);
        note.message = "the table could not be loaded".into();
        assert_eq!(board.enter(&note), ["n: the table could not be loaded"]);
        assert_eq!(
            board.enter(&status(Some(Probe::Tcplife), State::Attached)),
            ["n: tcplife: attached"]
        );
        assert!(!board.is_over());
    }

    #[test]
    fn one_that_joins_is_expected_and_told_with_the_others() {
        let mut board = own(&[Probe::Tcplife]);
        assert_eq!(
            board.enter(&status(Some(Probe::Tcplife), State::Attached)),
            ["tcplife: attached", "probes attached 1/1"]
        );
        board.join("other".into());
        assert!(!board.is_last("n") && board.is_late("other") && !board.is_late("n"));
        let mut other = status(Some(Probe::Tcplife), State::Attached);
        other.node = "other".into();
        assert_eq!(
            board.enter(&other),
            ["other: tcplife: attached", "probes attached 2/2"]
        );
        board.enter(&status(Some(Probe::Tcplife), State::Stopped));
        board.enter(&status(None, State::Stopped));
        assert!(!board.is_over() && !board.has_last_word());
    }

    #[test]
    fn of_several_agents_each_must_come_to_its_end() {
        let mut board = Board::new(Some(Crew {
            session: "s".into(),
            probes: vec![Probe::Tcplife],
            nodes: ["n".into(), "other".into()].into(),
        }));
        assert_eq!(
            board.enter(&status(Some(Probe::Tcplife), State::Attached)),
            ["n: tcplife: attached"]
        );
        let mut other = status(Some(Probe::Tcplife), State::Attached);
        other.node = "other".into();
        assert_eq!(
            board.enter(&other),
            ["other: tcplife: attached", "probes attached 2/2"]
        );
        board.enter(&status(Some(Probe::Tcplife), State::Stopped));
        board.enter(&status(None, State::Stopped));
        assert!(!board.is_over() && !board.has_last_word());
        board.lose("other");
        assert!(board.is_over() && board.has_last_word());
        board.lose("n");
        assert!(!board.is_over(), "nobody is left to be over");
    }
}
