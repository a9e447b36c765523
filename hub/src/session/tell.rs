//! What the user is told while a session runs.

use super::board::Board;
use crate::console::say;
use crate::receive::News;

/// Refused messages that are told one by one.
const REFUSALS: u32 = 5;

/// Tells that a reader does not read.
pub(super) fn tell_held_up(told: &mut bool) {
    if !*told {
        say("standard output is not being read; a second interrupt leaves without the rest");
        *told = true;
    }
}

/// Tells what the receiving task has heard.
pub(super) fn tell(news: News, board: &mut Board, refusals: &mut u32) {
    match news {
        News::Status(status) => board.enter(&status).iter().for_each(say),
        News::Refused { subject, refusal } => {
            *refusals = refusals.saturating_add(1);
            if *refusals <= REFUSALS {
                say(format!("refused a message on {subject}: {refusal}"));
            } else if *refusals == REFUSALS + 1 {
                say("refused more messages; they are counted");
            }
        }
    }
}
