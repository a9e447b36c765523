//! The wiring: tool → pipeline → queue → NATS, a task a probe, and the end of it all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use probeparser::Probe;
use probeparser::wire::{OrderSubject, State, Status, Verdict, agent_inbox};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::announce::Announcer;
use crate::config::Config;
use crate::exit::Exit;
use crate::ledger::Ledger;
use crate::options;
use crate::pipeline::{Identity, Pipeline, Taken};
use crate::probe::{self, ProbeEvent, ProbeSpec, Warm};
use crate::scope::Scope;
use crate::send::{self, Durable, LastWords, Nats, Outbox, Second};
use crate::sight::{Canary, News, Told, Watch};

/// How often a probe's ledger is published while it changes.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Events of a probe that are taken at a time.
const EVENTS: usize = 256;
/// How long the queue may take to empty when we were asked to end. Whoever asks waits 20 s (the hub, and a
/// pod's grace), of which the tools take up to 6 and the last words up to 6 more.
const DRAIN: Duration = Duration::from_secs(8);

/// What stands ready before the first tool is started.
pub(crate) struct Prepared {
    /// The targets, and the means to tell their processes.
    pub(crate) scope: Scope,
    /// The process that starts tools.
    pub(crate) warm: Warm,
    /// The process that makes known events.
    pub(crate) canary: Canary,
    /// What this machine lacks, to be told to whoever watches.
    pub(crate) warnings: Vec<String>,
}

