//! What a shell, or kubectl, offers to complete a word with: clap's own flags, and names that the
//! cluster knows. Whatever does not answer at once offers nothing; a line that is being typed is no
//! place for an error.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{Shell, engine};
use x_k8s::Cluster;
use x_k8s::client::Environment;
use x_k8s::find::{self, Query, Reference};

use crate::cli::{Cli, ClusterArgs};

/// The program's name.
const PROGRAM: &str = "x-tracer";
/// Set by the scripts of `x-tracer completion` to the shell's name. A name of our own: nobody's
/// environment has it for another reason.
const VARIABLE: &str = "XTRACER_COMPLETE";
/// The name under which kubectl asks for words after `kubectl xtracer`.
const OF_KUBECTL: &str = "kubectl_complete-xtracer";
/// How long the cluster may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The script that makes a shell ask us.
pub(crate) fn script(shell: Shell) -> std::io::Result<Vec<u8>> {
    let shells = Shells::builtins();
    let mut text = Vec::new();
    let completer = shells.completer(&shell.to_string());
    let completer = completer.ok_or_else(|| std::io::Error::other("an unknown shell"))?;
    completer.write_registration(VARIABLE, PROGRAM, PROGRAM, &own_path(), &mut text)?;
    Ok(text)
}

/// By what the script finds us: the name, where a shell found us by that, and else the path.
fn own_path() -> String {
    let typed = std::env::args().next().unwrap_or_default();
    match std::env::current_exe() {
        Ok(path) if typed.contains('/') => path.to_string_lossy().into_owned(),
        _ => PROGRAM.to_owned(),
    }
}

/// Answers a shell, if one asks.
pub(crate) fn answered(arguments: &[OsString]) -> clap::error::Result<bool> {
    let answer = CompleteEnv::with_factory(Cli::command).var(VARIABLE);
    answer.try_complete(arguments.iter().cloned(), None)
}

/// Whether kubectl asks.
pub(crate) fn is_kubectls(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(OF_KUBECTL))
}

/// Answers kubectl, which hands over the words behind the plugin's name: an offer a line, then what a
/// shell is to do about files (4: offer none).
pub(crate) fn for_kubectl(words: &[OsString]) -> Vec<u8> {
    let mut all = vec![OsString::from(PROGRAM)];
    all.extend(words.iter().cloned());
    let index = all.len() - 1;
    let offers = engine::complete(&mut Cli::command(), all, index, None).unwrap_or_default();
    let mut text = Vec::new();
    for offer in offers {
        text.extend_from_slice(offer.get_value().as_encoded_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(b":4\n");
    text
}

/// Pods of the namespace that is typed, or of the context's.
pub(crate) fn pods(begun: &OsStr) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let prefix = if begun.starts_with("pod/") {
        "pod/"
    } else {
        ""
    };
    let names = ask(async |cluster, typed| {
        let namespace = typed.namespace.as_deref().unwrap_or(cluster.namespace());
        let pods = find::pods(cluster, Some(namespace)).await.ok()?;
        Some(pods.into_iter().map(|pod| pod.name).collect())
    });
    offers(&begun, names, prefix)
}

/// All namespaces.
pub(crate) fn namespaces(begun: &OsStr) -> Vec<CompletionCandidate> {
    let names = ask(async |cluster, _| find::namespaces(cluster).await.ok());
    offers(&begun.to_string_lossy(), names, "")
}

/// Containers of the pods that are typed.
pub(crate) fn containers(begun: &OsStr) -> Vec<CompletionCandidate> {
    let names = ask(async |cluster, typed| {
        let query = Query {
            namespace: Some(
                typed
                    .namespace
                    .unwrap_or_else(|| cluster.namespace().to_owned()),
            ),
            references: typed.references,
            ..Query::default()
        };
        let targets = find::resolve_if_any(cluster, &query).await.ok()?;
        let containers = targets.pods().into_iter().flat_map(|pod| &pod.containers);
        let mut names: Vec<_> = containers.map(|container| container.name.clone()).collect();
        names.sort();
        names.dedup();
        Some(names)
    });
    offers(&begun.to_string_lossy(), names, "")
}

/// What is typed so far, as far as it says where to look.
struct Typed {
    namespace: Option<String>,
    references: Vec<Reference>,
}

/// Asks the cluster that the typed words mean.
fn ask(question: impl AsyncFnOnce(&Cluster, Typed) -> Option<Vec<String>>) -> Vec<String> {
    let answer = || {
        let matches = matches()?;
        let (_, matches) = matches.subcommand()?;
        let cluster = ClusterArgs::from_arg_matches(matches).ok()?;
        let typed = Typed {
            namespace: one(matches, "namespace"),
            references: all(matches, "references"),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .ok()?;
        let names = runtime.block_on(async {
            let cluster = Cluster::open(&cluster.options(), &Environment::of_process()).ok()?;
            let answer = question(&cluster, typed);
            tokio::time::timeout(PATIENCE, answer).await.ok().flatten()
        });
        runtime.shutdown_background();
        names
    };
    answer().unwrap_or_default()
}

/// The words that are typed, which need not make sense yet. A shell's stand behind `--`.
fn matches() -> Option<ArgMatches> {
    let mut words: Vec<_> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "--") {
        words.drain(..2);
    }
    let command = Cli::command().ignore_errors(true);
    command.try_get_matches_from(words).ok()
}

fn one(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.try_get_one::<String>(name).ok().flatten().cloned()
}

fn all(matches: &ArgMatches, name: &str) -> Vec<Reference> {
    let values = matches.try_get_many::<Reference>(name).ok().flatten();
    values.into_iter().flatten().cloned().collect()
}

/// Those that begin so. A shell takes them as they are, so what no object can be called is left out.
fn offers(begun: &str, names: Vec<String>, prefix: &str) -> Vec<CompletionCandidate> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let sound = names.into_iter().filter(|name| name.chars().all(plain));
    let whole = sound.map(|name| format!("{prefix}{name}"));
    let fitting = whole.filter(|name| name.starts_with(begun));
    fitting.map(CompletionCandidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_objects_can_have_are_offered() {
        let names = ["web-0", "web.1", "db", "web$(id)", "web\x1b[2J", "WEB"];
        let offered = |begun: &str, prefix: &str| {
            let names = names.map(str::to_owned).to_vec();
            let offers = offers(begun, names, prefix);
            let values = offers.iter().map(|offer| offer.get_value().to_owned());
            values
                .map(|value| value.into_string().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(offered("we", ""), ["web-0", "web.1"]);
        assert_eq!(offered("pod/w", "pod/"), ["pod/web-0", "pod/web.1"]);
        assert_eq!(offered("", ""), ["web-0", "web.1", "db"]);
    }
}
