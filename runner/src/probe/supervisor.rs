//! A probe for as long as the agent wants it: found, started, read, started again, stopped.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ProbeEvent;
use super::control::ToolRun;
use super::failure::Failure;
use super::restart::RestartPolicy;
use super::run::{Ended, Run};
use super::tool::find_tool;
use super::warm::Warm;

/// Events that may wait for the agent before the tool waits.
const QUEUE: usize = 4096;
/// How long an event of a probe that is being stopped waits for an agent that does not read.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// What to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeSpec {
    /// The tool's plain name, e.g. `tcptracer`.
    pub name: String,
    /// Its arguments, without the program's name.
    pub argv: Vec<String>,
    /// Folders that are searched before the distribution's, in order.
    pub tools_dirs: Vec<PathBuf>,
    /// Pinned map of the PID namespaces to trace (u64 inode to u32), for tools that can filter in the
    /// kernel. A kernel that refuses the filter runs the tool without it.
    pub filter_map: Option<PathBuf>,
    /// Least size of each per-CPU ring in pages, a power of two; `None`: what the tool asks for.
    pub page_cnt: Option<u32>,
    /// What is proven dead, and to be healed from the start.
    pub heal: Vec<String>,
    /// Start a failed tool again when that can help.
    pub restart: bool,
}

/// A probe that runs in a task of its own.
#[derive(Debug)]
pub struct Probe {
    /// What happens to it; `None` after [`ProbeEvent::Stopped`] or a [`ProbeEvent::Failed`] that is final.
    /// When it is full, the tool waits, and then the kernel's ring drops and counts.
    pub events: mpsc::Receiver<ProbeEvent>,
    stop: CancellationToken,
    heal: watch::Sender<Vec<String>>,
    task: JoinHandle<()>,
}

impl Probe {
    /// Starts it. Cancelling `stop` ends it: SIGTERM, and SIGKILL after three seconds.
    #[must_use]
    pub fn start(warm: Warm, spec: ProbeSpec, stop: CancellationToken) -> Self {
        let (sender, events) = mpsc::channel(QUEUE);
        let (heal, healing) = watch::channel(Vec::new());
        let emitter = Events {
            sender,
            stop: stop.clone(),
            healing,
            dropped: 0,
        };
        let task = tokio::spawn(supervise(warm, spec, emitter));
        Self {
            events,
            stop,
            heal,
            task,
        }
    }

    /// Asks it to end. Go on receiving until there is nothing more: what it printed last comes first.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Starts it again with what heals these; each has been announced as [`ProbeEvent::Healable`].
    pub fn heal(&self, dead: Vec<String>) {
        // A probe that has come to its end needs no healing.
        self.heal.send(dead).ok();
    }

    /// Waits until its process and its task are over.
    pub async fn ended(self) {
        drop(self.events);
        // A task that panicked has printed so and is as over as any other.
        self.task.await.ok();
    }
}

/// The way of events to the agent.
pub(crate) struct Events {
    sender: mpsc::Sender<ProbeEvent>,
    stop: CancellationToken,
    healing: watch::Receiver<Vec<String>>,
    dropped: u64,
}

impl Events {
    /// Whether the probe is to end: it was told to, or nobody listens.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled() || self.sender.is_closed()
    }

    /// Waits until the probe is to end.
    pub(crate) async fn stopping(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.sender.closed() => {}
        }
    }

    /// Whether the tool is to be started again, healed.
    pub(crate) fn is_healing(&self) -> bool {
        // An error says that the handle is gone, which is the end and no healing.
        self.healing.has_changed().unwrap_or(false)
    }

    /// Waits until the tool is to be started again, healed.
    pub(crate) async fn healing(&self) {
        let mut healing = self.healing.clone();
        if healing.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Hands over an event; waits for a slow agent, but not for ever once the probe is to end.
    pub(crate) async fn emit(&mut self, event: ProbeEvent) {
        let event = match self.sender.try_send(event) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => return,
            Err(mpsc::error::TrySendError::Full(event)) => event,
        };
        if !self.stop.is_cancelled() {
            tokio::select! {
                permit = self.sender.reserve() => {
                    if let Ok(permit) = permit {
                        permit.send(event);
                    }
                    return;
                }
                () = self.stop.cancelled() => {}
            }
        }
        // Having waited in vain once, the rest goes without waiting.
        let patience = if self.dropped == 0 {
            LAST_PATIENCE
        } else {
            Duration::ZERO
        };
        match timeout(patience, self.sender.reserve()).await {
            Ok(Ok(permit)) => permit.send(event),
            Ok(Err(_)) => {}
            Err(_) => self.dropped += 1,
        }
    }

    /// Hands over an event that may be left out.
    pub(crate) fn try_emit(&self, event: ProbeEvent) {
        // Full or closed: it may be left out.
        self.sender.try_send(event).ok();
    }
}

