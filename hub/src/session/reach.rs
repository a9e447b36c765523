//! Whether our agents reach the server: an agent that runs is to be heard of soon.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::board::Board;

/// How long a running agent may be unheard before that is said.
const SAY_AFTER: Duration = Duration::from_secs(15);
/// How long until it is given up: on a slow machine an agent takes its time to say its first word.
const GIVE_UP_AFTER: Duration = Duration::from_secs(90);

/// An agent runs, and nothing is heard of it.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "the agent on the node {node} has run for {} s and was not heard of: it can't reach the NATS server, or can't log in; {remedy}",
    after.as_secs()
)]
pub(crate) struct Unreachable {
    /// The agent's node.
    pub node: String,
    /// How long it has run.
    pub after: Duration,
    /// Where the server is, and what to do.
    pub remedy: String,
}

/// What to do about agents that reach the server, or don't.
#[derive(Debug)]
pub(super) enum Step {
    /// To be told.
    Say(String),
    /// Nobody is heard of, and something else can be tried.
    GiveUp(Unreachable),
    /// There is no use in waiting for this one.
    Lose(Unreachable),
}

/// The agents that run and were not heard of yet.
#[derive(Debug)]
pub(super) struct Reach {
    unheard: BTreeMap<String, Unheard>,
    remedy: String,
    /// Something else can be tried.
    alternative: bool,
}

#[derive(Debug)]
struct Unheard {
    since: Instant,
    told: bool,
}

impl Reach {
    /// Nobody is waited for yet. `remedy` says where the server is and what to do; with an `alternative`
    /// there is no waiting beyond the first doubt, as long as nobody has reached the server.
    pub(super) fn new(remedy: String, alternative: bool) -> Self {
        Self {
            unheard: BTreeMap::new(),
            remedy,
            alternative,
        }
    }

    /// The agent on this node runs from now on.
    pub(super) fn runs(&mut self, node: String, now: Instant) {
        let unheard = Unheard {
            since: now,
            told: false,
        };
        self.unheard.insert(node, unheard);
    }

    /// The agent on this node runs no more.
    pub(super) fn gone(&mut self, node: &str) {
        self.unheard.remove(node);
    }

    /// What there is to say now, or the end of waiting.
    pub(super) fn look(&mut self, board: &Board, now: Instant) -> Vec<Step> {
        let mut steps = Vec::new();
        self.unheard.retain(|node, unheard| {
            if !board.has_heard(node) {
                return true;
            }
            if unheard.told {
                steps.push(Step::Say(format!(
                    "the agent on the node {node} is heard of now"
                )));
            }
            false
        });
        for (node, unheard) in &mut self.unheard {
            let after = now.saturating_duration_since(unheard.since);
            let unreachable = || Unreachable {
                node: node.clone(),
                after,
                remedy: self.remedy.clone(),
            };
            // The others do well without one that they have left behind.
            if after >= GIVE_UP_AFTER {
                steps.push(Step::Lose(unreachable()));
            } else if after >= SAY_AFTER && self.alternative && !board.has_heard_any() {
                steps.push(Step::GiveUp(unreachable()));
            } else if after >= SAY_AFTER && !std::mem::replace(&mut unheard.told, true) {
                steps.push(Step::Say(unreachable().to_string()));
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use probeparser::Probe;
    use probeparser::wire::{State, Status};

    use super::super::board::Crew;
    use super::*;

    fn board() -> Board {
        Board::new(Some(Crew::new(
            "s".into(),
            vec![Probe::Tcplife],
            ["n".into()].into(),
        )))
    }

    fn starting() -> Status {
        serde_json::from_str(
            r#"{"v":1,"session":"s","node":"n","time":"t","state":"starting","message":"session s"}"#,
        )
        .unwrap()
    }

    #[test]
    fn silence_is_told_once_and_then_given_up() {
        let (board, start) = (board(), Instant::now());
        let mut reach = Reach::new("open port 6666".into(), false);
        reach.runs("n".into(), start);
        assert!(reach.look(&board, start).is_empty());
        let steps = reach.look(&board, start + SAY_AFTER);
        assert!(
            matches!(&steps[..], [Step::Say(text)] if text.contains("node n has run for 15 s") && text.ends_with("open port 6666")),
            "{steps:?}"
        );
        assert!(reach.look(&board, start + SAY_AFTER).is_empty());
        let steps = reach.look(&board, start + GIVE_UP_AFTER);
        assert!(matches!(&steps[..], [Step::Lose(_)]), "{steps:?}");
    }

    #[test]
    fn one_that_is_heard_late_is_welcome() {
        let (mut board, start) = (board(), Instant::now());
        let mut reach = Reach::new(String::new(), false);
        reach.runs("n".into(), start);
        reach.look(&board, start + SAY_AFTER);
        board.enter(&starting());
        assert_eq!(board.enter(&starting()), Vec::<String>::new());
        assert_eq!(starting().state, State::Starting);
        let steps = reach.look(&board, start + GIVE_UP_AFTER);
        assert!(
            matches!(&steps[..], [Step::Say(text)] if text.contains("heard of now")),
            "{steps:?}"
        );
        assert!(reach.look(&board, start + GIVE_UP_AFTER).is_empty());
    }

    #[test]
    fn where_another_one_is_heard_nothing_else_is_tried() {
        let (mut board, start) = (board(), Instant::now());
        let mut reach = Reach::new(String::new(), true);
        board.enter(&starting());
        reach.runs("other".into(), start);
        let steps = reach.look(&board, start + SAY_AFTER);
        assert!(matches!(&steps[..], [Step::Say(_)]), "{steps:?}");
        let steps = reach.look(&board, start + GIVE_UP_AFTER);
        assert!(matches!(&steps[..], [Step::Lose(_)]), "{steps:?}");
    }

    #[test]
    fn where_something_else_can_be_tried_there_is_no_waiting() {
        let start = Instant::now();
        let mut reach = Reach::new(String::new(), true);
        reach.runs("n".into(), start);
        let steps = reach.look(&board(), start + SAY_AFTER);
        assert!(matches!(&steps[..], [Step::GiveUp(_)]), "{steps:?}");
    }
}
