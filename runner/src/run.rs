//! From the command line to the agent, in the one order that works: arguments, mount namespace,
//! warm parent, scope, canary, and only then the runtime with its threads.

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::agent::{self, Prepared};
use crate::cli::{Cli, Command, ProbeArgs, RunArgs};
use crate::config::Config;
use crate::exit::Exit;
use crate::mounts;
use crate::options;
use crate::probe::{ProbeSpec, WarmParent, foreground};
use crate::scope::{self, Scope, TargetError};
use crate::sight::{self, Canary, Young};

/// Does what was asked and says how it ended.
#[must_use]
pub fn main(cli: Cli) -> ExitCode {
    log_to_stderr();
    match cli.command {
        None => trace(cli.run).into(),
        Some(Command::Run(args)) => trace(*args).into(),
        Some(Command::Probe(args)) => probe(args),
        Some(Command::Canary { answers }) => sight::inside::live(answers),
    }
}

fn trace(args: RunArgs) -> Exit {
    let config = match Config::new(args) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("{error}");
            return Exit::Usage;
        }
    };
    prepare_and_run(config).unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        match error.downcast_ref() {
            Some(
                TargetError::NoProcess(_)
                | TargetError::NoContainer(_)
                | TargetError::NoNamespace(_)
                | TargetError::Ambiguous { .. }
                | TargetError::Gone(_),
            ) => Exit::NoTarget,
            Some(TargetError::Denied { .. }) => Exit::Forbidden,
            _ => Exit::Failed,
        }
    })
}

fn prepare_and_run(config: Config) -> anyhow::Result<Exit> {
    let mounts = mounts::enter_private();
    let warm = WarmParent::fork()?;
    let mut warnings: Vec<String> = mounts.warnings.iter().map(ToString::to_string).collect();
    let options = scope::Options {
        bpffs: mounts.bpffs,
        ..scope::Options::default()
    };
    let (scope, missing) = Scope::open(&options)?;
    warnings.extend(missing.iter().map(ToString::to_string));
    for target in &config.targets {
        let added = scope.add(target.clone())?;
        warnings.extend(added.warnings.iter().map(ToString::to_string));
    }
    // Its namespace is new to the tools' filters, and its birth is in the kernel table.
    let canary = Young::start().and_then(|canary| {
        let added = scope.add_canary(canary.pid());
        added.map(|()| canary).map_err(|error| error.to_string())
    });
    runtime()?.block_on(async {
        let warm = warm.connect()?;
        let canary = match canary {
            Ok(canary) => canary.connect().context("cannot talk to the canary")?,
            Err(reason) => Canary::none(reason),
        };
        warnings.extend(canary.lacking().map(sight::all_unproven));
        agent::run(
            config,
            Prepared {
                scope,
                warm,
                canary,
                warnings,
            },
            stop_signal()?,
        )
        .await
    })
}

/// One thread for all stages: two would wake each other for every message, at the price of a core
/// that the traced processes want.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .thread_name("x-agent")
        .build()
        .context("cannot start the runtime")
}

/// Completes when the agent is asked to end. The handlers are in place when this returns.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

fn probe(args: ProbeArgs) -> ExitCode {
    let own = || {
        options::argv(args.probe)
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let spec = ProbeSpec {
        name: args.probe.to_string(),
        argv: if args.args.is_empty() {
            own()
        } else {
            args.args
        },
        tools_dirs: args.tools.tools_dir,
        filter_map: args.map,
        page_cnt: options::pages(&args.tools.perf_pages, args.probe),
        heal: Vec::new(),
        restart: false,
    };
    // The tools want debugfs and tracefs; what can't be mounted is missed by name later.
    for warning in mounts::enter_private().warnings {
        tracing::warn!("{warning}");
    }
    foreground::run_foreground(spec).unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        Exit::Failed.into()
    })
}

/// The client library's own words are left out: the sender says what becomes of its connections.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("XTRACER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,async_nats=off"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(false)
        .init();
}
