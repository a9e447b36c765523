//! From a command line to an exit status.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, Command};
use crate::console::{hush, print, say};
use crate::exit::{Exit, Failure};
use crate::{cleanup, complete, doctor, listen, local, original, parse, replay, trace};

/// Does what the command line says. An error is said on standard error, in a line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let words = arguments.get(1..).unwrap_or_default();
    match complete::answered(&arguments) {
        Ok(false) => {}
        Ok(true) => return Exit::Done,
        Err(error) => {
            print(error.render().to_string().as_bytes());
            return Exit::Usage;
        }
    }
    if arguments
        .first()
        .is_some_and(|program| complete::is_kubectls(program))
    {
        return printed(&complete::for_kubectl(words));
    }
    if original::is_original(words) {
        let program = arguments.first().map(|name| name.to_string_lossy());
        return match original::parse(&program.unwrap_or_default(), words) {
            Ok(settled) => said(block_on(original::run(settled))),
            Err(exit) => exit,
        };
    }
    let mut command = Cli::command();
    if let Some(name) = arguments.first().and_then(|program| plugin(program)) {
        command = command.bin_name(name);
    }
    let parsed = command
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            print(error.render().to_string().as_bytes());
            return Exit::Usage;
        }
        // Help or version was asked for.
        Err(text) => return printed(text.render().to_string().as_bytes()),
    };
    said(dispatch(cli))
}

/// How it is called as a plugin of kubectl, which runs `kubectl-xtracer` for `kubectl xtracer`.
fn plugin(program: &OsStr) -> Option<String> {
    let name = Path::new(program).file_name()?.to_str()?;
    let plugin = name.strip_prefix("kubectl-")?;
    Some(format!("kubectl {}", plugin.replace('_', "-")))
}

/// The status, and what there is to say about it.
fn said(outcome: Result<Exit, Failure>) -> Exit {
    outcome.unwrap_or_else(|failure| {
        say(format!("{:#}", failure.error));
        failure.exit
    })
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    if cli.is_quiet() {
        hush();
    }
    match cli.command {
        Command::Trace(args) => block_on(trace::run(args.request()?)),
        Command::Local(args) => block_on(local::run(args.config()?)),
        Command::Listen(args) => block_on(listen::run(args.config()?)),
        Command::Replay(args) => block_on(replay::run(args.config()?)),
        Command::Parse(args) => parse::run(args.config()),
        Command::Doctor(args) => doctor::run(&args.config()),
        Command::Cleanup(args) => block_on(cleanup::run(args.config())),
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            let wire = probeparser::wire::VERSION;
            Ok(printed(
                format!("x-tracer {version}, wire contract {wire}\n").as_bytes(),
            ))
        }
        Command::Completion { shell } => {
            let script = complete::script(shell).context("the completion script")?;
            Ok(printed(&script))
        }
    }
}

/// Runs on this thread, which is the main one, with a worker beside it: the client's task and the one
/// that reads take turns there, where two threads would wake each other for every message. Whatever
/// still blocks at the end, such as a terminal that takes nothing, is left behind.
fn block_on(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("hub")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

/// Prints a text that was asked for. A reader that has seen enough of it is no error.
fn printed(text: &[u8]) -> Exit {
    match std::io::stdout().lock().write_all(text) {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            say(format!("standard output: {error}"));
            Exit::Failed
        }
    }
}
