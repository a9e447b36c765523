//! **Wiring**: from a subscription to lines, until something ends it, then the account.

mod board;
mod ending;
mod own;
mod reach;
mod summary;
mod tell;

use std::time::Duration;

use anyhow::anyhow;
use async_nats::Subscriber;
use jiff::Timestamp;
use probeparser::Probe;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::console::{mention, say};
use crate::exit::{Exit, Failure};
use crate::receive::{Change, Connection, Feed, Mark, News, Source, Start, Take, lock};
use crate::show::{Bookmark, Closed, Form, Format, Lines, Writer};
use crate::stop::{self, Signals};
use board::Board;
use ending::Ending;
pub(crate) use own::{Agents, Own, Turn};
pub(crate) use reach::Unreachable;
use reach::{Reach, Step};
use summary::summary;
use tell::{Told, tell, tell_held_up};

/// How long nothing may arrive, once the agent has ended, before its last words count as lost.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a reader may keep the end waiting without being told of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the user wants it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Which probes' records to show.
    pub probes: Vec<Probe>,
    /// The form of a line.
    pub format: Format,
    /// Whether the probes' names are coloured.
    pub painted: bool,
    /// Whether a form that has a line above all records begins with it.
    pub headers: bool,
    /// After how many records to end.
    pub max_entries: Option<u64>,
    /// When to end.
    pub timeout: Option<Duration>,
    /// Whether a loss is a failure.
    pub strict: bool,
}

/// What to show.
pub(crate) struct Reading {
    /// The connection to the server.
    pub connection: Connection,
    /// Where the records come from.
    pub source: Source,
    /// What holds how far was shown, if somebody may go on there.
    pub bookmark: Option<Bookmark>,
}

impl Reading {
    /// What is published from now on.
    pub(crate) fn live(connection: Connection, subscriber: Subscriber) -> Self {
        Self {
            connection,
            source: Source::Live(subscriber),
            bookmark: None,
        }
    }

    /// Whether somebody has shown the beginning.
    fn goes_on(&self) -> bool {
        let mark = self.bookmark.as_ref().map(Bookmark::mark);
        mark.is_some_and(|mark| mark != Mark::default())
    }
}

/// Shows what comes until something ends it; gives the exit status.
///
/// # Errors
/// When the session breaks instead of ending.
pub(crate) async fn run(
    reading: Reading,
    own: Option<Own>,
    settings: Settings,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let mut session = Session::start(reading, own, &settings)?;
    let ending = session.until_end(signals, settings.timeout).await;
    let behind = session.own.as_ref().map(Own::behind).unwrap_or_default();
    tokio::select! {
        exit = session.finish(ending, settings.strict) => exit,
        () = signals.next() => Err(anyhow!("left at once, asked a second time{behind}").into()),
    }
}

struct Session {
    connection: Connection,
    feed: Feed,
    writer: Writer,
    /// Whether the writer has written everything there is.
    written: bool,
    /// Whether every message that reaches this machine is to be looked at.
    live: bool,
    board: Board,
    own: Option<Own>,
    reach: Option<Reach>,
    told: Told,
    held_up_told: bool,
    missing_told: u64,
    /// How the first of those failed that the others go on without.
    failed: Option<Exit>,
}

impl Session {
    fn start(reading: Reading, own: Option<Own>, settings: &Settings) -> Result<Self, Failure> {
        let goes_on = reading.goes_on();
        let Reading {
            connection,
            source,
            bookmark,
        } = reading;
        let stdout = std::io::stdout();
        let terminal = std::io::IsTerminal::is_terminal(&stdout);
        let (writer, lines) = Writer::start(stdout, bookmark)
            .map_err(|error| anyhow!("cannot start the writing thread: {error}"))?;
        let live = source.is_live();
        let form = Form {
            format: settings.format,
            terminal,
            painted: settings.painted,
        };
        if let Some(text) = form.header().filter(|_| settings.headers && !goes_on) {
            // It is the first of what there is room for.
            drop(lines.try_send(Lines { text, mark: None }));
        }
        let feed = Feed::start(Take {
            source,
            answerer: connection.answerer(),
            probes: settings.probes.clone(),
            start: if own.is_some() && !goes_on {
                Start::AtOne
            } else {
                Start::Anywhere
            },
            form,
            max_entries: settings.max_entries,
            lines,
        });
        let crew = own.as_ref().map(|own| own.crew(&settings.probes));
        let mut board = Board::new(crew);
        if own.is_some() && goes_on {
            // What an agent before ours said is no word of ours.
            board.begin(format!("{:.9}", Timestamp::now()));
        }
        Ok(Self {
            connection,
            feed,
            writer,
            written: false,
            live,
            board,
            reach: own.as_ref().map(Own::reach),
            failed: own.as_ref().and_then(|own| own.failed),
            own,
            told: Told::default(),
            held_up_told: false,
            missing_told: 0,
        })
    }

