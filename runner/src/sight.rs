//! Attached is not seeing: known events, made by the agent itself, show whether a probe reports them.
//!
//! ```text
//!  Watch ──act──▶ canary: the first process of a PID namespace of its own (inside, tcp, file)
//!    ▲                      │ connect, accept, exec, block I/O, page cache
//!    └── pipeline ◀─ tool ◀─┘    its namespace passes the filters; its records go no further
//! ```
//!
//! - [`canary`] starts the process and asks it for an [`act`]; [`inside`] is what runs there.
//! - [`aspect`]: what an act must show in which tool; [`proof`]: one round; [`words`]: what is told.
//!
//! A round ends at the moment in which everything has been seen. Only what is missing takes time.

mod act;
mod aspect;
mod canary;
mod file;
pub(crate) mod inside;
mod proof;
mod tcp;
mod words;

use std::time::Duration;

use probeparser::wire::{Sight, Verdict};
use probeparser::{Probe, Record};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

pub(crate) use canary::{Canary, Young};
pub(crate) use words::{Told, all_unproven};

use act::Facts;
use proof::Proof;

/// How long an act may take: a device that is slower has other troubles.
const ACT: Duration = Duration::from_secs(30);
/// How long a report may take: as long as the tool took to attach, which is the measure of how fast
/// this machine is, within these bounds. cachetop reports once a second.
const REPORT_AT_LEAST: Duration = Duration::from_secs(3);
const REPORT_AT_MOST: Duration = Duration::from_secs(30);
/// A probe that has been silent for so long is asked to prove itself again.
const SILENCE: Duration = Duration::from_secs(60);
/// One that did not see is asked again after this time: what it hooks may have been loaded late.
const AGAIN: Duration = Duration::from_secs(300);

/// What comes of a round.
#[derive(Debug)]
pub(crate) enum News {
    /// Something new is proven.
    Sight(Told),
    /// The probe is to be started again with what heals these.
    Heal {
        /// What is dead, by its name.
        dead: Vec<String>,
        /// What to tell meanwhile.
        message: String,
    },
}

/// The proof of sight of one probe, for as long as it runs.
pub(crate) struct Watch {
    probe: Probe,
    canary: Canary,
    phase: Phase,
    proof: Proof,
    patience: Duration,
    asked: Instant,
    /// How long after the question its first report of what was done came.
    first_report: Option<Duration>,
    /// It has printed something since it was last asked.
    heard: bool,
    told: Option<Sight>,
    /// What the running tool could be healed of.
    healable: Vec<String>,
    /// Why the running tool was changed.
    healings: Vec<String>,
    /// It is not healed twice.
    tried: bool,
}

enum Phase {
    /// It is not attached, or there is nothing to prove.
    Off,
    /// The next round is then.
    Resting(Instant),
    /// The canary is at work.
    Asked(oneshot::Receiver<Result<Facts, String>>, Instant),
    /// It is done; the report may take until then.
    Waiting(Instant),
}

impl Watch {
    /// Nothing is proven yet.
    pub(crate) fn new(probe: Probe, canary: Canary) -> Self {
        Self {
            probe,
            canary,
            phase: Phase::Off,
            proof: Proof::new(probe),
            patience: REPORT_AT_LEAST,
            asked: Instant::now(),
            first_report: None,
            heard: false,
            told: None,
            healable: Vec::new(),
            healings: Vec::new(),
            tried: false,
        }
    }

    /// A process is being started for the tool.
    pub(crate) fn starting(&mut self) {
        self.ended();
        self.healable.clear();
        self.healings.clear();
    }

    /// The tool that is being started could be healed of this.
    pub(crate) fn healable(&mut self, dead: String) {
        self.healable.push(dead);
    }

    /// The tool that is being started is changed, for this reason.
    pub(crate) fn healed(&mut self, reason: String) {
        self.healings.push(reason);
    }

    /// The tool has attached, after this time: begin.
    pub(crate) fn attached(&mut self, took: Duration) {
        self.patience = took.clamp(REPORT_AT_LEAST, REPORT_AT_MOST);
        self.proof = Proof::new(self.probe);
        self.ask();
    }

    /// The tool is not running any more.
    pub(crate) fn ended(&mut self) {
        self.phase = Phase::Off;
    }

    /// The tool has printed a line.
    pub(crate) fn heard(&mut self) {
        self.heard = true;
    }

