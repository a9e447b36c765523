//! The task between the queue and the server.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::link::{Answer, Link, Nats};
use super::{Batch, Journal, Message};
use crate::ledger::End;

/// Messages that are taken from the queue, and confirmed, at a time.
const BATCH: usize = 256;
/// Batches that may be on their way to the server.
pub(super) const WINDOW: usize = 64;
/// Bytes that are sent again when a server has gone although it had confirmed them, if no hub says what
/// it has read: what the server had not passed on died with it.
const RECENT: usize = 8 << 20;
/// Batches that a hub need not have read. Its own backlog holds many times as many messages, since it
/// may read many agents.
const UNREAD: u64 = 16;
/// How long a hub may read nothing until it counts as gone without a word.
const HUB_GONE: Duration = Duration::from_secs(120);
/// How often it is tried whether somebody listens.
const KNOCK: Duration = Duration::from_millis(100);
/// How long the server may leave a batch without an answer until that counts as an outage, in which
/// the queue is emptied into the backlog instead of holding up the tools.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long nothing may move, once no more comes, before what is left counts as dropped.
const DRAIN: Duration = Duration::from_secs(5);

enum Line {
    Opening(BoxFuture<'static, Box<Link>>),
    Open(Box<Link>),
}

/// What is known of the hub.
#[derive(Clone, Copy)]
enum Hub {
    /// None has said anything, or not for long.
    Never,
    There,
    /// Nobody reads, since then.
    Away(Instant),
}

/// Who has what was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeper {
    /// Whoever reads it now.
    Readers,
    /// A stream, which says so; nobody has to be there.
    Stream,
}

/// The task's state.
pub(super) struct Sender {
    line: Line,
    backlog: Backlog,
    keeper: Keeper,
    /// Batches without an answer, oldest first.
    in_flight: VecDeque<(u64, Arc<Batch>)>,
    /// Batches that the server has confirmed and that no hub is known to have read, oldest first.
    recent: VecDeque<(u64, Arc<Batch>)>,
    recent_size: usize,
    /// The last batch that a hub has read, and when; none while no hub says so.
    read: Option<(u64, Instant)>,
    /// The number of the batch that was sent last.
    number: u64,
    /// Whether a hub has ever said what it has read. Other readers may want a part only, so that what
    /// they do not read is no reason to wait.
    hub: Hub,
    /// Whether the last message that was answered had a reader.
    heard: bool,
    /// The batch whose answer ends the wait for what is still under way, although it was put back.
    settling: Option<u64>,
    /// When the server answered last, or had nothing to answer.
    answered: Instant,
    /// When something was confirmed or read last.
    moved: Instant,
    /// When it may be tried again whether somebody listens.
    knock: Instant,
    /// Whether the server takes nothing from this login.
    refused: bool,
    away_told: bool,
}

/// What happens on the line.
enum Event {
    Opened(Box<Link>),
    Answer(Answer),
}

impl Line {
    async fn next(&mut self) -> Event {
        match self {
            Self::Opening(link) => Event::Opened(link.await),
            Self::Open(link) => Event::Answer(link.answer().await),
        }
    }
}

impl Sender {
    /// A sender that begins to connect when it runs.
    pub(super) fn new(nats: Nats, backlog: Backlog) -> Self {
        Self {
            keeper: if nats.is_durable() {
                Keeper::Stream
            } else {
                Keeper::Readers
            },
            line: Line::Opening(Box::pin(nats.connect())),
            backlog,
            in_flight: VecDeque::new(),
            recent: VecDeque::new(),
            recent_size: 0,
            read: None,
            number: 0,
            hub: Hub::Never,
            heard: false,
            settling: None,
            answered: Instant::now(),
            moved: Instant::now(),
            knock: Instant::now(),
            refused: false,
            away_told: false,
        }
    }

    /// Puts messages behind all that wait.
    pub(super) fn add(&mut self, messages: Vec<Message>) {
        self.backlog.add(messages);
    }

    /// Sends until the queue is closed and empty; gives whether nothing was left then.
    pub(super) async fn run(
        mut self,
        mut queue: mpsc::Receiver<Message>,
        give_up: CancellationToken,
    ) -> (Self, bool) {
        let mut fresh = Vec::with_capacity(BATCH);
        let mut open = true;
        loop {
            self.dispatch();
            if !open && self.is_done() {
                return (self, true);
            }
            let room = self.is_away() || self.backlog.has_room();
            let wake = self.wake();
            tokio::select! {
                biased;
                () = give_up.cancelled() => {
                    self.abandon();
                    return (self, false);
                }
                () = sleep_until(self.moved + DRAIN), if !open => {
                    self.abandon();
                    return (self, false);
                }
                event = self.line.next() => self.enter(event),
                count = queue.recv_many(&mut fresh, BATCH), if open && room => {
                    if count == 0 {
                        open = false;
                        self.moved = Instant::now();
                    } else {
                        self.add(std::mem::take(&mut fresh));
                    }
                }
                () = sleep_until(wake.unwrap_or(self.answered)), if wake.is_some() => {}
            }
        }
    }

