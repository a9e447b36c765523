//! The receiving task. It decodes and counts; the writing is done elsewhere, so that a slow
//! terminal fills a bounded channel here instead of the server's buffers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::Subscriber;
use futures_util::StreamExt;
use probeparser::Probe;
use probeparser::wire::{Envelope, Status};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Answerer;
use super::admit::{Message, Refusal, admit};
use super::kept::{Kept, KeptReader, Mark};
use super::order::{Place, Start};
use super::tally::Tally;
use crate::show::Line;

/// News that may wait for the session.
const NEWS: usize = 256;

/// What the session hears of, besides the records themselves.
#[derive(Debug)]
pub(crate) enum News {
    /// A status message. Records that its agent published before it have gone to the writer.
    Status(Box<Status>),
    /// Something that should be known.
    Note(String),
    /// Records are missing before this one; of gaps that follow while nobody listens only the sum is
    /// told.
    Gap {
        /// The node and the probe.
        stream: String,
        /// How many.
        missing: u64,
        /// The number of the record after them.
        before: u64,
    },
    /// A message that is not shown, and why; those that follow while nobody listens are only
    /// counted.
    Refused {
        /// Where it came from.
        subject: String,
        /// What is wrong with it.
        refusal: Refusal,
    },
}

/// Where messages come from.
pub(crate) enum Source {
    /// From their publishers, as they come.
    Live(Subscriber),
    /// From a stream that has kept them.
    Kept(Box<KeptReader>),
}

impl Source {
    /// Whether every message that reaches this machine is one of these.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self, Self::Live(_))
    }
}

/// What to receive.
pub(crate) struct Take {
    /// Where from.
    pub source: Source,
    /// What tells the agents that they were read.
    pub answerer: Answerer,
    /// Which probes' records to show.
    pub probes: Vec<Probe>,
    /// Where the numberings begin.
    pub start: Start,
    /// Where the records go.
    pub lines: mpsc::Sender<Line>,
}

/// The receiving task, seen from the session.
pub(crate) struct Feed {
    news: mpsc::Receiver<News>,
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Feed {
    /// Starts receiving.
    #[must_use]
    pub(crate) fn start(take: Take) -> Self {
        let (sender, news) = mpsc::channel(NEWS);
        let tally = Arc::new(Mutex::new(Tally::new(take.start)));
        let stop = CancellationToken::new();
        let task = tokio::spawn(receive(take, sender, Arc::clone(&tally), stop.clone()));
        Self {
            news,
            tally,
            stop,
            task,
        }
    }

    /// The next news; `None` once the subscription has ended.
    pub(crate) async fn news(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// What came so far. Not to be held across an await.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    /// Takes what has arrived, and no more; the writer ends when it has written that. It waits as
    /// long as the writer does.
    pub(crate) async fn stop(mut self) -> Arc<Mutex<Tally>> {
        self.stop.cancel();
        self.news.close();
        // A panic of the task has been reported by its thread; what it counted still stands.
        drop(self.task.await);
        self.tally
    }
}

/// The counters are plain numbers, so a panic while they were locked leaves nothing half done.
pub(crate) fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn receive(
    take: Take,
    news: mpsc::Sender<News>,
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
) {
    let Take {
        source,
        answerer,
        probes,
        lines,
        ..
    } = take;
    let taker = Taker {
        answerer,
        probes,
        lines,
        news,
        tally,
    };
    match source {
        Source::Live(subscriber) => receive_live(subscriber, &taker, stop).await,
        Source::Kept(reader) => receive_kept(*reader, &taker, stop).await,
    }
}

async fn receive_live(mut subscriber: Subscriber, taker: &Taker, stop: CancellationToken) {
    loop {
        let message = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            message = subscriber.next() => message,
        };
        match message {
            Some(message) => taker.pass_on(message, None).await,
            None => return,
        }
    }
    // The subscription then ends after what has arrived.
    drop(subscriber.unsubscribe().await);
    while let Some(message) = subscriber.next().await {
        taker.pass_on(message, None).await;
    }
}

/// What was not read when it ends is still kept.
async fn receive_kept(mut reader: KeptReader, taker: &Taker, stop: CancellationToken) {
    loop {
        let kept = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            kept = reader.next() => kept,
        };
        match kept {
            Some(Kept::Message(message, mark)) => taker.pass_on(*message, Some(mark)).await,
            Some(Kept::Note(note)) => drop(taker.news.send(News::Note(note)).await),
            None => return,
        }
    }
}

/// Those who take what was received.
struct Taker {
    answerer: Answerer,
    probes: Vec<Probe>,
    lines: mpsc::Sender<Line>,
    news: mpsc::Sender<News>,
    tally: Arc<Mutex<Tally>>,
}

impl Taker {
    async fn pass_on(&self, message: async_nats::Message, mark: Option<Mark>) {
        let Self { news, tally, .. } = self;
        lock(tally).polled += 1;
        let admitted = admit(&message.subject, &message.payload).and_then(|admitted| {
            Ok(match admitted {
                Message::Status(status) => Taken::Status(status),
                Message::Record(envelope) => match lock(tally).take(&envelope)? {
                    Place::Repeat => Taken::Repeat,
                    Place::After(missing) => Taken::Record(envelope, missing),
                    _ => Taken::Record(envelope, 0),
                },
            })
        });
        let mut line = mark.map(Line::Passed);
        match admitted {
            Ok(Taken::Record(envelope, missing)) => {
                let probe = envelope.record.probe();
                if missing > 0 {
                    let stream = format!("{}: {probe}", envelope.node);
                    let before = envelope.seq;
                    drop(news.try_send(News::Gap {
                        stream,
                        missing,
                        before,
                    }));
                }
                if self.probes.contains(&probe) {
                    line = Some(Line::Record(envelope, mark));
                }
            }
            Ok(Taken::Repeat) => {}
            Ok(Taken::Status(status)) => drop(news.send(News::Status(status)).await),
            Err(refusal) => {
                lock(tally).refused += 1;
                let subject = message.subject.to_string();
                drop(news.try_send(News::Refused { subject, refusal }));
            }
        }
        if let Some(line) = line {
            // When the writer or the session is gone, they have said why.
            drop(self.lines.send(line).await);
        }
        lock(tally).passed += 1;
        self.answerer.answer(&message).await;
    }
}

enum Taken {
    /// With the number of those missing before it.
    Record(Box<Envelope<'static>>, u64),
    Repeat,
    Status(Box<Status>),
}
