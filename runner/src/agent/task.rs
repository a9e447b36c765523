//! One probe of the agent, from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use probeparser::Probe;
use probeparser::wire::{State, Status, Verdict};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;

use crate::announce::Announcer;
use crate::ledger::Ledger;
use crate::pipeline::{Pipeline, Taken};
use crate::probe::{self, ProbeEvent, ProbeSpec, Warm};
use crate::send::Outbox;
use crate::sight::{News, Told, Watch};

/// How often a probe's ledger is published while it changes.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Events of a probe that are taken at a time.
const EVENTS: usize = 256;

/// A probe that has come to its end.
pub(super) struct Ended {
    pub(super) probe: Probe,
    pub(super) state: State,
    verdict: Option<Verdict>,
    pub(super) ledger: Arc<Ledger>,
}

impl Ended {
    /// Whether it saw nothing in the end.
    pub(super) fn is_blind(&self) -> bool {
        self.state == State::GivenUp || self.verdict == Some(Verdict::Blind)
    }
}

/// What a probe's task does next.
#[derive(Debug)]
enum Turn {
    /// The proof of sight has news.
    News(News),
    /// It is time to report.
    Report,
    /// So many events have come. None: no more will.
    Events(usize),
}

/// The next turn. What is rare goes first: behind events that come without a pause it would never have one.
async fn next_turn(
    news: impl Future<Output = News>,
    report: &mut Interval,
    events: &mut mpsc::Receiver<ProbeEvent>,
    taken: &mut Vec<ProbeEvent>,
) -> Turn {
    tokio::select! {
        biased;
        news = news => Turn::News(news),
        _ = report.tick() => Turn::Report,
        count = events.recv_many(taken, EVENTS) => Turn::Events(count),
    }
}

/// One probe from its start to its end.
pub(super) struct ProbeTask {
    pub(super) probe: Probe,
    pub(super) pipeline: Pipeline,
    pub(super) ledger: Arc<Ledger>,
    pub(super) watch: Watch,
    pub(super) announcer: Announcer,
    pub(super) outbox: Outbox,
    /// Held while the tool compiles, so that not all of them fight for the CPUs at once.
    pub(super) slot: Option<OwnedSemaphorePermit>,
    pub(super) last_state: State,
}