    /// Sends what may be sent now. While nobody is known to listen, that is one message: who comes
    /// in the middle of a batch would get its end before its beginning.
    fn dispatch(&mut self) {
        if !matches!(self.line, Line::Open(_)) {
            return;
        }
        let window = if self.heard { WINDOW } else { 1 };
        while self.in_flight.len() < window && self.settling.is_none() && !self.is_unread() {
            let next = if self.heard {
                self.backlog.pop()
            } else if Instant::now() < self.knock {
                return;
            } else {
                self.backlog.pop_one()
            };
            let Some(batch) = next else {
                return;
            };
            if self.in_flight.is_empty() {
                self.answered = Instant::now();
            }
            self.number += 1;
            if let Line::Open(link) = &mut self.line {
                link.send(self.number, &batch);
            }
            self.in_flight.push_back((self.number, batch));
        }
    }

    /// Whether everything has arrived, as far as anybody says so.
    fn is_done(&self) -> bool {
        let read = self.read.is_none() || self.recent.is_empty();
        self.in_flight.is_empty() && self.backlog.is_empty() && read
    }

    /// Whether a hub has to read before more may be sent.
    fn is_unread(&self) -> bool {
        self.read
            .is_some_and(|(number, at)| self.number >= number + UNREAD && at.elapsed() < HUB_GONE)
    }

    /// Whether nothing can be expected to go out soon.
    fn is_away(&self) -> bool {
        let stalled = !self.in_flight.is_empty() && self.answered.elapsed() >= PATIENCE;
        let unread = self.is_unread() && self.read.is_some_and(|(_, at)| at.elapsed() >= PATIENCE);
        matches!(self.line, Line::Opening(_)) || !self.heard || stalled || unread
    }