async fn supervise(warm: Warm, mut spec: ProbeSpec, mut events: Events) {
    let mut policy = RestartPolicy::default();
    loop {
        let ended = attempt(&warm, &spec, &mut events).await;
        if events.is_healing() && !events.is_stopping() {
            spec.heal.clone_from(&events.healing.borrow_and_update());
            continue;
        }
        if ended.stillborn && !spec.heal.is_empty() && !events.is_stopping() {
            spec.heal.clear();
            let why = ended
                .failure
                .map(|failure| failure.reason)
                .unwrap_or_default();
            let note = format!("healed it failed ({why}); it is started again as it is");
            events.emit(ProbeEvent::Note(note)).await;
            continue;
        }
        if ended.filter_suspect && !events.is_stopping() {
            spec.filter_map = None;
            let why = ended
                .failure
                .map(|failure| failure.reason)
                .unwrap_or_default();
            let note = format!(
                "with the filter in the kernel it failed ({why}); it is started again without it"
            );
            events.emit(ProbeEvent::Note(note)).await;
            continue;
        }
        let Some(failure) = ended.failure else {
            break;
        };
        let pause = if spec.restart && !events.is_stopping() {
            policy.after(failure.kind, ended.worked)
        } else {
            None
        };
        events
            .emit(ProbeEvent::Failed {
                kind: failure.kind,
                reason: failure.reason,
                said: ended.said,
                remedy: failure.remedy,
                retry_in: pause,
            })
            .await;
        let Some(pause) = pause else {
            return;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = events.stopping() => break,
        }
    }
    if events.dropped > 0 {
        let count = events.dropped;
        events.emit(ProbeEvent::Dropped { count }).await;
    }
    events.emit(ProbeEvent::Stopped).await;
}

/// One process of the tool, or the reason why there is none.
async fn attempt(warm: &Warm, spec: &ProbeSpec, events: &mut Events) -> Ended {
    let failed = |failure| Ended {
        failure: Some(failure),
        said: Vec::new(),
        worked: Duration::ZERO,
        filter_suspect: false,
        stillborn: false,
    };
    let path = match find_tool(&spec.name, &spec.tools_dirs) {
        Ok(path) => path,
        Err(error) => return failed(Failure::no_tool(&error)),
    };
    events
        .emit(ProbeEvent::Starting {
            tool_path: path.clone(),
            argv: spec.argv.clone(),
        })
        .await;
    let tool = ToolRun {
        name: spec.name.clone(),
        path,
        arguments: spec.argv.clone(),
        filter_map: spec.filter_map.clone(),
        page_cnt: spec.page_cnt,
        heal: spec.heal.clone(),
    };
    let (child, ends) = match warm.start(tool).await {
        Ok(started) => started,
        Err(error) => return failed(Failure::not_started(&error.to_string())),
    };
    match Run::new(&spec.name, child, ends) {
        Ok(run) => run.read_to_end(events).await,
        Err(error) => failed(Failure::not_started(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(room: usize) -> (Events, mpsc::Receiver<ProbeEvent>) {
        let (sender, receiver) = mpsc::channel(room);
        let stop = CancellationToken::new();
        (
            Events {
                sender,
                stop,
                healing: watch::channel(Vec::new()).1,
                dropped: 0,
            },
            receiver,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_probe_does_not_wait_for_ever_for_an_agent_that_does_not_read() {
        let (mut events, receiver) = events(1);
        events.emit(ProbeEvent::Stopped).await;
        events.stop.cancel();
        for _ in 0..1000 {
            events.emit(ProbeEvent::Stopped).await;
        }
        assert_eq!(events.dropped, 1000);
        drop(receiver);
        assert!(events.is_stopping());
    }

    #[tokio::test]
    async fn a_slow_agent_loses_nothing() {
        let (mut events, mut receiver) = events(1);
        let sender = tokio::spawn(async move {
            for count in 0..100 {
                events.emit(ProbeEvent::Dropped { count }).await;
            }
        });
        let mut next = 0;
        while let Some(ProbeEvent::Dropped { count }) = receiver.recv().await {
            assert_eq!(count, next);
            next += 1;
            tokio::task::yield_now().await;
        }
        sender.await.expect("the sender");
        assert_eq!(next, 100);
    }
}
