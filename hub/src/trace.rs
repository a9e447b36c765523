//! `x-tracer trace`: pods of a cluster.
//!
//! ```text
//! aim (which containers, on which nodes) ─▶ place (where NATS is) ─▶ fleet (agents come up) ─▶ session
//! ```

mod aim;
mod fleet;
mod follow;
mod nodes;
mod orders;
mod pick;
mod place;
mod post;
mod recruit;

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, anyhow};
use probeparser::wire::PerfPages;
use x_k8s::Cluster;
use x_k8s::client::{Environment, Options};
use x_k8s::manifest::{AgentSpec, Bundle, PullPolicy, Resources, Rights};

use aim::Node;
pub(crate) use aim::{Aim, Found, find};
use fleet::{Base, REMOVAL, left_behind};
pub(crate) use fleet::{Fleet, held_up};
pub(crate) use pick::can_ask;
pub(crate) use place::Nats;
use place::{Place, Route, Way};
use recruit::Recruiter;

use crate::cleanup;
use crate::console::{mention, say};
use crate::durable::Durable;
use crate::exit::{Exit, Failure};
use crate::local;
use crate::receive::Access;
use crate::session::{self, Agents, Own, Settings, Unreachable};
use crate::stop::Signals;

/// What `x-tracer trace` was asked for.
pub(crate) struct Request {
    /// Which cluster.
    pub cluster: Options,
    /// What to trace there, and how.
    pub config: Config,
    /// Print the objects that would be made, and make none.
    pub dry_run: bool,
    /// Nothing was named: ask.
    pub pick: bool,
}

/// What to trace, and how.
#[derive(Clone)]
pub(crate) struct Config {
    /// Which containers.
    pub aim: Aim,
    /// What the agents' pods look like.
    pub pod: PodConfig,
    /// Where records go.
    pub nats: Nats,
    /// How to log in there, if it is the user's own server.
    pub access: Access,
    /// This machine's address, as agents see it.
    pub hub_address: Option<String>,
    /// The cluster is one of kind.
    pub kind: bool,
    /// Let a stream keep the records.
    pub durable: Option<Durable>,
    /// How long agents whose records a stream keeps trace on without a hub.
    pub alone: Duration,
    /// How to show it.
    pub settings: Settings,
}

/// What the agents' pods look like.
#[derive(Clone)]
pub(crate) struct PodConfig {
    /// The namespace that they are made in.
    pub namespace: String,
    /// The image, with or without a tag.
    pub image: String,
    /// When to pull it.
    pub pull_policy: PullPolicy,
    /// Secrets to pull it with.
    pub pull_secrets: Vec<String>,
    /// What they may do.
    pub rights: Rights,
    /// What the tools' rings hold at least.
    pub perf_pages: Vec<PerfPages>,
    /// Whether their clock is the node's.
    pub localtime: bool,
    /// Whether the original's Service is made.
    pub service: bool,
    /// How long one may take to come up.
    pub start_timeout: Duration,
}

/// Traces until something ends it, and leaves nothing behind. To be polled on the main thread: it
/// may start a server as a child, which lives no longer than the thread that started it.
///
/// # Errors
/// When there is nothing to trace, the cluster refuses, or the session breaks.
pub(crate) async fn run(request: Request) -> Result<Exit, Failure> {
    let Request {
        cluster,
        mut config,
        dry_run,
        pick,
    } = request;
    let mut signals = Signals::take().context("cannot take over the signals")?;
    let cluster = Cluster::open(&cluster, &Environment::of_process())?;
    let found = if pick {
        match pick::pick(&cluster, &mut config, &mut signals).await? {
            Some(found) => found,
            None => return Ok(Exit::Left),
        }
    } else {
        tokio::select! {
            found = aim::find_or_wait(&cluster, &config) => found?,
            () = signals.next() => return Err(anyhow!("ended while it was starting").into()),
        }
    };
    if dry_run {
        return print(&cluster, &config, &found.nodes).await;
    }
    deploy(&cluster, &config, &found, &mut signals).await
}

/// Traces what was found, by one way and, if there is one, by another.
///
/// # Errors
/// When the cluster refuses, or the session breaks.
pub(crate) async fn deploy(
    cluster: &Cluster,
    config: &Config,
    found: &Found,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    cleanup::offer(cluster, &config.pod.namespace).await;
    let first = round(cluster, config, found, config.nats.way(), signals);
    match Box::pin(first).await {
        Err(failure) if config.nats.is_auto() && failure.error.is::<Unreachable>() => {
            say(format!("{:#}; trying in the cluster", failure.error));
            Box::pin(round(cluster, config, found, Way::InCluster, signals)).await
        }
        outcome => outcome,
    }
}