    /// When to look again, if nothing happens before.
    fn wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let stall = (!self.in_flight.is_empty()).then_some(self.answered + PATIENCE);
        let knock = (self.in_flight.is_empty() && !self.backlog.is_empty()).then_some(self.knock);
        let unread = self.read.filter(|_| self.is_unread());
        let unread = unread.map(|(_, at)| [at + PATIENCE, at + HUB_GONE]);
        let times = stall.into_iter().chain(knock);
        times
            .chain(unread.into_iter().flatten())
            .filter(|at| *at > now)
            .min()
    }

    fn enter(&mut self, event: Event) {
        match event {
            Event::Opened(link) => {
                self.line = Line::Open(link);
                self.knock = Instant::now();
            }
            Event::Answer(Answer::Taken(number)) => self.taken(number),
            Event::Answer(Answer::Passed(number)) => self.settle(number),
            Event::Answer(Answer::Read(number)) => self.read(number),
            Event::Answer(Answer::Unheard(number)) => match self.keeper {
                Keeper::Readers => self.unheard(number),
                Keeper::Stream => self.without_stream(number),
            },
            Event::Answer(Answer::Unkept(number, reason)) => self.unkept(number, &reason),
            Event::Answer(Answer::Refused) => {
                tracing::error!(
                    "NATS refuses what this login publishes; it is dropped: give it the right to publish to xtracer.v1.>"
                );
                self.refused = true;
            }
            Event::Answer(Answer::Gone) => {
                tracing::warn!("lost the connection to NATS; what it has not confirmed is kept");
                self.reopen(std::convert::identity);
            }
        }
    }

    /// Ends the wait for what is still under way, if that was waited for.
    fn settle(&mut self, number: u64) {
        if self.settling.is_some_and(|last| last <= number) {
            self.settling = None;
            self.knock = Instant::now() + KNOCK;
        }
    }

    fn taken(&mut self, number: u64) {
        self.answered = Instant::now();
        self.settle(number);
        let end = if self.refused {
            End::Dropped
        } else {
            End::Published
        };
        while self
            .in_flight
            .front()
            .is_some_and(|(sent, _)| *sent <= number)
        {
            self.moved = self.answered;
            if let Some((number, batch)) = self.in_flight.pop_front() {
                self.remember(number, &batch);
                batch.ended(end);
            }
            if !self.heard {
                self.heard = true;
                self.tell_back();
            }
        }
    }

    /// Nobody has read a part of a batch. Those after it may have found a reader; they are sent again
    /// all the same, to keep the order.
    fn unheard(&mut self, number: u64) {
        self.hub = match self.hub {
            Hub::There => Hub::Away(Instant::now()),
            Hub::Away(since) if since.elapsed() >= HUB_GONE => Hub::Never,
            hub => hub,
        };
        let hub = !matches!(self.hub, Hub::Never);
        if hub && self.is_in_flight(number) {
            self.call_back();
            if self.read.is_some() {
                self.put_back_recent();
            }
            if !self.away_told {
                self.away_told = true;
                tracing::info!("nobody listens; records are kept until somebody does");
            }
        }
    }

    /// The stream does not keep what it should: it is full and may not drop, or its disk is.
    fn unkept(&mut self, number: u64, reason: &str) {
        if self.is_in_flight(number) {
            self.call_back();
            if !self.away_told {
                self.away_told = true;
                tracing::warn!("the stream does not keep records: {reason}; they wait here");
            }
        }
    }

    /// There is no stream; the next connection makes one.
    fn without_stream(&mut self, number: u64) {
        if self.is_in_flight(number) {
            self.reopen(Nats::make_stream);
        }
    }

    fn is_in_flight(&self, number: u64) -> bool {
        self.in_flight.iter().any(|(sent, _)| *sent == number)
    }

    /// Puts back what is under way, and waits until none of it is any more.
    fn call_back(&mut self) {
        if let Line::Open(link) = &mut self.line {
            link.skip(self.number);
        }
        self.settling = Some(self.number);
        self.put_back();
    }

    /// Leaves the connection for another one.
    fn reopen(&mut self, change: impl FnOnce(Nats) -> Nats) {
        self.put_back();
        self.put_back_recent();
        self.settling = None;
        self.refused = false;
        if let Line::Open(link) = &self.line {
            self.line = Line::Opening(Box::pin(change(link.nats.clone()).connect()));
        }
    }

    fn put_back(&mut self) {
        self.heard = false;
        while let Some((_, batch)) = self.in_flight.pop_back() {
            self.backlog.put_back(batch);
        }
    }

    fn remember(&mut self, number: u64, batch: &Arc<Batch>) {
        // A stream does not forget when its server ends.
        if self.keeper == Keeper::Stream || self.read.is_some_and(|(read, _)| number <= read) {
            return self.backlog.ended(batch);
        }
        self.recent_size += batch.size();
        self.recent.push_back((number, Arc::clone(batch)));
        while self.recent_size > RECENT && self.read.is_none() {
            self.forget_oldest();
        }
    }

    fn read(&mut self, number: u64) {
        // An answer to what was put back says nothing of what was sent instead.
        if self.read.is_some_and(|(read, _)| number <= read) || number > self.number {
            return;
        }
        self.moved = Instant::now();
        self.read = Some((number, self.moved));
        self.hub = Hub::There;
        while self.recent.front().is_some_and(|(sent, _)| *sent <= number) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, oldest)) = self.recent.pop_front() {
            self.recent_size -= oldest.size();
            self.backlog.ended(&oldest);
        }
    }

    fn put_back_recent(&mut self) {
        while let Some((_, batch)) = self.recent.pop_back() {
            self.backlog.put_back(batch);
        }
        self.recent_size = 0;
        self.read = None;
    }

    fn tell_back(&mut self) {
        self.away_told = false;
        let dropped = self.backlog.dropped();
        if dropped > 0 {
            tracing::warn!("{dropped} messages, the oldest, were dropped: the spool was full");
        }
    }

    /// Gives the journal up, if there is one, with all that is left.
    pub(super) fn into_journal(self) -> Option<Journal> {
        self.backlog.into_journal()
    }

    /// Whether what is left is there for an agent that comes later.
    pub(super) fn has_journal(&self) -> bool {
        self.backlog.has_journal()
    }

    /// Counts everything that is left. What is in flight may have arrived, but nobody says so.
    fn abandon(&mut self) {
        if self.has_journal() {
            tracing::warn!("what NATS has not taken stays in the journal, for the next agent");
            return;
        }
        self.put_back();
        let mut left = 0;
        while let Some(batch) = self.backlog.pop() {
            batch.ended(End::Dropped);
            left += batch.messages.len();
        }
        tracing::warn!(
            "{left} messages were not taken by NATS, or by nobody there, and are dropped"
        );
    }
}
