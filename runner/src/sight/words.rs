//! What is told about a probe's sight: the reason, and what to do.

use probeparser::Probe;
use probeparser::wire::{Sight, Verdict};

use super::act::Act;
use super::aspect;

/// Something to tell.
#[derive(Debug)]
pub(crate) struct Told {
    /// What is proven.
    pub(crate) sight: Sight,
    /// That in a sentence.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) remedy: Option<String>,
}

impl Told {
    /// Without a word besides the record.
    pub(super) fn in_the_record(sight: Sight) -> Self {
        Self {
            sight,
            message: String::new(),
            remedy: None,
        }
    }
}

/// What is said once of all probes when no known event can be made, for this reason.
pub(crate) fn all_unproven(lacking: &str) -> String {
    format!(
        "{} whether the probes see: {lacking}. They trace all the same: trust what they show, and \
         nothing that they do not show",
        Verdict::Unproven.word()
    )
}

/// The words for a verdict. `before` is what was told last, `lacking` why events were not made.
pub(super) fn told(
    probe: Probe,
    sight: &Sight,
    before: Option<&Sight>,
    lacking: Option<&str>,
) -> Told {
    let did = match aspect::act(probe) {
        Some(Act::Talk) => "a TCP session that the agent had with itself",
        Some(Act::Exec) => "a program that the agent executed",
        Some(Act::File) => "a file that the agent wrote and read",
        None => "what the agent did",
    };
    let dead = sight.dead.join(", ");
    let word = sight.verdict.word();
    let mut message = match (sight.verdict, before) {
        (Verdict::Sees, None) => format!("{word}: it reported {did}"),
        (Verdict::Sees, Some(_)) => format!("{word} now: it reported {did}"),
        (Verdict::Suspect, _) => format!("{word}: it reported {did}, but not all: {dead}"),
        (Verdict::Blind, None) => format!("{word}: attached, but it reported nothing of {did}"),
        (Verdict::Blind, Some(_)) => format!("{word} by now: it reported nothing of {did}"),
        (Verdict::Unproven, _) => format!(
            "{word} whether it sees: {}",
            lacking.unwrap_or("no known event could be made")
        ),
    };
    match (sight.verdict, &sight.healed) {
        (_, None) => {}
        (Verdict::Sees, Some(reasons)) => message = format!("healed: {reasons}"),
        (_, Some(reasons)) => message = format!("{message}; it did not help that {reasons}"),
    }
    let remedy = match sight.verdict {
        Verdict::Sees => None,
        Verdict::Suspect | Verdict::Blind => Some(remedy(probe).to_owned()),
        Verdict::Unproven if aspect::act(probe) == Some(Act::File) => Some(
            "give the agent a folder on a disk that it may write to, such as /var/tmp".to_owned(),
        ),
        Verdict::Unproven => {
            Some("trust what it shows, and nothing that it does not show".to_owned())
        }
    };
    Told {
        sight: sight.clone(),
        message,
        remedy,
    }
}

/// The releases in which BCC mended what makes a tool blind on newer kernels.
fn remedy(probe: Probe) -> &'static str {
    match probe {
        Probe::Tcpaccept => {
            "bcc 0.36 or newer reads this kernel's sockets; meanwhile tcptracer reports accepts, too"
        }
        Probe::Cachetop | Probe::Cachestat => {
            "bcc 0.32 or newer counts the functions that kernels from 5.16 on use"
        }
        Probe::Biosnoop => "bcc 0.36 or newer reads this kernel's block tracepoints",
        Probe::Tcptracer | Probe::Tcpconnect | Probe::Tcplife | Probe::Execsnoop => {
            "x-tracer doctor says which release of bcc fits this kernel"
        }
    }
}
