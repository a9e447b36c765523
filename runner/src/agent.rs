//! The wiring: tool → pipeline → queue → NATS, a task a probe, and the end of it all.

mod task;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use probeparser::Probe;
use probeparser::wire::{OrderSubject, State, Status, agent_inbox};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::task::{Ended, ProbeTask};
use crate::announce::Announcer;
use crate::config::Config;
use crate::exit::Exit;
use crate::ledger::Ledger;
use crate::options;
use crate::pipeline::{Identity, Pipeline};
use crate::probe::{ProbeSpec, Warm};
use crate::scope::Scope;
use crate::send::{
    self, Durable, Journal, JournalError, LastWords, Left, Nats, Outbox, Second, Spool,
};
use crate::sight::{Canary, Watch};

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
    let books = Books::open(&config)?;
    let nats = Nats::new(
        &config.nats_url,
        config.login.clone(),
        &config.session,
        &config.node,
        config
            .durable
            .map(|store| Durable::new(store, &config.session, &config.node, books.epoch)),
    )?;
    let (outbox, sending) = send::start(nats, config.queue, books.spool);
    let announcer = Announcer::new(Arc::clone(&identity));

    let starting = Status {
        probes: config.probes.clone(),
        ..announcer.status(None, State::Starting, format!("session {}", config.session))
    };
    announcer.send(&outbox, starting).await;
    for warning in warnings.into_iter().chain(books.warning) {
        announcer
            .send(&outbox, announcer.status(None, State::Note, warning))
            .await;
    }

    let stop = CancellationToken::new();
    let slots = Arc::new(Semaphore::new(config.attach_jobs));
    let task = |(probe, ledger): (Probe, Arc<Ledger>)| {
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
    let mut waiting: VecDeque<_> = books.ledgers.into_iter().map(task).collect();
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

/// What is counted and kept: from the beginning, or from where an agent that was killed has left it.
struct Books {
    /// When the numbering began.
    epoch: u64,
    ledgers: Vec<(Probe, Arc<Ledger>)>,
    spool: Spool,
    /// What there is to tell of it.
    warning: Option<String>,
}

impl Books {
    fn open(config: &Config) -> anyhow::Result<Self> {
        let open = |folder| Journal::open(folder, &config.session, &config.node);
        let (journal, problem) = match config.journal.as_deref().map(open).transpose() {
            Ok(journal) => (journal, None),
            Err(error @ JournalError::Taken(_)) => return Err(error.into()),
            // Without it the agent works as well, until it is killed.
            Err(error @ JournalError::Folder { .. }) => (None, Some(error.to_string())),
        };
        let ledger = |&probe: &Probe| {
            let kept = journal.as_ref().and_then(|journal| journal.ledger(probe));
            (probe, kept.unwrap_or_default())
        };
        let ledgers = config.probes.iter().map(ledger).collect();
        let epoch = journal.as_ref().map_or_else(send::epoch, Journal::epoch);
        let spool = config.spool.clone();
        let (spool, left) = match journal {
            None => (Spool::new(spool), None),
            Some(journal) => Spool::kept(spool, journal).context("cannot read the journal")?,
        };
        Ok(Self {
            epoch,
            ledgers,
            spool,
            warning: left.as_ref().map(Left::to_string).or(problem),
        })
    }
}

/// Completes when the agent is to end; true if nobody has listened.
async fn ending(config: &Config, announcer: Announcer, shutdown: impl Future<Output = ()>) -> bool {
    let nothing = || announcer.message(&announcer.status(None, State::Report, ""));
    // A stream hears everything, for whoever comes later: then a server that answers is enough.
    let question = config.durable.is_none().then_some(&nothing);
    let unheard = send::unheard_for(config.end_unheard, second(config), question);
    let limit = config.end_alone.filter(|_| config.durable.is_some());
    let place = format!("{}.hub", agent_inbox(&config.session, &config.node));
    let alone = send::alone_for(limit, second(config), place, nothing);
    tokio::select! {
        () = shutdown => false,
        () = Box::pin(unheard) => true,
        () = Box::pin(alone) => true,
    }
}

/// The task that obeys the hub, if it is one that may give orders.
fn obeying(
    config: &Config,
    scope: &Arc<Scope>,
    announcer: &Announcer,
    outbox: &Outbox,
) -> Option<AbortOnDropHandle<()>> {
    let from = config.orders_from.clone()?;
    let subject = OrderSubject {
        session: config.session.clone(),
        node: config.node.clone(),
    };
    let (announcer, outbox) = (announcer.clone(), outbox.clone());
    let tell = async move |note: String| {
        let status = announcer.status(None, State::Note, note);
        announcer.send(&outbox, status).await;
    };
    let obeying = send::obey(second(config), subject, from, Arc::clone(scope), tell);
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