impl ProbeTask {
    /// Runs it to its end.
    pub(super) async fn run(
        mut self,
        spec: ProbeSpec,
        warm: Warm,
        stop: CancellationToken,
    ) -> Ended {
        let mut host = probe::Probe::start(warm, spec, stop.clone());
        let mut report = tokio::time::interval(REPORT_EVERY);
        report.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut reported = self.ledger.snapshot();
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let news = self.watch.news();
            match next_turn(news, &mut report, &mut host.events, &mut events).await {
                Turn::Events(0) => {
                    host.ended().await;
                    return self.ended();
                }
                Turn::Events(_) => {
                    for event in events.drain(..) {
                        match event {
                            ProbeEvent::Stopped if !stop.is_cancelled() => self.finished().await,
                            event => self.event(event).await,
                        }
                    }
                }
                Turn::News(News::Sight(told)) => self.sight(told).await,
                Turn::News(News::Heal { dead, message }) => {
                    self.tell(State::Note, &message).await;
                    host.heal(dead);
                }
                Turn::Report => {
                    let now = self.ledger.snapshot();
                    if now != reported {
                        reported = now;
                        let status = self.announcer.report(self.probe, State::Report, now);
                        self.announcer.send(&self.outbox, status).await;
                    }
                }
            }
        }
    }

    /// Its end, as it stands.
    pub(super) fn ended(self) -> Ended {
        Ended {
            probe: self.probe,
            state: self.last_state,
            verdict: self.watch.verdict(),
            ledger: self.ledger,
        }
    }

    async fn event(&mut self, event: ProbeEvent) {
        match event {
            ProbeEvent::Line {
                bytes,
                in_callback,
                cut: _,
            } => {
                self.watch.heard();
                match self.pipeline.line(bytes) {
                    // A callback is the kernel's event and can't wait; a plain line can.
                    Some(Taken::Message(message)) if in_callback => self.outbox.offer(message),
                    Some(Taken::Message(message)) => self.outbox.send(message).await,
                    Some(Taken::Known(record)) => self.watch.saw(&record),
                    None => {}
                }
            }
            ProbeEvent::Starting { tool_path, argv } => {
                self.pipeline.restart();
                self.watch.starting();
                let command = format!("{} {}", tool_path.display(), argv.join(" "));
                self.tell(State::Starting, command.trim_end()).await;
            }
            ProbeEvent::Attached { took, loaded } => {
                self.slot = None;
                // What only prints has no kernel to be blind in: recorded output, replayed.
                if loaded {
                    self.watch.attached(took);
                }
                let status = Status {
                    took_ms: u64::try_from(took.as_millis()).ok(),
                    ..self.status(State::Attached, "attached")
                };
                self.announcer.send(&self.outbox, status).await;
            }
            ProbeEvent::Lost { buffer, count } => {
                self.ledger.lost_samples(count);
                tracing::warn!(
                    "{}: the kernel lost {count} samples of {buffer:?}",
                    self.probe
                );
            }
            ProbeEvent::Dropped { count } => {
                self.ledger.lost_in_host(count);
                tracing::warn!("{}: {count} events were lost on their way here", self.probe);
            }
            ProbeEvent::Skipped { count } => self.ledger.skipped(count),
            ProbeEvent::Healable(dead) => self.watch.healable(dead),
            ProbeEvent::Healed(reason) => self.watch.healed(reason),
            ProbeEvent::Note(note) => self.tell(State::Note, &note).await,
            ProbeEvent::Said(line) => {
                tracing::info!("{} said: {}", self.probe, line.escape_debug());
            }
            ProbeEvent::Failed {
                kind: _,
                reason,
                said,
                remedy,
                retry_in,
            } => {
                self.slot = None;
                self.watch.ended();
                let (state, message) = match retry_in {
                    Some(wait) => {
                        self.ledger.restarted();
                        (
                            State::Failed,
                            format!("{reason}; trying again in {wait:.0?}"),
                        )
                    }
                    None => (State::GivenUp, reason),
                };
                self.last_state = state;
                let remedy = (!remedy.is_empty()).then_some(remedy);
                let status = Status {
                    said,
                    remedy,
                    ..self.status(state, &message)
                };
                self.announcer.send(&self.outbox, status).await;
            }
            ProbeEvent::Stopped => {
                self.slot = None;
                self.watch.ended();
                self.last_state = State::Stopped;
            }
        }
    }

    async fn finished(&mut self) {
        self.slot = None;
        self.last_state = State::Finished;
        self.tell(State::Finished, "the tool has come to its own end")
            .await;
    }

    /// Tells whether the probe sees.
    async fn sight(&mut self, told: Told) {
        let status = Status {
            remedy: told.remedy,
            sight: Some(told.sight),
            ..self.status(State::Note, &told.message)
        };
        self.announcer.send(&self.outbox, status).await;
    }

    fn status(&self, state: State, message: &str) -> Status {
        self.announcer.status(Some(self.probe), state, message)
    }

    async fn tell(&self, state: State, message: &str) {
        self.announcer
            .send(&self.outbox, self.status(state, message))
            .await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_events_leaves_a_verdict_and_a_report_their_turn() {
        let (sender, mut events) = mpsc::channel(2 * EVENTS);
        while sender.try_send(ProbeEvent::Dropped { count: 1 }).is_ok() {}
        let mut report = tokio::time::interval(REPORT_EVERY);
        let mut taken = Vec::new();
        let verdict = ready(News::Heal {
            dead: Vec::new(),
            message: String::new(),
        });
        let turn = next_turn(verdict, &mut report, &mut events, &mut taken).await;
        assert!(matches!(turn, Turn::News(_)), "{turn:?}");
        let turn = next_turn(pending(), &mut report, &mut events, &mut taken).await;
        assert!(matches!(turn, Turn::Report), "{turn:?}");
        for _ in 0..2 {
            let turn = next_turn(pending(), &mut report, &mut events, &mut taken).await;
            assert!(matches!(turn, Turn::Events(EVENTS)), "{turn:?}");
        }
    }
}
