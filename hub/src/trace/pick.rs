//! A pod by hand: `x-tracer trace` on a terminal, without a name.
//!
//! The list stands on standard error, as all that is not an event; what is typed narrows it down. The
//! numbers are those of the original's session.

mod row;

use std::io::{self, IsTerminal as _, Write as _};
use std::time::SystemTime;

use anyhow::{Context, anyhow};
use inquire::{InquireError, Select};
use rustix::termios::{self, OptionalActions, Termios};
use x_k8s::Cluster;
use x_k8s::find::{self, PodRow, Reference};

use row::Row;

use super::{Aim, Config, Found, aim};
use crate::console::say;
use crate::exit::{Exit, Failure};
use crate::show::sanitize;
use crate::stop::Signals;

/// Rows that are shown at a time, where the terminal has so many.
const PAGE: usize = 15;
/// Lines around them: the question, the help, and the cursor's.
const AROUND: usize = 3;
const HELP: &str = "↑↓ to move, type to filter or a number, Enter to trace, Esc to leave";

/// Whether somebody is there to be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a pod until one can be traced, and aims at it. Without an answer there is nothing.
///
/// # Errors
/// When there is no pod to choose from, the cluster refuses, or a signal comes.
pub(super) async fn pick(
    cluster: &Cluster,
    config: &mut Config,
    signals: &mut Signals,
) -> Result<Option<Found>, Failure> {
    let unanswered = || anyhow!("ended while it was starting");
    let wide = config.aim.clone();
    loop {
        let pods = tokio::select! {
            pods = pods(cluster, &wide) => pods?,
            () = signals.next() => return Err(unanswered().into()),
        };
        // A signal leaves the asking thread at its terminal, which must be as it was all the same.
        let as_it_was = Restored::take().context("standard input")?;
        let asking = tokio::task::spawn_blocking(move || ask(&pods));
        let asked = tokio::select! {
            asked = asking => asked.context("the list of pods")??,
            () = signals.next() => return Err(unanswered().into()),
        };
        drop(as_it_was);
        let Some((namespace, name)) = asked else {
            return Ok(None);
        };
        config.aim = Aim {
            references: vec![Reference::Pod(name)],
            namespace: Some(namespace),
            everywhere: false,
            ..wide.clone()
        };
        match aim::find(cluster, config).await {
            Err(failure) if failure.exit == Exit::NoTarget => {
                say(format!("{:#}", failure.error));
            }
            found => return found.map(Some),
        }
    }
}

/// The pods to choose from: of the namespace that was named or, where none was and the context's has
/// none, of all.
async fn pods(cluster: &Cluster, aim: &Aim) -> Result<Vec<PodRow>, Failure> {
    let of_context = aim.namespace.is_none() && !aim.everywhere;
    let namespace = aim.namespace.as_deref();
    if !aim.everywhere {
        let namespace = namespace.unwrap_or_else(|| cluster.namespace());
        let pods = find::pods(cluster, Some(namespace)).await?;
        if !pods.is_empty() {
            return Ok(pods);
        }
        let none = format!("the namespace {namespace} has no pods");
        if !of_context {
            let error =
                anyhow!("{none}: choose another with -n, or trace -A to choose from all of them");
            return Err(Failure::new(Exit::NoTarget, error));
        }
        say(format!("{none}; these are of all namespaces"));
    }
    let pods = find::pods(cluster, None).await?;
    if pods.is_empty() {
        let error = anyhow!("the cluster has no pods; look with: kubectl get pods -A");
        return Err(Failure::new(Exit::NoTarget, error));
    }
    Ok(pods)
}

/// Shows the list and waits for an answer: a namespace and a pod's name.
fn ask(pods: &[PodRow]) -> Result<Option<(String, String)>, Failure> {
    let size = termios::tcgetwinsize(io::stderr()).ok();
    let (columns, lines) = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
    let page = usize::from(lines).saturating_sub(AROUND).clamp(1, PAGE);
    let rows = Row::table(pods, SystemTime::now(), columns.into());
    let called = |index: usize| {
        let PodRow {
            namespace, name, ..
        } = &pods[index];
        sanitize::visible(&format!("{namespace}/{name}")).into_owned()
    };
    let asked = Select::new("Choose pod:", rows)
        .with_help_message(HELP)
        .with_page_size(page)
        .with_scorer(&|typed, row, _, index| row.score(typed, index))
        .with_sorter(&|rows| rows.sort_by_key(|&(index, score)| (-score, index)))
        .with_formatter(&|chosen| called(chosen.index))
        .raw_prompt();
    match asked {
        Ok(chosen) => {
            let pod = &pods[chosen.index];
            Ok(Some((pod.namespace.clone(), pod.name.clone())))
        }
        Err(InquireError::OperationCanceled | InquireError::OperationInterrupted) => Ok(None),
        Err(error) => Err(anyhow!(error).context("the terminal").into()),
    }
}

/// A terminal that is as it was when the value goes.
struct Restored(Termios);

impl Restored {
    fn take() -> rustix::io::Result<Self> {
        Ok(Self(termios::tcgetattr(io::stdin())?))
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        // Nobody is left to tell that the terminal is gone.
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.0).ok();
        // Bracketed paste off, the cursor visible.
        drop(io::stderr().lock().write_all(b"\x1b[?2004l\x1b[?25h"));
    }
}