/// Runs every probe until `shutdown` or until none is left.
///
/// # Errors
/// When NATS can't even be tried.
pub(crate) async fn run(
    config: Config,
    prepared: Prepared,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<Exit> {
    let Prepared {
        scope,
        warm,
        canary,
        warnings,
    } = prepared;
    let scope = Arc::new(scope);
    let identity = Arc::new(Identity {
        session: config.session.clone(),
        node: config.node.clone(),
    });
    let nats = Nats::new(
        &config.nats_url,
        config.login.clone(),
        &config.session,
        &config.node,
        config
            .durable
            .map(|store| Durable::new(store, &config.session, &config.node)),
    )?;
    let (outbox, sending) = send::start(nats, config.queue, config.spool.clone());
    let announcer = Announcer::new(Arc::clone(&identity));

    let starting = Status {
        probes: config.probes.clone(),
        ..announcer.status(None, State::Starting, format!("session {}", config.session))
    };
    announcer.send(&outbox, starting).await;
    for warning in warnings {
        announcer
            .send(&outbox, announcer.status(None, State::Note, warning))
            .await;
    }

    let stop = CancellationToken::new();
    let slots = Arc::new(Semaphore::new(config.attach_jobs));
    let task = |&probe: &Probe| {
        let ledger = Arc::new(Ledger::default());
        let (identity, scope) = (Arc::clone(&identity), Arc::clone(&scope));
        ProbeTask {
            probe,
            pipeline: Pipeline::new(probe, identity, scope, Arc::clone(&ledger)),
            ledger,
            watch: Watch::new(probe, canary.clone()),
            announcer: announcer.clone(),
            outbox: outbox.clone(),
            slot: None,
            last_state: State::Stopped,
        }
    };
    // Tools take their turn to compile in the order of the configuration.
    let mut waiting: VecDeque<_> = config.probes.iter().map(task).collect();
    let mut probes = JoinSet::new();
    let mut ended = Vec::new();
    let orders = obeying(&config, &scope, &announcer, &outbox);
    let ending = ending(&config, announcer.clone(), shutdown);
    tokio::pin!(ending);
    let mut unheard = false;
    while !(waiting.is_empty() && probes.is_empty()) {
        tokio::select! {
            alone = &mut ending, if !stop.is_cancelled() => {
                unheard = alone;
                stop.cancel();
                ended.extend(waiting.drain(..).map(ProbeTask::ended));
            }
            slot = Arc::clone(&slots).acquire_owned(), if !waiting.is_empty() => {
                if let Some(mut task) = waiting.pop_front() {
                    task.slot = slot.ok();
                    let probe = task.probe;
                    let spec = ProbeSpec {
                        name: probe.to_string(),
                        argv: options::argv(probe).iter().map(ToString::to_string).collect(),
                        tools_dirs: config.tools_dirs.clone(),
                        filter_map: scope.filter_map().map(Into::into),
                        page_cnt: config.pages(probe),
                        heal: Vec::new(),
                        restart: true,
                    };
                    probes.spawn(task.run(spec, warm.clone(), stop.clone()));
                }
            }
            Some(task) = probes.join_next() => ended.push(task.context("a probe's task panicked")?),
        }
    }
    // The queue ends with the last who may write to it.
    drop((orders, outbox));
    let limit = stop.is_cancelled().then_some(DRAIN);
    let sent = sending.finish(limit).await;
    farewell(sent, &announcer, &ended).await;
    if unheard {
        tracing::error!("nobody has listened: the hub is gone, or NATS can't be reached");
        return Ok(Exit::Failed);
    }
    let blind = !ended.is_empty() && ended.iter().all(Ended::is_blind);
    Ok(if blind { Exit::Blind } else { Exit::Done })
}

/// Completes when the agent is to end; true if nobody has listened.
async fn ending(config: &Config, announcer: Announcer, shutdown: impl Future<Output = ()>) -> bool {
    let nothing = || announcer.message(&announcer.status(None, State::Report, ""));
    // A stream hears everything, for whoever comes later: then a server that answers is enough.
    let question = config.durable.is_none().then_some(nothing);
    let unheard = send::unheard_for(config.end_unheard, second(config), question);
    tokio::select! {
        () = shutdown => false,
        () = Box::pin(unheard) => true,
    }
}

/// The task that obeys the hub, if it is one that may give orders.
fn obeying(
    config: &Config,
    scope: &Arc<Scope>,
    announcer: &Announcer,
    outbox: &Outbox,
) -> Option<AbortOnDropHandle<()>> {
    if !config.orders {
        return None;
    }
    let subject = OrderSubject {
        session: config.session.clone(),
        node: config.node.clone(),
    };
    let (announcer, outbox) = (announcer.clone(), outbox.clone());
    let tell = async move |note: String| {
        let status = announcer.status(None, State::Note, note);
        announcer.send(&outbox, status).await;
    };
    let obeying = send::obey(second(config), subject, Arc::clone(scope), tell);
    Some(AbortOnDropHandle::new(tokio::spawn(obeying)))
}

/// A connection besides the records'.
fn second(config: &Config) -> Second {
    Second {
        url: config.nats_url.clone(),
        login: config.login.clone(),
        inbox: agent_inbox(&config.session, &config.node),
    }
}

/// A probe that has come to its end.
struct Ended {
    probe: Probe,
    state: State,
    verdict: Option<Verdict>,
    ledger: Arc<Ledger>,
}

impl Ended {
    /// Whether it saw nothing in the end.
    fn is_blind(&self) -> bool {
        self.state == State::GivenUp || self.verdict == Some(Verdict::Blind)
    }
}

/// Publishes the final ledgers, when the queue is empty.
async fn farewell(sent: Option<LastWords>, announcer: &Announcer, ended: &[Ended]) {
    let Some(last_words) = sent else {
        return;
    };
    let mut messages: Vec<_> = ended
        .iter()
        .map(|probe| {
            let mut ledger = probe.ledger.snapshot();
            // What is in no column by now was in the queue that nobody emptied.
            ledger.dropped += ledger.printed.saturating_sub(ledger.accounted());
            announcer.message(&announcer.report(probe.probe, probe.state, ledger))
        })
        .collect();
    messages.push(announcer.message(&announcer.status(None, State::Stopped, "")));
    if !last_words.say(messages).await {
        tracing::warn!("NATS did not take the final report");
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
struct ProbeTask {
    probe: Probe,
    pipeline: Pipeline,
    ledger: Arc<Ledger>,
    watch: Watch,
    announcer: Announcer,
    outbox: Outbox,
    /// Held while the tool compiles, so that not all of them fight for the CPUs at once.
    slot: Option<OwnedSemaphorePermit>,
    last_state: State,
}

impl ProbeTask {
    async fn run(mut self, spec: ProbeSpec, warm: Warm, stop: CancellationToken) -> Ended {
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

    fn ended(self) -> Ended {
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
