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
use super::order::{Place, Start};
use super::tally::Tally;

/// News that may wait for the session.
const NEWS: usize = 256;

/// What the session hears of, besides the records themselves.
#[derive(Debug)]
pub(crate) enum News {
    /// A status message. Records that its agent published before it have gone to the writer.
    Status(Box<Status>),
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

/// What to receive.
pub(crate) struct Take {
    /// Where from.
    pub subscriber: Subscriber,
    /// What tells the agents that they were read.
    pub answerer: Answerer,
    /// Which probes' records to show.
    pub probes: Vec<Probe>,
    /// Where the numberings begin.
    pub start: Start,
    /// Where the records go.
    pub lines: mpsc::Sender<Box<Envelope<'static>>>,
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
    mut take: Take,
    news: mpsc::Sender<News>,
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
) {
    loop {
        let message = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            message = take.subscriber.next() => message,
        };
        match message {
            Some(message) => pass_on(message, &take, &news, &tally).await,
            None => return,
        }
    }
    // The subscription then ends after what has arrived.
    drop(take.subscriber.unsubscribe().await);
    while let Some(message) = take.subscriber.next().await {
        pass_on(message, &take, &news, &tally).await;
    }
}

async fn pass_on(
    message: async_nats::Message,
    take: &Take,
    news: &mpsc::Sender<News>,
    tally: &Mutex<Tally>,
) {
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
            // When the writer or the session is gone, they have said why.
            if take.probes.contains(&probe) {
                drop(take.lines.send(envelope).await);
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
    lock(tally).passed += 1;
    take.answerer.answer(&message).await;
}

enum Taken {
    /// With the number of those missing before it.
    Record(Box<Envelope<'static>>, u64),
    Repeat,
    Status(Box<Status>),
}
