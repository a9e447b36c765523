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
use x_k8s::client::{self, Environment};
use x_k8s::find::{self, OwnerKind, Query, Reference};

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

/// What can be traced: pods of the namespace that is typed, or of the context's; their owners, once
/// the kind is typed.
pub(crate) fn targets(begun: &OsStr) -> Vec<CompletionCandidate> {
    let typed = begun.to_string_lossy();
    let Some((kind, _)) = typed.split_once('/') else {
        let mut offered = pods(begun);
        let kinds = OwnerKind::ALL.map(|kind| format!("{kind}/"));
        let kinds = kinds.into_iter().filter(|kind| kind.starts_with(&*typed));
        offered.extend(kinds.map(CompletionCandidate::new));
        return offered;
    };
    // Any name will do: it is the kind that is asked for.
    match format!("{kind}/x").parse() {
        Ok(Reference::Pod(_)) => pods(begun),
        Ok(Reference::Owner(kind, _)) => owners(begun, kind),
        Err(_) => Vec::new(),
    }
}

/// Pods of the namespace that is typed, or of the context's.
pub(crate) fn pods(begun: &OsStr) -> Vec<CompletionCandidate> {
    let names = ask(async |cluster, typed| {
        let pods = find::pods(cluster, Some(typed.place(cluster))).await.ok()?;
        Some(pods.into_iter().map(|pod| pod.name).collect())
    });
    objects(begun, names)
}

fn owners(begun: &OsStr, kind: OwnerKind) -> Vec<CompletionCandidate> {
    let names = ask(async |cluster, typed| {
        let owners = find::owners(cluster, kind, typed.place(cluster));
        owners.await.ok()
    });
    objects(begun, names)
}

/// All namespaces.
pub(crate) fn namespaces(begun: &OsStr) -> Vec<CompletionCandidate> {
    let names = ask(async |cluster, _| find::namespaces(cluster).await.ok());
    offers(begun, names, plain)
}

/// The kubeconfig's contexts.
pub(crate) fn contexts(begun: &OsStr) -> Vec<CompletionCandidate> {
    let names = typed_words().and_then(|(cluster, _)| {
        let contexts = client::contexts(&cluster.options(), &Environment::of_process());
        contexts.ok()
    });
    // Tools put users, addresses and paths into them.
    let of_context = |c: char| c.is_ascii_alphanumeric() || "-._@:/".contains(c);
    offers(begun, names.unwrap_or_default(), of_context)
}

/// Containers of the pods that are typed.
pub(crate) fn containers(begun: &OsStr) -> Vec<CompletionCandidate> {
    let names = ask(async |cluster, typed| {
        let query = Query {
            namespace: Some(typed.place(cluster).to_owned()),
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
    offers(begun, names, plain)
}

/// What is typed so far, as far as it says where to look.
struct Typed {
    namespace: Option<String>,
    references: Vec<Reference>,
}

impl Typed {
    fn place<'a>(&'a self, cluster: &'a Cluster) -> &'a str {
        self.namespace.as_deref().unwrap_or(cluster.namespace())
    }
}

/// Asks the cluster that the typed words mean.
fn ask(question: impl AsyncFnOnce(&Cluster, Typed) -> Option<Vec<String>>) -> Vec<String> {
    let answer = || {
        let (cluster, typed) = typed_words()?;
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

fn typed_words() -> Option<(ClusterArgs, Typed)> {
    let matches = matches()?;
    let (_, matches) = matches.subcommand()?;
    let cluster = ClusterArgs::from_arg_matches(matches).ok()?;
    let mut references = all(matches, "references");
    references.extend(all(matches, "podname"));
    let typed = Typed {
        namespace: one(matches, "namespace"),
        references,
    };
    Some((cluster, typed))
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

/// Those that begin so. A shell takes them as they are, so what has other characters than a name can
/// have is left out.
fn offers(
    begun: &OsStr,
    names: Vec<String>,
    fit: impl Fn(char) -> bool,
) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let sound = names.into_iter().filter(|name| name.chars().all(&fit));
    let fitting = sound.filter(|name| name.starts_with(&*begun));
    fitting.map(CompletionCandidate::new).collect()
}

/// The same for objects, whose kind may be typed before the name.
fn objects(begun: &OsStr, names: Vec<String>) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let kind = begun.find('/').map_or("", |slash| &begun[..=slash]);
    let offers = offers(OsStr::new(&begun[kind.len()..]), names, plain);
    let whole = offers.into_iter().map(|offer| offer.add_prefix(kind));
    whole.collect()
}

/// Whether the name of an object can have this character.
fn plain(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_objects_can_have_are_offered() {
        let names = ["web-0", "web.1", "db", "web$(id)", "web\x1b[2J", "WEB"];
        let offered = |begun: &str| {
            let names = names.map(str::to_owned).to_vec();
            let offers = objects(OsStr::new(begun), names);
            let values = offers.iter().map(|offer| offer.get_value().to_owned());
            values
                .map(|value| value.into_string().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(offered("we"), ["web-0", "web.1"]);
        assert_eq!(offered("pod/w"), ["pod/web-0", "pod/web.1"]);
        assert_eq!(offered(""), ["web-0", "web.1", "db"]);
    }
}
