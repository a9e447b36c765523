//! One process of a tool, from its start to its end, as events.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::ProbeEvent;
use super::control::Exit;
use super::failure::{Failure, FailureKind};
use super::frame::{Decoder, Frame, FrameError, Outcome};
use super::postmortem::Postmortem;
use super::rights::Rights;
use super::said::{SaidPipe, Tail};
use super::skipped::Skipped;
use super::supervisor::Events;
use super::warm::{Child, Ends};

/// How long a tool may take to end once it is told to, before it is killed. One that compiles is deaf:
/// LLVM returns to Python only when it is done.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// How often the kernel is asked what it skipped, besides the end.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How long its pipes are read after its death: a grandchild (modprobe, tar) may still hold them.
const PIPE_GRACE: Duration = Duration::from_millis(500);

/// What one process came to.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: it ended as it should, or as we wished.
    pub(crate) failure: Option<Failure>,
    pub(crate) said: Vec<String>,
    /// It had been attached for so long.
    pub(crate) worked: Duration,
    /// It held the in-kernel filter and failed before it was attached.
    pub(crate) filter_suspect: bool,
    /// It failed before it was attached.
    pub(crate) stillborn: bool,
}

/// A process that is being read.
pub(crate) struct Run<'a> {
    name: &'a str,
    child: Child,
    frames: Option<UnixStream>,
    decoder: Decoder,
    out: SaidPipe,
    err: SaidPipe,
    exited: oneshot::Receiver<Exit>,
    exit: Option<Exit>,
    outcome: Option<Outcome>,
    tail: Tail,
    filtering: bool,
    skipped: Skipped,
    attached: Option<Instant>,
    /// We want it to end; at this moment it is killed.
    deadline: Option<Instant>,
}

impl<'a> Run<'a> {
    /// Takes over a process that has just been started.
    ///
    /// # Errors
    /// The runtime cannot watch its descriptors.
    pub(crate) fn new(name: &'a str, child: Child, ends: Ends) -> std::io::Result<Self> {
        ends.frames.set_nonblocking(true)?;
        Ok(Self {
            name,
            child,
            frames: Some(UnixStream::from_std(ends.frames)?),
            decoder: Decoder::default(),
            out: SaidPipe::new(ends.out)?,
            err: SaidPipe::new(ends.err)?,
            exited: ends.exited,
            exit: None,
            outcome: None,
            tail: Tail::default(),
            filtering: false,
            skipped: Skipped::of(ends.pid),
            attached: None,
            deadline: None,
        })
    }

    /// Reads until the process is over and all that it said is read. When `events` are told to stop, or
    /// nobody takes them any more, or it is to be healed, the tool is asked to end, and killed if it does not.
    pub(crate) async fn read_to_end(mut self, events: &mut Events) -> Ended {
        let mut over = false;
        let mut ask = interval_at(Instant::now() + ASK_EVERY, ASK_EVERY);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !over || self.frames.is_some() {
            if (events.is_stopping() || events.is_healing()) && self.deadline.is_none() {
                // Its programs go with it, and their counts.
                let skipped = self.skipped.news();
                self.child.signal(Signal::SIGTERM);
                tell(skipped, events).await;
                self.deadline = Some(Instant::now() + STOP_GRACE);
            }
            let (waits_for_stop, deadline) = (self.deadline.is_none(), self.deadline);
            tokio::select! {
                frames = read(&mut self.frames, &mut self.decoder), if self.frames.is_some() => match frames {
                    Ok(()) => self.take_frames(events).await,
                    Err(()) => self.frames = None,
                },
                lines = self.out.read(), if self.out.is_open() => self.hear(lines, events),
                lines = self.err.read(), if self.err.is_open() => self.hear(lines, events),
                exit = &mut self.exited, if !over => {
                    over = true;
                    self.exit = exit.ok();
                }
                _ = ask.tick(), if waits_for_stop && !over => tell(self.skipped.news(), events).await,
                () = events.stopping(), if waits_for_stop => {}
                () = events.healing(), if waits_for_stop => {}
                () = at(deadline), if deadline.is_some() && !over => {
                    self.child.signal(Signal::SIGKILL);
                    self.deadline = Some(Instant::now() + STOP_GRACE);
                }
            }
        }
        // Short of a grandchild that holds them, the pipes end with the process.
        timeout(PIPE_GRACE, self.last_words(events)).await.ok();
        self.conclude()
    }

