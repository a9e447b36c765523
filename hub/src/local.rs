//! `x-tracer local`: agent and hub together on one machine.

mod agent;
mod find;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use probeparser::wire::PerfPages;

pub(crate) use agent::{Agent, Plan, Target, TargetError};
pub(crate) use find::{NotFound, find_agent, find_server};

use crate::console::mention;
use crate::durable::{self, Durable};
use crate::exit::{Exit, Failure};
use crate::receive::{Access, Address, Connection};
use crate::secret::{random_name, read_secret, write_secret};
use crate::server::{self, Keep, Login, Reach, Server};
use crate::session::{self, Agents, Own, Reading, Settings};
use crate::stop::Signals;

/// What `x-tracer local` was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// What to trace.
    pub targets: Vec<Target>,
    /// Where to look for the tools first.
    pub tools_dirs: Vec<PathBuf>,
    /// What the tools' rings hold at least.
    pub perf_pages: Vec<PerfPages>,
    /// The user's own server; without it one is started.
    pub nats: Option<Address>,
    /// The file that holds the token for it.
    pub token_file: Option<PathBuf>,
    /// Let a stream keep the records.
    pub durable: Option<Durable>,
    /// How to show it.
    pub settings: Settings,
}

/// Traces until something ends it. To be polled on the main thread: it starts children, which live
/// no longer than the thread that started them.
///
/// # Errors
/// When something is missing, or the session breaks.
pub(crate) async fn run(config: Config) -> Result<Exit, Failure> {
    for target in &config.targets {
        must_exist(target)?;
    }
    let agent = find_agent().context("cannot start the agent")?;
    let mut signals = Signals::take().context("cannot take over the signals")?;
    let settings = config.settings.clone();
    let prepared = tokio::select! {
        prepared = prepare(config, agent) => prepared?,
        () = signals.next() => return Err(anyhow!("ended while it was starting").into()),
    };
    let (reading, own) = prepared;
    session::run(reading, Some(own), settings, &mut signals).await
}

/// Server, connection, subscription, agent: in this order, so that no record can be too early.
async fn prepare(config: Config, agent: PathBuf) -> Result<(Reading, Own), Failure> {
    let name = random_name(8).context("cannot name the session")?;
    let durable = config.durable;
    let mut session = format!("local-{name}");
    let mut bookmark = None;
    if let Some(durable) = &durable {
        session = durable.session(session)?;
        bookmark = match &config.nats {
            Some(address) => Some(durable.bookmark_at(address, Some(&session))?),
            None => durable.own_bookmark()?,
        };
    }
    let node = host_name()?;
    let (server, address, access, login) = if let Some(address) = config.nats {
        let token = config.token_file.as_deref().map(read_secret).transpose()?;
        let access = Access {
            token,
            ..Access::default()
        };
        let login = config
            .token_file
            .map(|file| ("--nats-token-file", file))
            .into_iter()
            .collect();
        (None, address, access, login)
    } else {
        let plan = server::Plan {
            session: session.clone(),
            nodes: vec![node.clone()],
            reach: Reach::Loopback,
            keep: durable.as_ref().map_or(Keep::Nothing, Durable::keep),
        };
        let server = Server::start(plan).await.context("no NATS server")?;
        let login = server.agent(&node).context("the agent has no login")?;
        let login = login_files(login, server.folder())
            .context("cannot write the agent's login into a file")?;
        let (address, access) = (server.address.clone(), server.access());
        (Some(server), address, access, login)
    };
    let mut connection = Connection::open(address.clone(), access).await?;
    let reading = match &durable {
        None => {
            let subscriber = connection.subscribe(Some(&session)).await?;
            Reading::live(connection, subscriber)
        }
        Some(durable) => durable::reading(connection, Some(&session), durable, bookmark).await?,
    };
    let plan = Plan {
        targets: config.targets,
        probes: config.settings.probes,
        tools_dirs: config.tools_dirs,
        perf_pages: config.perf_pages,
        nats: address,
        login,
        journal: durable.as_ref().and_then(Durable::journal),
        durable: durable.map(|durable| durable.store),
        session,
        node,
    };
    let agent = Agent::start(agent, &plan).context("no agent")?;
    mention(format!(
        "tracing {}; the probes are being attached",
        names(&plan.targets)
    ));
    let own = Own {
        session: plan.session,
        agents: Agents::Child {
            agent,
            node: plan.node,
        },
        server,
        failed: None,
    };
    Ok((reading, own))
}

/// Writes an agent's login into files of a private folder, by the agent's flags for them.
fn login_files(login: &Login, folder: &Path) -> std::io::Result<Vec<(&'static str, PathBuf)>> {
    let files = [
        ("--nats-user-file", "agent.user", &login.user),
        ("--nats-password-file", "agent.password", &login.password),
    ];
    files
        .into_iter()
        .map(|(flag, name, text)| {
            let path = folder.join(name);
            write_secret(&path, text)?;
            Ok((flag, path))
        })
        .collect()
}

/// Says at once what the agent would find out after its start.
fn must_exist(target: &Target) -> Result<(), Failure> {
    let Target::Pid(pid) = target else {
        return Ok(());
    };
    if Path::new("/proc").join(pid.to_string()).exists() {
        return Ok(());
    }
    let error =
        anyhow!("there is no process {pid}: give the PID as this machine's own `ps` shows it");
    Err(Failure::new(Exit::NoTarget, error))
}

/// This machine's name.
pub(crate) fn host_name() -> anyhow::Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .context("this machine's name is not known")?;
    Ok(name.trim().to_owned())
}

fn names(targets: &[Target]) -> String {
    let names: Vec<_> = targets.iter().map(Target::to_string).collect();
    names.join(", ")
}
