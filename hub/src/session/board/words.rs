//! What a status message says, as lines for the user: pure, no I/O.

use probeparser::Probe;
use probeparser::wire::{State, Status};

/// A tool's last words that are repeated.
const WORDS: usize = 8;

/// The lines about a status, each behind `who` it is about; the headline only if that is wanted.
pub(super) fn lines(who: &str, status: &Status, with_headline: bool) -> Vec<String> {
    let headline = with_headline.then(|| headline(status)).flatten();
    let mut lines: Vec<_> = headline
        .map(|line| format!("{who}{line}"))
        .into_iter()
        .collect();
    let silent = status.said.len().saturating_sub(WORDS);
    let said = status.said[silent..].iter();
    lines.extend(said.map(|said| format!("{who}| {said}")));
    let remedy = status.remedy.iter();
    lines.extend(remedy.map(|remedy| format!("{who}what to do: {remedy}")));
    lines
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
