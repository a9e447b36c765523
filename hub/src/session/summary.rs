//! The account at the end of a session: pure, no I/O.

mod account;

use std::collections::BTreeSet;

use super::board::Board;
use crate::receive::{DROPPED, Start, Stream, Tally};
use account::Account;

/// What there is to say at the end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// The lines to say.
    pub lines: Vec<String>,
    /// Whether anything was lost, or may have been.
    pub lost: bool,
}

/// Sums up. `overrun` is the number of messages that reached this machine and were not looked at.
///
/// Lines of processes that nobody could attribute are told but are no loss: they were withheld on
/// purpose, because they may be another pod's.
#[must_use]
pub(super) fn summary(board: &Board, tally: &Tally, overrun: u64) -> Summary {
    let mut losses = Vec::new();
    let mut lines = Vec::new();
    let (mut shown, mut passed_over, mut unattributed) = (0_u64, 0_u64, 0_u64);
    let streams: BTreeSet<&Stream> = board
        .standings()
        .keys()
        .chain(tally.streams.keys())
        .collect();
    for stream in streams {
        let name = board.name(stream);
        let probe = Account::of(stream, board, tally);
        lines.push(format!("{name}: {}", probe.line()));
        losses.extend(
            probe
                .losses()
                .into_iter()
                .map(|loss| format!("{name}: {loss}")),
        );
        shown += probe.shown();
        passed_over += probe.passed_over();
        let withheld = probe.ledger().unwrap_or_default().unattributed;
        unattributed = unattributed.saturating_add(withheld);
    }
    if let Some(crew) = board.crew() {
        let streams = crew.all_streams();
        let silent = streams.filter(|stream| !board.standings().contains_key(stream));
        losses.extend(
            silent.map(|stream| format!("{}: the agent said nothing of it", board.name(&stream))),
        );
        losses.extend(crew.replaced().map(|(node, times)| {
            format!(
                "the agent on the node {node} was replaced {times} times: what it held, and what happened until the next one saw it, is lost and not counted"
            )
        }));
    }
    if tally.refused > 0 {
        losses.push(format!(
            "{} messages refused, since they were not what they claimed",
            tally.refused
        ));
    }
    if tally.dropped > 0 {
        losses.push(format!("{} messages {DROPPED}", tally.dropped));
    }
    if overrun > 0 {
        losses.push(format!(
            "{overrun} messages reached the hub faster than it could show them"
        ));
    }
    let withheld = match unattributed {
        0 => String::new(),
        lines => format!(" ({lines} lines of processes that nobody could attribute were withheld)"),
    };
    lines.push(match (losses.is_empty(), tally.start()) {
        (true, _) if passed_over > 0 => {
            format!(
                "{shown} records shown, as many as were asked for; {passed_over} more came, none was lost{withheld}"
            )
        }
        (true, Start::AtOne) => {
            format!("complete: every record that was published is shown, {shown} in all{withheld}")
        }
        (true, Start::Anywhere) => {
            format!("{shown} records shown, none missing among their numbers{withheld}")
        }
        (false, _) => format!("incomplete: {}{withheld}", losses.join("; ")),
    });
    Summary {
        lines,
        lost: !losses.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use probeparser::record::Execsnoop;
    use probeparser::wire::{By, Envelope, Ledger, State, Status};
    use probeparser::{Clock, Probe, Record};

    use super::super::board::Crew;
    use super::*;

    fn own() -> Board {
        Board::new(Some(Crew::new(
            "s".into(),
            vec![Probe::Execsnoop],
            ["n".into()].into(),
        )))
    }

    fn board(state: State, ledger: Ledger) -> Board {
        let mut board = own();
        let mut status = Status {
            ledger: Some(ledger),
            ..Status::new("s", "n", Some(Probe::Execsnoop), state)
        };
        board.enter(&status);
        if state == State::Stopped {
            status.probe = None;
            status.ledger = None;
            board.enter(&status);
        }
        board
    }

    fn tally(start: Start, seqs: &[u64]) -> Tally {
        let mut tally = Tally::new(start);
        for &seq in seqs {
            let taken = tally.take(&Envelope {
                session: "s".into(),
                seq,
                time: "t".into(),
                node: "n".into(),
                namespace: "".into(),
                pod: "".into(),
                container: "".into(),
                sys_time: Clock::new(0, 0, 0).unwrap(),
                record: Record::Execsnoop(Execsnoop {
                    time_s: None,
                    uid: None,
                    comm: "x".into(),
                    pid: 1,
                    parent_comm: None,
                    ppid: None,
                    cpu: None,
                    ret: 0,
                    args: "".into(),
                }),
                pid_ns: None,
                by: By::Kernel,
                raw: "".into(),
                cut: false,
            });
            taken.unwrap();
        }
        tally
    }

    const LEDGER: Ledger = Ledger {
        printed: 10,
        outside: 5,
        unattributed: 2,
        unparsed: 0,
        dropped: 0,
        published: 3,
        lost_samples: 0,
        lost_in_host: 0,
        skipped: 0,
        restarts: 0,
        known: 0,
    };

    fn last_line(state: State, ledger: Ledger, seqs: &[u64]) -> String {
        let summary = summary(&board(state, ledger), &tally(Start::AtOne, seqs), 0);
        let last = summary.lines.last().unwrap().clone();
        assert_eq!(summary.lost, last.starts_with("incomplete"), "{last}");
        last
    }

    #[test]
    fn the_sum_is_shown_and_complete_is_said() {
        let summary = summary(
            &board(State::Stopped, LEDGER),
            &tally(Start::AtOne, &[1, 2, 3]),
            0,
        );
        assert_eq!(
            summary.lines,
            [
                "execsnoop: printed 10 = outside 5 + unattributed 2 + unparsed 0 + dropped 0 + published 3; shown 3; missing 0",
                "complete: every record that was published is shown, 3 in all (2 lines of processes that nobody could attribute were withheld)",
            ]
        );
        assert!(!summary.lost);
    }

    #[test]
    fn a_loss_is_named_by_place_and_number() {
        let last = last_line(State::Stopped, LEDGER, &[1, 3]);
        assert!(last.starts_with("incomplete: execsnoop: 1 lost between the agent and the hub"));
        // The last records leave no gap in the numbers.
        assert!(last_line(State::Stopped, LEDGER, &[1]).contains(": 2 lost between"));
        let dropped = Ledger {
            printed: 11,
            dropped: 1,
            lost_samples: 7,
            ..LEDGER
        };
        let skipped = Ledger {
            skipped: 3,
            ..LEDGER
        };
        let said = last_line(State::Stopped, skipped, &[1, 2, 3]);
        let skipped = "incomplete: execsnoop: 3 times its program was skipped by the kernel";
        assert!(said.starts_with(skipped), "{said}");
        let last = last_line(State::Stopped, dropped, &[1, 2, 4]);
        assert_eq!(
            last.split(" (").next().unwrap(),
            "incomplete: execsnoop: 7 lost in the kernel's buffer; execsnoop: 1 dropped because the agent's queue was full, or NATS took nothing"
        );
    }

    #[test]
    fn without_the_last_account_nothing_is_complete() {
        assert!(
            last_line(State::Attached, LEDGER, &[1, 2, 3]).contains("without its last account")
        );
        let open = Ledger {
            printed: 12,
            ..LEDGER
        };
        assert!(last_line(State::Stopped, open, &[1, 2, 3]).contains("2 not accounted for"));
    }

    #[test]
    fn what_the_hub_itself_did_not_show_is_a_loss() {
        let mut tally = tally(Start::AtOne, &[1, 2, 3]);
        tally.refused = 4;
        let summary = summary(&board(State::Stopped, LEDGER), &tally, 9);
        let last = summary.lines.last().unwrap();
        assert!(last.contains("4 messages refused") && last.contains("9 messages reached"));
    }

    #[test]
    fn who_joined_late_claims_no_more_than_it_saw() {
        let board = Board::new(None);
        let all = summary(&board, &tally(Start::Anywhere, &[100, 101]), 0);
        assert_eq!(all.lines[0], "n: execsnoop: shown 2; missing 0");
        assert_eq!(
            all.lines[1],
            "2 records shown, none missing among their numbers"
        );
        let holes = summary(&board, &tally(Start::Anywhere, &[100, 103]), 0);
        assert!(holes.lines[1].contains("n: execsnoop: 2 lost between the agent and the hub"));
    }

    #[test]
    fn a_probe_that_saw_nothing_for_a_while_is_a_loss() {
        let mut board = own();
        let mut status = Status::new("s", "n", Some(Probe::Execsnoop), State::Failed);
        // A failure before the first attachment hides nothing that was promised.
        for state in [
            State::Failed,
            State::Attached,
            State::Failed,
            State::GivenUp,
        ] {
            status.state = state;
            board.enter(&status);
        }
        let summary = summary(&board, &tally(Start::AtOne, &[]), 0);
        let last = summary.lines.last().unwrap();
        assert!(summary.lost);
        assert!(
            last.contains("execsnoop: failed 1 times and saw nothing"),
            "{last}"
        );
        assert!(
            last.contains("execsnoop: given up, and saw nothing"),
            "{last}"
        );
    }
}
