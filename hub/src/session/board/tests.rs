//! The board as its readers see it.

use probeparser::Probe;
use probeparser::wire::Ledger;

use super::*;

/// One agent of our own, on the node `n`.
fn own(probes: &[Probe]) -> Board {
    Board::new(Some(Crew::new(
        "s".into(),
        probes.to_vec(),
        ["n".into()].into(),
    )))
}

fn status(probe: Option<Probe>, state: State) -> Status {
    Status::new("s", "n", probe, state)
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
    board.join("other");
    assert!(!board.is_last("n") && board.is_late("other") && !board.is_late("n"));
    let other = Status::new("s", "other", Some(Probe::Tcplife), State::Attached);
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
    let mut board = Board::new(Some(Crew::new(
        "s".into(),
        vec![Probe::Tcplife],
        ["n".into(), "other".into()].into(),
    )));
    assert_eq!(
        board.enter(&status(Some(Probe::Tcplife), State::Attached)),
        ["n: tcplife: attached"]
    );
    let other = Status::new("s", "other", Some(Probe::Tcplife), State::Attached);
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

#[test]
fn one_that_replaces_another_is_heard_and_told_anew() {
    let mut board = own(&[Probe::Tcplife]);
    let attached = status(Some(Probe::Tcplife), State::Attached);
    board.enter(&attached);
    board.enter(&status(Some(Probe::Tcplife), State::Stopped));
    assert!(
        board.is_over() && !board.is_spent(),
        "it was asked to stop, by whom is not known yet"
    );
    board.enter(&status(None, State::Stopped));
    board.replace("n");
    assert!(!board.has_heard("n") && !board.is_over());
    assert!(board.has_worked(), "what was seen was seen");
    board.enter(&status(None, State::Starting));
    assert!(board.has_heard("n") && !board.has_last_word());
    assert_eq!(
        board.enter(&attached),
        ["tcplife: attached", "probes attached 1/1"]
    );
    let replaced: Vec<_> = board.crew().unwrap().replaced().collect();
    assert_eq!(replaced, [("n", 1)]);
}

#[test]
fn a_node_that_was_lost_may_have_an_agent_again() {
    let mut board = own(&[Probe::Tcplife]);
    board.join("other");
    board.lose("other");
    assert!(board.is_last("n"));
    board.join("other");
    assert!(!board.is_last("n"));
}