    async fn until_end(&mut self, signals: &mut Signals, limit: Option<Duration>) -> Ending {
        let time_over = stop::time_over(limit);
        let reader_gone = stop::reader_gone();
        tokio::pin!(time_over, reader_gone);
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut away = false;
        loop {
            tokio::select! {
                () = signals.next() => return Ending::Asked,
                () = &mut time_over => return Ending::TimeOver,
                () = &mut reader_gone => return Ending::ReaderGone,
                closed = self.writer.closed(), if !self.written => match closed {
                    Closed::ByReader => return Ending::ReaderGone,
                    Closed::Failed(error) => return Ending::WriterFailed(error),
                    // The source has ended; the last news say so.
                    Closed::Done => self.written = true,
                },
                news = self.feed.news() => match news {
                    Some(News::Enough) => return Ending::Enough,
                    Some(news) => {
                        tell(news, &mut self.board, &mut self.told);
                        if self.board.is_spent() {
                            return Ending::ProbesOver;
                        }
                    }
                    None if self.live => return Ending::ConnectionClosed,
                    None => return Ending::PastOver,
                },
                change = self.connection.change() => match change {
                    Change::Gone => {
                        away = true;
                        let address = self.connection.address();
                        say(format!("lost the connection to {address}; trying again"));
                    }
                    Change::Back if away => {
                        if let Err(error) = self.connection.resume().await {
                            return Ending::Refused(error);
                        }
                        away = false;
                        say(format!("connected to {} again", self.connection.address()));
                    }
                    Change::Back => {}
                    Change::Said(words) => say(format!("{}: {words}", self.connection.address())),
                    Change::Refused(error) => return Ending::Refused(error),
                    Change::Closed => return Ending::ConnectionClosed,
                },
                turn = turn(&mut self.own) => {
                    if let Some(ending) = self.heed(turn) {
                        return ending;
                    }
                }
                _ = second.tick() => {
                    self.tell_missing();
                    if let Some(ending) = self.look_after_agents() {
                        return ending;
                    }
                }
            }
        }
    }

    fn heed(&mut self, turn: Turn) -> Option<Ending> {
        match turn {
            Turn::Joined(node) => {
                self.board.join(&node);
                None
            }
            Turn::Up(node) => {
                self.reach.as_mut()?.runs(node, Instant::now());
                None
            }
            Turn::Replaced(node) => {
                self.reach.as_mut()?.gone(&node);
                self.board.replace(&node);
                None
            }
            Turn::Vacated(node) => {
                self.reach.as_mut()?.gone(&node);
                self.board.lose(&node);
                None
            }
            Turn::Down { node, failure } => self.lose(&node, failure),
            Turn::TargetsOver => Some(Ending::TargetsOver),
            Turn::ServerGone(words) => Some(Ending::ServerGone(words)),
        }
    }

    /// Nothing more will come from an agent; the others go on.
    fn lose(&mut self, node: &str, failure: Failure) -> Option<Ending> {
        self.reach.as_mut()?.gone(node);
        if self.board.is_last(node) {
            return Some(Ending::AgentGone(failure));
        }
        say(format!("{:#}", failure.error));
        self.board.lose(node);
        // What came later was no part of what was asked for in the beginning.
        if failure.exit != Exit::Done && !self.board.is_late(node) {
            self.failed.get_or_insert(failure.exit);
        }
        self.board.is_spent().then_some(Ending::ProbesOver)
    }

