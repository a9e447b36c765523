//! The original x-tracer's session: without a command it asks for a namespace and a pod by number, and
//! traces that pod. What it prints on standard output is the original's, byte for byte, up to the faults:
//! where that took the first entry without a word, or crashed, this says what is wrong and asks again, or
//! fails where nobody is there to be asked.

mod ask;
mod flags;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::ZonedDateTime;
use probeparser::Probe;
use x_k8s::Cluster;
use x_k8s::client::{Environment, Options};
use x_k8s::find::{self, Choice, ContainerKind, PodRow, Query, Reference, TargetPod};
use x_k8s::manifest::{PullPolicy, Rights};

use ask::{Asked, Prompt};
use flags::{Flags, Parsed};

use crate::console::print;
use crate::exit::{Exit, Failure};
use crate::local;
use crate::receive::Access;
use crate::session::Settings;
use crate::show::{Format, sanitize};
use crate::stop::Signals;
use crate::trace::{self, Aim, Config, Nats, PodConfig};

pub(crate) use flags::is_original;

/// The line between the session's parts.
const RULE: &str = "---------------------------------------------\n";
/// How long an agent may take to come up.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// What the words after the program's name mean, said as the original says it.
pub(crate) fn parse(program: &str, words: &[OsString]) -> Result<Settled, Exit> {
    log("Start x-tracer");
    let default = Environment::of_process()
        .home
        .map(|home| home.join(".kube/config"));
    match flags::parse(words) {
        Parsed::Flags(flags) => Ok(Settled(flags)),
        Parsed::Help => {
            print(flags::usage(program, default.as_deref()).as_bytes());
            Err(Exit::Done)
        }
        Parsed::Wrong(why) => {
            let usage = flags::usage(program, default.as_deref());
            print(format!("{}\n{usage}", sanitize::visible(&why)).as_bytes());
            Err(Exit::Usage)
        }
    }
}

/// Flags that make sense.
pub(crate) struct Settled(Flags);

/// Asks, traces, and leaves nothing behind.
///
/// # Errors
/// When nothing is chosen, the cluster refuses, or the session breaks.
pub(crate) async fn run(settled: Settled) -> Result<Exit, Failure> {
    let Flags { kind, kubeconfig } = settled.0;
    let (options, environment) = kubeconfig_of(kubeconfig);
    let cluster = Cluster::open(&options, &environment)?;
    let mut prompt = Prompt::new(
        io::stdin().lock(),
        io::stdout().lock(),
        io::stdin().is_terminal(),
    );
    let (namespace, pod) = choose(&cluster, &mut prompt).await?;
    show_containers(&pod)?;
    drop(prompt);
    if !kind {
        log(&format!("Hostname :  {}", local::host_name()?));
    }
    let config = config(namespace, &pod, kind);
    let mut signals = Signals::take().context("cannot take over the signals")?;
    let found = trace::find(&cluster, &config).await?;
    out("Start Agent Pod\nStart Agent Service\n")?;
    trace::deploy(&cluster, &config, &found, &mut signals).await
}

/// `-kubeconfig PATH`. An empty path is the pod that we run in; without the flag, kubectl's rules hold.
fn kubeconfig_of(path: Option<PathBuf>) -> (Options, Environment) {
    let environment = Environment::of_process();
    match path {
        Some(path) if path.as_os_str().is_empty() => {
            let in_cluster = Environment {
                kubeconfig: None,
                home: None,
                ..environment
            };
            (Options::default(), in_cluster)
        }
        kubeconfig => {
            let options = Options {
                kubeconfig,
                ..Options::default()
            };
            (options, environment)
        }
    }
}

async fn choose(
    cluster: &Cluster,
    prompt: &mut Prompt<impl io::BufRead, impl io::Write>,
) -> Result<(String, TargetPod), Failure> {
    loop {
        let namespaces = find::namespaces(cluster).await?;
        let namespace = prompt.choose("namespace", &namespaces)?;
        let namespace = chosen(namespace, "namespace")?;
        let namespace = namespaces[namespace].clone();
        let pods = find::pods(cluster, Some(&namespace)).await?;
        let names: Vec<_> = pods.into_iter().map(|row: PodRow| row.name).collect();
        let name = match prompt.choose("pod", &names)? {
            Asked::Empty if prompt.is_terminal() => {
                prompt.tell(&format!(
                    "The namespace {namespace} has no pods: choose another"
                ))?;
                continue;
            }
            asked => names[chosen(asked, "pod")?].clone(),
        };
        let query = Query {
            namespace: Some(namespace.clone()),
            references: vec![Reference::Pod(name)],
            ..Query::default()
        };
        let targets = find::resolve(cluster, &query).await?;
        // A reference that resolves has a pod.
        if let Some(&pod) = targets.pods().first() {
            return Ok((namespace, pod.clone()));
        }
    }
}

fn chosen(asked: Asked, what: &str) -> Result<usize, Failure> {
    let instead = "name what to trace instead: x-tracer trace -n NAMESPACE POD";
    match asked {
        Asked::Chosen(index) => Ok(index),
        Asked::Empty => Err(Failure::new(
            Exit::NoTarget,
            anyhow!("there is no {what} to choose from; look with: kubectl get pods -A"),
        )),
        Asked::Wrong(why) => Err(Failure::new(
            Exit::Usage,
            anyhow!(
                "no {what} was chosen ({why}), and standard input is no terminal to ask again; {instead}"
            ),
        )),
        Asked::Ended => Err(Failure::new(
            Exit::Usage,
            anyhow!("no {what} was chosen: standard input has ended; {instead}"),
        )),
    }
}

/// The IDs of the pod's regular containers, running or not.
fn show_containers(pod: &TargetPod) -> Result<(), Failure> {
    let mut text = "Container ID is ...\n".to_owned();
    let regular = pod
        .containers
        .iter()
        .filter(|container| container.kind == ContainerKind::Regular);
    for id in regular.filter_map(|container| container.id.as_ref()) {
        text.push_str(&id.id);
        text.push('\n');
    }
    out(&text)
}

/// The original's agent, mended; what it had no flag for may come from the environment.
fn config(namespace: String, pod: &TargetPod, kind: bool) -> Config {
    let variable = |name: &str, default: &str| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.is_empty())
            .unwrap_or_else(|| default.to_owned())
    };
    Config {
        aim: Aim {
            references: vec![pod.reference()],
            namespace: Some(namespace),
            everywhere: false,
            labels: None,
            fields: None,
            node: None,
            choice: Choice::default(),
            wait: false,
        },
        pod: PodConfig {
            namespace: variable("XTRACER_AGENT_NAMESPACE", "default"),
            image: variable("XTRACER_IMAGE", "x-agent"),
            pull_policy: PullPolicy::default(),
            pull_secrets: Vec::new(),
            rights: Rights::default(),
            localtime: true,
            perf_pages: Vec::new(),
            service: true,
            start_timeout: START_TIMEOUT,
        },
        nats: Nats::Auto,
        access: Access::default(),
        hub_address: std::env::var("XTRACER_HUB_ADDRESS").ok(),
        kind,
        durable: None,
        alone: Duration::ZERO,
        settings: Settings {
            probes: Probe::SEVEN.to_vec(),
            format: Format::Classic,
            painted: false,
            headers: false,
            max_entries: None,
            timeout: None,
            strict: false,
        },
    }
}

/// A line of the original's log.
fn log(line: &str) {
    let time = ZonedDateTime::now().strftime("%Y/%m/%d %H:%M:%S");
    print(format!("{time} {}\n", sanitize::visible(line)).as_bytes());
}

fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    Ok(written.context("standard output")?)
}
