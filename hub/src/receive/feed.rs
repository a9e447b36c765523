//! The receiving task. It decodes, counts and makes lines; the writing is done elsewhere, so that a
//! slow terminal fills a bounded channel here instead of the server's buffers.
//!
//! Lines of messages that have come together go to the writer together: to wake it for each would
//! cost more than the line.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::Subscriber;
use futures_util::{FutureExt, StreamExt};
use probeparser::Probe;
use probeparser::wire::Status;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Answerer;
use super::admit::{Gate, Message, Refusal};
use super::kept::{Kept, KeptReader, Mark};
use super::order::{Place, Start};
use super::tally::{DROPPED, Tally};
use crate::show::{Form, Lines};

/// News that may wait for the session.
const NEWS: usize = 256;
/// Bytes of lines that are handed to the writer together.
const PORTION: usize = 64 << 10;

/// What the session hears of, besides the records themselves.
#[derive(Debug)]
pub(crate) enum News {
    /// A status message. Records that its agent published before it have gone to the writer.
    Status(Box<Status>),
    /// Something that should be known.
    Note(String),
    /// As many records as were asked for have gone to the writer.
    Enough,
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
    /// How their lines look.
    pub form: Form,
    /// How many of them there may be.
    pub max_entries: Option<u64>,
    /// Where the lines go.
    pub lines: mpsc::Sender<Lines>,
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
    let taker = Taker {
        answerer: take.answerer,
        probes: take.probes,
        form: take.form,
        left: take.max_entries,
        lines: take.lines,
        gate: Gate::default(),
        text: Vec::new(),
        mark: None,
        news,
        tally,
    };
    match take.source {
        Source::Live(subscriber) => receive_live(subscriber, taker, stop).await,
        Source::Kept(reader) => receive_kept(*reader, taker, stop).await,
    }
}

async fn receive_live(mut subscriber: Subscriber, mut taker: Taker, stop: CancellationToken) {
    loop {
        let message = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            message = subscriber.next() => message,
        };
        match message {
            Some(message) => taker.all_here(message, &mut subscriber).await,
            None => return,
        }
    }
    // The subscription then ends after what has arrived.
    drop(subscriber.unsubscribe().await);
    while let Some(message) = subscriber.next().await {
        taker.all_here(message, &mut subscriber).await;
    }
}

/// What was not read when it ends is still kept.
async fn receive_kept(mut reader: KeptReader, mut taker: Taker, stop: CancellationToken) {
    loop {
        let kept = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            kept = reader.next() => kept,
        };
        match kept {
            Some(Kept::Message(message, mark)) => {
                // What comes after the last record that was asked for is for who goes on there.
                let over = taker.left == Some(0);
                // Who looks at the past is no reason to trace on.
                if reader.is_endless() {
                    taker.answerer.greet(&message.subject).await;
                }
                taker.pass_on(*message).await;
                if !over {
                    taker.mark = Some(mark);
                }
                taker.hand_over().await;
            }
            Some(Kept::Dropped(count)) => taker.miss(count).await,
            Some(Kept::Note(note)) => drop(taker.news.send(News::Note(note)).await),
            None => return,
        }
    }
}

/// Takes what was received: makes lines for the writer and news for the session.
struct Taker {
    answerer: Answerer,
    probes: Vec<Probe>,
    form: Form,
    /// Records that may still be shown, if that is limited.
    left: Option<u64>,
    lines: mpsc::Sender<Lines>,
    gate: Gate,
    /// Lines that the writer does not have yet.
    text: Vec<u8>,
    /// The point of the stream behind them, if that is news.
    mark: Option<Mark>,
    news: mpsc::Sender<News>,
    tally: Arc<Mutex<Tally>>,
}

impl Taker {
    /// Passes on a message and those that are here already.
    async fn all_here(&mut self, first: async_nats::Message, others: &mut Subscriber) {
        self.pass_on(first).await;
        while self.text.len() < PORTION
            && let Some(Some(message)) = others.next().now_or_never()
        {
            self.pass_on(message).await;
        }
        self.hand_over().await;
    }

    async fn pass_on(&mut self, message: async_nats::Message) {
        match self.take(&message) {
            Ok(None) => {}
            Ok(Some(news)) => {
                self.hand_over().await;
                // When the session is gone, it has said why.
                drop(self.news.send(news).await);
            }
            Err(refusal) => {
                lock(&self.tally).refused += 1;
                let subject = message.subject.to_string();
                drop(self.news.try_send(News::Refused { subject, refusal }));
            }
        }
        if Answerer::is_asked(&message) {
            self.hand_over().await;
            self.answerer.answer(&message).await;
        }
    }

    /// Counts messages that no number will tell of: their numberings begin behind them.
    async fn miss(&self, dropped: u64) {
        lock(&self.tally).dropped += dropped;
        let note = format!("{dropped} messages {DROPPED}");
        drop(self.news.send(News::Note(note)).await);
    }

    /// Makes a record's line, and gives what the session must hear of the message.
    fn take(&mut self, message: &async_nats::Message) -> Result<Option<News>, Refusal> {
        lock(&self.tally).polled += 1;
        let envelope = match self.gate.admit(&message.subject, &message.payload)? {
            Message::Record(envelope) => envelope,
            Message::Status(status) => return Ok(Some(News::Status(status))),
        };
        let probe = envelope.record.probe();
        let place = lock(&self.tally).take(&envelope)?;
        match place {
            Place::Repeat => return Ok(None),
            Place::After(missing) => {
                let stream = format!("{}: {probe}", envelope.node);
                let before = envelope.seq;
                drop(self.news.try_send(News::Gap {
                    stream,
                    missing,
                    before,
                }));
            }
            Place::Next | Place::Late | Place::Anew(_) => {}
        }
        if !self.probes.contains(&probe) {
            return Ok(None);
        }
        if self.left == Some(0) {
            lock(&self.tally).pass_over();
            return Ok(None);
        }
        self.form.line(&mut self.text, &envelope);
        self.left = self.left.map(|left| left - 1);
        Ok((self.left == Some(0)).then_some(News::Enough))
    }

    /// Gives the writer the lines that there are.
    async fn hand_over(&mut self) {
        let mark = self.mark.take();
        if mark.is_some() || !self.text.is_empty() {
            let room = Vec::with_capacity(self.text.len());
            let text = std::mem::replace(&mut self.text, room);
            // When the writer is gone, it has said why.
            drop(self.lines.send(Lines { text, mark }).await);
        }
        lock(&self.tally).all_passed();
    }
}
