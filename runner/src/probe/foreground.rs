//! `x-agent probe NAME`: one tool in the host, for a person who wants to see what it says.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::printable::printable;
use super::{Probe, ProbeEvent, ProbeSpec, WarmParent};

/// Runs the probe until it ends or a signal comes: events on standard output, the rest on standard
/// error. On a terminal, or with an event that holds a newline, what is not plain text is escaped.
///
/// To be called before any thread is started: it forks.
///
/// # Errors
/// Nothing can be started, or standard output fails other than by a reader who left.
pub fn run_foreground(spec: ProbeSpec) -> anyhow::Result<ExitCode> {
    let warm = WarmParent::fork()?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(async {
            let stop = CancellationToken::new();
            let probe = Probe::start(warm.connect()?, spec, stop.clone());
            let (mut interrupt, mut terminate) = (
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            );
            tokio::spawn(async move {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                stop.cancel();
            });
            show(probe).await
        })
}

async fn show(mut probe: Probe) -> anyhow::Result<ExitCode> {
    let stdout = io::stdout();
    let escape = stdout.is_terminal();
    let mut out = BufWriter::with_capacity(64 * 1024, stdout.lock());
    let mut code = ExitCode::SUCCESS;
    while let Some(event) = probe.events.recv().await {
        let wrote = match event {
            ProbeEvent::Line { bytes, .. } => write_line(&mut out, &bytes, escape),
            event => {
                if matches!(event, ProbeEvent::Failed { retry_in: None, .. }) {
                    code = ExitCode::FAILURE;
                }
                // Events first, so that the two streams make sense together on a terminal.
                out.flush().and_then(|()| note(&event))
            }
        };
        // More of the same poll is usually there already; flush when it is not.
        let wrote = wrote.and_then(|()| {
            if probe.events.is_empty() {
                out.flush()
            } else {
                Ok(())
            }
        });
        match wrote {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            other => other.context("cannot write to standard output")?,
        }
    }
    probe.stop();
    probe.ended().await;
    Ok(code)
}

/// One event is one line: a newline inside it is escaped even in a pipe.
fn write_line(out: &mut impl Write, bytes: &[u8], escape: bool) -> io::Result<()> {
    if escape || memchr::memchr(b'\n', bytes).is_some() {
        out.write_all(printable(bytes).as_bytes())?;
    } else {
        out.write_all(bytes)?;
    }
    out.write_all(b"\n")
}

fn note(event: &ProbeEvent) -> io::Result<()> {
    let mut err = io::stderr().lock();
    let mut say = |text: &str| writeln!(err, "x-agent: {}", printable(text.as_bytes()));
    match event {
        ProbeEvent::Starting { tool_path, argv } => {
            say(&format!("runs {} {}", tool_path.display(), argv.join(" ")))
        }
        ProbeEvent::Attached { took, .. } => {
            say(&format!("attached after {:.1} s", took.as_secs_f64()))
        }
        ProbeEvent::Lost { buffer, count } => {
            say(&format!("the kernel dropped {count} events of {buffer}"))
        }
        ProbeEvent::Dropped { count } => say(&format!("{count} events were dropped")),
        ProbeEvent::Skipped { count } => {
            say(&format!("the kernel skipped its programs {count} times"))
        }
        ProbeEvent::Note(text) | ProbeEvent::Said(text) => say(text),
        ProbeEvent::Failed { reason, remedy, .. } => {
            say(&format!("failed: {reason}"))?;
            say(&format!("what to do: {remedy}"))
        }
        ProbeEvent::Stopped => say("stopped"),
        // Nobody proves anything to a person at a terminal.
        ProbeEvent::Healable(_) | ProbeEvent::Healed(_) | ProbeEvent::Line { .. } => Ok(()),
    }
}