    async fn last_words(&mut self, events: &Events) {
        while self.err.is_open() {
            let lines = self.err.read().await;
            self.hear(lines, events);
        }
        while self.out.is_open() {
            let lines = self.out.read().await;
            self.hear(lines, events);
        }
    }

    fn hear(&mut self, lines: Vec<String>, events: &Events) {
        for line in lines {
            self.tail.push(line.clone());
            events.try_emit(ProbeEvent::Said(line));
        }
    }

    async fn take_frames(&mut self, events: &mut Events) {
        loop {
            let event = match self.decoder.next() {
                Ok(None) => return,
                Ok(Some(Frame::Line {
                    bytes,
                    in_callback,
                    cut,
                })) => {
                    // A tool that fails before it traces may have said why on its standard output.
                    if self.attached.is_none() && !in_callback {
                        self.tail.push(String::from_utf8_lossy(bytes).into_owned());
                    }
                    ProbeEvent::Line {
                        bytes: bytes.to_vec(),
                        in_callback,
                        cut,
                    }
                }
                Ok(Some(Frame::Attached { after_us, loaded })) => {
                    self.attached = Some(Instant::now());
                    ProbeEvent::Attached {
                        took: Duration::from_micros(after_us),
                        loaded,
                    }
                }
                Ok(Some(Frame::Lost { buffer, count })) => ProbeEvent::Lost { buffer, count },
                Ok(Some(Frame::Dropped { count })) => ProbeEvent::Dropped { count },
                Ok(Some(Frame::Note(text))) => ProbeEvent::Note(text),
                Ok(Some(Frame::Healable(dead))) => ProbeEvent::Healable(dead),
                Ok(Some(Frame::Healed(reason))) => ProbeEvent::Healed(reason),
                Ok(Some(Frame::Filtering)) => {
                    self.filtering = true;
                    continue;
                }
                Ok(Some(Frame::Outcome(outcome))) => {
                    self.outcome = Some(outcome);
                    continue;
                }
                Err(error) => return self.give_up(&error),
            };
            events.emit(event).await;
        }
    }

    /// What it sends is no frame: nothing more can be read from it.
    fn give_up(&mut self, error: &FrameError) {
        self.tail.push(format!(
            "x-agent: the tool's process broke the protocol: {error}"
        ));
        self.frames = None;
        self.child.signal(Signal::SIGKILL);
    }

    fn conclude(self) -> Ended {
        let said = self.tail.into_lines();
        let failure = Postmortem {
            outcome: self.outcome.as_ref(),
            exit: self.exit,
            attached: self.attached.is_some(),
            stopped: self.deadline.is_some(),
            said: &said,
            tool: self.name,
            rights: Rights::of_this_process,
        }
        .failure();
        let of_filter = |failure: &Failure| {
            matches!(
                failure.kind,
                FailureKind::Compile
                    | FailureKind::Headers
                    | FailureKind::Refused
                    | FailureKind::CannotAttach
            )
        };
        Ended {
            filter_suspect: self.filtering
                && self.attached.is_none()
                && failure.as_ref().is_some_and(of_filter),
            stillborn: self.attached.is_none() && failure.is_some(),
            failure,
            said,
            worked: self
                .attached
                .map_or(Duration::ZERO, |since| since.elapsed()),
        }
    }
}

/// Reads what is there; an error means that nothing will come any more. Cancel-safe.
async fn read(frames: &mut Option<UnixStream>, decoder: &mut Decoder) -> Result<(), ()> {
    let Some(stream) = frames else {
        return Err(());
    };
    match stream.read_buf(decoder.room()).await {
        Ok(count) if count > 0 => Ok(()),
        _ => Err(()),
    }
}

async fn tell(skipped: u64, events: &mut Events) {
    if skipped > 0 {
        events.emit(ProbeEvent::Skipped { count: skipped }).await;
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
