//! What the user is told while a session runs.

use super::board::Board;
use crate::console::say;
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
        News::Status(status) => board.enter(&status).iter().for_each(say),
        News::Note(note) => say(note),
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