/// One session, from its server to its end.
async fn round(
    cluster: &Cluster,
    config: &Config,
    found: &Found,
    way: Way<'_>,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let base = Base::new(cluster, config);
    let place = match open(&base, config, &found.nodes, way, signals).await {
        Ok(place) => place,
        Err(failure) => {
            sweep(&base, signals).await?;
            return Err(failure);
        }
    };
    let mut bundles = Vec::new();
    for node in &found.nodes {
        let bundle = bundle(config, &base, node, &place.route)?;
        bundles.push((node.name.clone(), bundle));
    }
    for node in &found.nodes {
        mention(format!(
            "tracing {} on the node {}",
            node.words(),
            node.name
        ));
    }
    let own = Own {
        session: base.session.to_string(),
        server: place.server,
        failed: found.failed,
        agents: Agents::Pods(Fleet::launch(
            base,
            bundles,
            place.link,
            found,
            &config.aim.choice,
            Recruiter::new(config, place.route, place.door),
        )),
    };
    let settings = config.settings.clone();
    session::run(place.reading, Some(own), settings, signals).await
}

/// Opens the way to NATS. When a signal comes, what is being made is finished, so that it is known
/// and can be removed; at a second one it is left.
async fn open(
    base: &Base,
    config: &Config,
    nodes: &[Node],
    way: Way<'_>,
    signals: &mut Signals,
) -> Result<Place, Failure> {
    let opening = Place::open(base, config, nodes, way);
    tokio::pin!(opening);
    tokio::select! {
        place = &mut opening => return place,
        () = signals.next() => base.stop.cancel(),
    }
    tokio::select! {
        place = opening => place.and_then(|_| Err(anyhow!("ended while it was starting").into())),
        () = signals.next() => {
            let behind = left_behind(&base.namespace, &base.session);
            Err(anyhow!("left at once, asked a second time; {behind}").into())
        }
    }
}

/// Removes what a session has made that did not begin.
async fn sweep(base: &Base, signals: &mut Signals) -> Result<(), Failure> {
    tokio::select! {
        swept = base.sweep(REMOVAL) => swept,
        () = signals.next() => {
            let behind = left_behind(&base.namespace, &base.session);
            Err(anyhow!("left at once, asked a second time; {behind}").into())
        }
    }
}

/// What is made for the agent of a node.
fn bundle(config: &Config, base: &Base, node: &Node, route: &Route) -> Result<Bundle, Failure> {
    let spec = agent_spec(config, base, node, route)?;
    Ok(x_k8s::manifest::agent(&spec).map_err(x_k8s::Error::from)?)
}

fn agent_spec(
    config: &Config,
    base: &Base,
    node: &Node,
    route: &Route,
) -> anyhow::Result<AgentSpec> {
    let PodConfig {
        pull_policy,
        rights,
        localtime,
        service,
        ..
    } = config.pod;
    let probes = &config.settings.probes;
    Ok(AgentSpec {
        session: base.session.clone(),
        namespace: base.namespace.clone(),
        node: node.name.clone(),
        hostname_label: node.hostname_label.clone(),
        image: node.image.clone(),
        pull_policy,
        pull_secrets: config.pod.pull_secrets.clone(),
        targets: node.targets.clone(),
        probes: probes.iter().map(|probe| probe.name().to_owned()).collect(),
        perf_pages: config
            .pod
            .perf_pages
            .iter()
            .map(ToString::to_string)
            .collect(),
        nats_url: route.url.clone(),
        nats_host: route.host.clone(),
        nats_secrets: route.secrets(&node.name)?,
        own_server: route.own_server,
        orders_from: Some(route.orders_from.clone()),
        durable: config.durable.is_some(),
        alone_seconds: config.alone.as_secs().max(1),
        hub_address: route.hub_address.clone(),
        rights,
        resources: Resources::default(),
        deadline_seconds: None,
        service,
        localtime,
        made_by: Some(made_by()),
    })
}

/// Who asks for it, for whoever finds it.
fn made_by() -> String {
    let user = ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| format!("uid {}", nix::unistd::getuid()));
    let host = local::host_name().unwrap_or_else(|_| "?".to_owned());
    format!("{user}@{host}")
}

/// `--dry-run=client`: what would be made, as YAML.
async fn print(cluster: &Cluster, config: &Config, nodes: &[Node]) -> Result<Exit, Failure> {
    let base = Base::new(cluster, config);
    let (server, route) = place::planned(&base, config, nodes).await?;
    let mut documents = Vec::new();
    if let Some(bundle) = server {
        documents.push(bundle.yaml().map_err(x_k8s::Error::from)?);
    }
    for node in nodes {
        let yaml = bundle(config, &base, node, &route)?.yaml();
        documents.push(yaml.map_err(x_k8s::Error::from)?);
    }
    let text = documents.join("---\n");
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    written.context("standard output")?;
    Ok(Exit::Done)
}
