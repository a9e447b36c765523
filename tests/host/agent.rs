//! The inner process of a case: an agent with one probe, which prints its events as JSON lines.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use x_agent::probe::{Probe, ProbeEvent, ProbeSpec, WarmParent};

/// What to run, and how to behave meanwhile.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) argv: Vec<String>,
    pub(crate) tools_dirs: Vec<PathBuf>,
    pub(crate) filter_map: Option<PathBuf>,
    pub(crate) page_cnt: Option<u32>,
    pub(crate) heal: Vec<String>,
    pub(crate) restart: bool,
    /// Take no event before the case says `go`.
    pub(crate) hold: bool,
    /// Print nothing per line, only their number and bytes at the end.
    pub(crate) count_only: bool,
}

/// [`ProbeEvent`] in a form that survives JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    Starting {
        path: PathBuf,
        argv: Vec<String>,
    },
    Attached,
    Line {
        bytes: Vec<u8>,
        in_callback: bool,
        cut: bool,
    },
    Lost {
        buffer: String,
        count: u64,
    },
    Dropped {
        count: u64,
    },
    Skipped {
        count: u64,
    },
    Note(String),
    Healable(String),
    Healed(String),
    Said(String),
    Failed {
        kind: String,
        reason: String,
        said: Vec<String>,
        remedy: String,
        retry_ms: Option<u128>,
    },
    Stopped,
    Counted {
        lines: u64,
        bytes: u64,
        dropped: u64,
        ms: u128,
    },
}

impl From<ProbeEvent> for Event {
    fn from(event: ProbeEvent) -> Self {
        match event {
            ProbeEvent::Starting {
                tool_path: path,
                argv,
            } => Event::Starting { path, argv },
            ProbeEvent::Attached { took, .. } => {
                assert!(
                    took > Duration::ZERO && took < Duration::from_secs(600),
                    "{took:?}"
                );
                Event::Attached
            }
            ProbeEvent::Line {
                bytes,
                in_callback,
                cut,
            } => Event::Line {
                bytes,
                in_callback,
                cut,
            },
            ProbeEvent::Lost { buffer, count } => Event::Lost { buffer, count },
            ProbeEvent::Dropped { count } => Event::Dropped { count },
            ProbeEvent::Skipped { count } => Event::Skipped { count },
            ProbeEvent::Note(text) => Event::Note(text),
            ProbeEvent::Healable(dead) => Event::Healable(dead),
            ProbeEvent::Healed(reason) => Event::Healed(reason),
            ProbeEvent::Said(text) => Event::Said(text),
            ProbeEvent::Failed {
                kind,
                reason,
                said,
                remedy,
                retry_in,
            } => Event::Failed {
                kind: format!("{kind:?}"),
                reason,
                said,
                remedy,
                retry_ms: retry_in.map(|pause| pause.as_millis()),
            },
            ProbeEvent::Stopped => Event::Stopped,
        }
    }
}

pub(crate) fn main(spec: &str) -> ExitCode {
    let warm = WarmParent::fork().expect("a warm parent");
    let spec: Spec = serde_json::from_str(spec).expect("a spec");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let probe = ProbeSpec {
            name: spec.name.clone(),
            argv: spec.argv.clone(),
            tools_dirs: spec.tools_dirs.clone(),
            filter_map: spec.filter_map.clone(),
            page_cnt: spec.page_cnt,
            heal: spec.heal.clone(),
            restart: spec.restart,
        };
        let mut probe = Probe::start(warm.connect().expect("a connection"), probe, stop.clone());
        let (go, held) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || obey(&stop, go));
        if spec.hold {
            held.await.expect("a word from the case");
        }
        let (begun, mut lines, mut total, mut lost) = (std::time::Instant::now(), 0, 0, 0);
        while let Some(event) = probe.events.recv().await {
            match &event {
                ProbeEvent::Line { bytes, .. } if spec.count_only => {
                    lines += 1;
                    total += bytes.len() as u64;
                    continue;
                }
                ProbeEvent::Dropped { count } => lost += count,
                ProbeEvent::Stopped if spec.count_only => {
                    let ms = begun.elapsed().as_millis();
                    print(&Event::Counted {
                        lines,
                        bytes: total,
                        dropped: lost,
                        ms,
                    });
                }
                _ => {}
            }
            print(&event.into());
        }
        probe.ended().await;
    });
    ExitCode::SUCCESS
}

/// Does what the case says on our standard input: `go`, `stop`, and both at its end.
fn obey(stop: &CancellationToken, go: tokio::sync::oneshot::Sender<()>) {
    let mut go = Some(go);
    let mut release = || go.take().map(|go| go.send(()));
    for word in io::stdin().lock().lines().map_while(Result::ok) {
        match word.as_str() {
            "go" => drop(release()),
            _ => stop.cancel(),
        }
    }
    stop.cancel();
    release();
}

fn print(event: &Event) {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, event).expect("JSON");
    out.write_all(b"\n")
        .and_then(|()| out.flush())
        .expect("the case reads");
}
