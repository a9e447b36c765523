//! `x-tracer cleanup`: what sessions left behind whose hub was killed.

use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use x_k8s::client::{Environment, Options};
use x_k8s::manifest::Session;
use x_k8s::teardown::{self, Leftover, LeftoverState};
use x_k8s::{Cluster, Kind};

use crate::console::say;
use crate::exit::{Exit, Failure};
use crate::stop::Signals;
use crate::trace::held_up;

/// How long the removal of one session may take.
const REMOVAL: Duration = Duration::from_secs(90);

/// What `x-tracer cleanup` was asked for.
pub(crate) struct Config {
    /// Which cluster.
    pub cluster: Options,
    /// Where agents are made; without it, everywhere.
    pub namespace: Option<String>,
    /// This session alone, whether or not it is over.
    pub session: Option<Session>,
    /// Remove nothing, say what would be.
    pub dry_run: bool,
}

/// Sweeps.
///
/// # Errors
/// When the cluster refuses, or something stays.
pub(crate) async fn run(config: Config) -> Result<Exit, Failure> {
    let mut signals = Signals::take().context("cannot take over the signals")?;
    let cluster = Cluster::open(&config.cluster, &Environment::of_process())?;
    tokio::select! {
        swept = sweep(&cluster, &config) => swept,
        () = signals.next() => Err(anyhow!(
            "ended before everything was removed; what is left is found again by: x-tracer cleanup"
        ).into()),
    }
}

async fn sweep(cluster: &Cluster, config: &Config) -> Result<Exit, Failure> {
    let namespace = config.namespace.as_deref();
    let found = teardown::leftovers(cluster, namespace, SystemTime::now()).await?;
    let mut failed = None;
    let mut removed = 0_usize;
    for leftover in &found {
        let named = config
            .session
            .as_ref()
            .is_none_or(|session| *session == leftover.session);
        let over = leftover.state == LeftoverState::Over || config.session.is_some();
        if !named {
            continue;
        }
        if !over {
            say(format!("left alone: {}", described(leftover)));
            continue;
        }
        if config.dry_run {
            say(format!("would be removed: {}", described(leftover)));
            continue;
        }
        say(format!("removing {}", described(leftover)));
        let (namespace, session) = (&leftover.namespace, &leftover.session);
        match teardown::tear_down(cluster, namespace, session, REMOVAL, held_up).await {
            Ok(pods) => removed += pods.len(),
            // The others go all the same; the first error is the status.
            Err(error) => {
                say(error.to_string());
                failed.get_or_insert(error);
            }
        }
    }
    if let Some(error) = failed {
        let left = anyhow!("something stays; it is named above");
        let exit = match error.kind() {
            Kind::Forbidden => Exit::Forbidden,
            _ => Exit::Failed,
        };
        return Err(Failure::new(exit, left));
    }
    if let Some(session) = &config.session
        && found.iter().all(|leftover| leftover.session != *session)
    {
        let error = anyhow!("there is nothing of the session {session}");
        return Err(Failure::new(Exit::NoTarget, error));
    }
    if !config.dry_run {
        say(match removed {
            0 => "there was nothing to remove".to_owned(),
            pods => format!("removed {pods} pods"),
        });
    }
    Ok(Exit::Done)
}

/// One session in words.
fn described(leftover: &Leftover) -> String {
    let age = leftover
        .created
        .and_then(|created| SystemTime::now().duration_since(created).ok())
        .map_or_else(String::new, |age| {
            format!(", {} min old", age.as_secs() / 60)
        });
    let by = leftover
        .made_by
        .as_ref()
        .map_or_else(String::new, |who| format!(" of {who}"));
    let state = match leftover.state {
        LeftoverState::Over => "it is over",
        LeftoverState::InUse => "its agent runs: x-tracer cleanup --session NAME ends it",
        LeftoverState::Starting => "it is coming up",
    };
    format!(
        "the session {}{by} in the namespace {}{age} ({state}): {}",
        leftover.session,
        leftover.namespace,
        leftover.pods.join(", ")
    )
}

/// Says that an earlier session has left something where a new one is about to begin. It is only an
/// offer: without the right to look, or in an emergency, there is none.
pub(crate) async fn offer(cluster: &Cluster, namespace: &str) {
    let Ok(found) = teardown::leftovers(cluster, Some(namespace), SystemTime::now()).await else {
        return;
    };
    let over = found
        .iter()
        .filter(|leftover| leftover.state == LeftoverState::Over)
        .count();
    if over > 0 {
        say(format!(
            "{over} earlier sessions have left pods in the namespace {namespace}; remove them with: x-tracer cleanup"
        ));
    }
}