    fn look_after_agents(&mut self) -> Option<Ending> {
        for step in self.reach.as_mut()?.look(&self.board, Instant::now()) {
            match step {
                Step::Say(line) => say(line),
                Step::GiveUp(unreachable) => return Some(Ending::Unreachable(unreachable)),
                Step::Lose(unreachable) if self.board.is_last(&unreachable.node) => {
                    return Some(Ending::Unreachable(unreachable));
                }
                Step::Lose(unreachable) => {
                    let node = unreachable.node.clone();
                    let ending = self.lose(&node, Failure::new(Exit::Failed, unreachable));
                    if ending.is_some() {
                        return ending;
                    }
                }
            }
        }
        None
    }

    fn tell_missing(&mut self) {
        let missing = self.feed.tally().missing();
        if missing > self.missing_told {
            say(format!(
                "{missing} records are missing so far, by their numbers"
            ));
            self.missing_told = missing;
        }
    }

    /// Lets what is under way arrive, ends what we have started, and sums up.
    async fn finish(mut self, ending: Ending, strict: bool) -> Result<Exit, Failure> {
        let farewell = self.farewell(&ending).await;
        self.connection.settle().await;
        let Self {
            feed,
            mut writer,
            written,
            mut held_up_told,
            own,
            failed,
            ..
        } = self;
        let rest = async {
            let tally = feed.stop().await;
            let ending = match ending {
                Ending::ReaderGone | Ending::WriterFailed(_) => ending,
                other if written => other,
                other => match writer.closed().await {
                    Closed::Done => other,
                    Closed::ByReader => Ending::ReaderGone,
                    Closed::Failed(error) => Ending::WriterFailed(error),
                },
            };
            (tally, ending)
        };
        tokio::pin!(rest);
        let (tally, ending) = if let Ok(done) = timeout(PATIENCE, &mut rest).await {
            done
        } else {
            tell_held_up(&mut held_up_told);
            rest.await
        };
        let overrun = if self.live {
            let polled = lock(&tally).polled;
            self.connection.received().saturating_sub(polled)
        } else {
            0
        };
        let ended = match own {
            Some(own) => own.end().await,
            None => Ok(()),
        };
        // Whoever has seen enough wants no account either.
        if matches!(ending, Ending::ReaderGone) {
            return farewell.and(ended).map(|()| Exit::Done);
        }
        let summary = summary(&self.board, &lock(&tally), overrun);
        if !self.board.is_silent() {
            for line in &summary.lines {
                if summary.lost {
                    say(line);
                } else {
                    mention(line);
                }
            }
        }
        farewell.and(ended)?;
        match (ending.verdict(&self.board)?, failed) {
            (Exit::Done, Some(exit)) => Err(Failure::new(
                exit,
                anyhow!("not all that was asked for was traced: what failed is said above"),
            )),
            (Exit::Done, None) if strict && summary.lost => Ok(Exit::Loss),
            (exit, _) => Ok(exit),
        }
    }

    /// Ends our agents, if there are any, and waits for their last words.
    async fn farewell(&mut self, ending: &Ending) -> Result<(), Failure> {
        let Some(own) = &mut self.own else {
            return Ok(());
        };
        let ended = if matches!(ending, Ending::AgentGone(_)) {
            Ok(())
        } else {
            let end = own.end_agents();
            tokio::pin!(end);
            loop {
                tokio::select! {
                    ended = &mut end => break ended,
                    Some(news) = self.feed.news() => tell(news, &mut self.board, &mut self.told),
                }
            }
        };
        if matches!(own.agents, Agents::Pods(_)) {
            // Of one that was never heard no last word will come either.
            self.board.lose_the_unheard();
        }
        // It comes after every record; as long as those arrive, it is still under way.
        let mut before = None;
        while ended.is_ok() && !self.board.has_last_word() {
            match timeout(LAST_WORDS, self.feed.news()).await {
                Ok(Some(news)) => tell(news, &mut self.board, &mut self.told),
                Ok(None) => break,
                Err(_) => {
                    let now = self.feed.tally().progress();
                    if now.is_held_up() {
                        tell_held_up(&mut self.held_up_told);
                    } else if before == Some(now) {
                        break;
                    }
                    before = Some(now);
                }
            }
        }
        own.last_words().await;
        ended
    }
}

/// The next thing that happens to what we have started.
async fn turn(own: &mut Option<Own>) -> Turn {
    match own {
        Some(own) => own.turn().await,
        None => std::future::pending().await,
    }
}
