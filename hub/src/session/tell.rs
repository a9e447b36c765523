//! What the user is told while a session runs.

use probeparser::wire::{State, Status, Verdict};

use super::board::Board;
use crate::console::{mention, say};
use crate::receive::News;

/// Refused messages that are told one by one.
const REFUSALS: u32 = 5;
/// Gaps that are told one by one.
const GAPS: u32 = 20;

/// What was told one by one so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    refusals: u32,
    gaps: u32,
}

/// Tells that a reader does not read.
pub(super) fn tell_held_up(told: &mut bool) {
    if !*told {
        say("standard output is not being read; a second interrupt leaves without the rest");
        *told = true;
    }
}

/// Tells what the receiving task has heard.
pub(super) fn tell(news: News, board: &mut Board, told: &mut Told) {
    match news {
        News::Status(status) => {
            let trouble = is_trouble(&status);
            for line in board.enter(&status) {
                if trouble { say(line) } else { mention(line) }
            }
        }
        News::Note(note) => say(note),
        // It ends the session, which is told at once; at its end nobody minds any more.
        News::Enough => {}
        News::Gap {
            stream,
            missing,
            before,
        } => {
            told.gaps = told.gaps.saturating_add(1);
            if told.gaps <= GAPS {
                say(format!(
                    "{stream}: {missing} records are missing before number {before}"
                ));
            } else if told.gaps == GAPS + 1 {
                say("there are more gaps; what is missing in them is counted");
            }
        }
        News::Refused { subject, refusal } => {
            told.refusals = told.refusals.saturating_add(1);
            if told.refusals <= REFUSALS {
                say(format!("refused a message on {subject}: {refusal}"));
            } else if told.refusals == REFUSALS + 1 {
                say("refused more messages; they are counted");
            }
        }
    }
}

/// Whether a status tells of something that does not go as it should.
fn is_trouble(status: &Status) -> bool {
    let sight = status.sight.as_ref();
    matches!(status.state, State::Failed | State::GivenUp | State::Note)
        || sight.is_some_and(|sight| sight.verdict != Verdict::Sees)
}