    /// The tool has reported this of the canary.
    pub(crate) fn saw(&mut self, record: &Record) {
        self.proof.saw(record);
        if self.first_report.is_none() {
            self.first_report = Some(self.asked.elapsed());
            let rest = Instant::now() + self.patience();
            if let Phase::Waiting(until) = &mut self.phase {
                *until = rest.min(*until);
            }
        }
    }

    /// How long what is still missing may take. A tool that has reported part of an act is awake, and how
    /// fast it is, is known: the rest may take as long again, and a third of what a silent tool gets, for
    /// cachetop shows in its next row what its last one was too early for.
    fn patience(&self) -> Duration {
        let least = REPORT_AT_LEAST.max(self.patience / 3);
        self.first_report
            .map_or(self.patience, |took| took.clamp(least, self.patience))
    }

    /// What was told last.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.told.as_ref().map(|sight| sight.verdict)
    }

    /// Goes on with the proof until there is news. Cancel-safe.
    pub(crate) async fn news(&mut self) -> News {
        loop {
            if let Some(news) = self.step().await {
                return news;
            }
        }
    }

    async fn step(&mut self) -> Option<News> {
        let under_way = matches!(self.phase, Phase::Asked(..) | Phase::Waiting(_));
        if under_way && self.proof.is_complete() {
            return self.conclude();
        }
        match &mut self.phase {
            Phase::Off => std::future::pending().await,
            Phase::Resting(until) => {
                sleep_until(*until).await;
                let sees = self.verdict() == Some(Verdict::Sees);
                if sees && std::mem::take(&mut self.heard) {
                    self.phase = Phase::Resting(Instant::now() + SILENCE);
                } else {
                    self.proof = Proof::new(self.probe);
                    self.ask();
                }
            }
            Phase::Asked(answered, until) => {
                let done = match timeout_at(*until, answered).await {
                    Ok(answer) => answer.unwrap_or_else(|_| Err(canary::GONE.to_owned())),
                    Err(_) => Err(format!("a known event was not made within {ACT:?}")),
                };
                match done {
                    Ok(facts) => self.proof.made(&facts),
                    Err(reason) => self.proof.not_made(reason),
                }
                if self.proof.is_void() {
                    return self.conclude();
                }
                self.phase = Phase::Waiting(Instant::now() + self.patience());
            }
            Phase::Waiting(until) => {
                sleep_until(*until).await;
                if self.proof.is_exhausted() {
                    return self.conclude();
                }
                self.ask();
            }
        }
        None
    }

    fn ask(&mut self) {
        self.asked = Instant::now();
        self.first_report = None;
        self.phase = match aspect::act(self.probe) {
            Some(act) => Phase::Asked(self.canary.ask(act), Instant::now() + ACT),
            None => Phase::Off,
        };
    }

    fn conclude(&mut self) -> Option<News> {
        let mut sight = self.proof.sight();
        if !self.healings.is_empty() {
            sight.healed = Some(self.healings.join("; "));
        }
        if let Some(heal) = self.heal(&sight) {
            self.phase = Phase::Off;
            return Some(heal);
        }
        let pause = if sight.verdict == Verdict::Sees {
            SILENCE
        } else {
            AGAIN
        };
        self.phase = Phase::Resting(Instant::now() + pause);
        self.heard = false;
        if self.told.as_ref() == Some(&sight) {
            return None;
        }
        let told = match self.canary.lacking() {
            // It holds for all probes alike, and the agent has said it at its start.
            Some(_) => Told::in_the_record(sight.clone()),
            None => words::told(self.probe, &sight, self.told.as_ref(), self.proof.lacking()),
        };
        self.told = Some(sight);
        Some(News::Sight(told))
    }

    /// What can be healed is healed before anything is told of it.
    fn heal(&mut self, sight: &Sight) -> Option<News> {
        let can = |dead: &&String| self.healable.contains(dead);
        let dead: Vec<_> = sight.dead.iter().filter(can).cloned().collect();
        if dead.is_empty() || std::mem::replace(&mut self.tried, true) {
            return None;
        }
        Some(News::Heal {
            message: format!(
                "{}; it is started again in a way that may mend this",
                words::told(self.probe, sight, self.told.as_ref(), None).message
            ),
            dead,
        })
    }
}

#[cfg(test)]
mod tests;
