//! Where the records go: the NATS server that agents and hub have in common.

mod here;
mod route;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use tempfile::NamedTempFile;
use x_k8s::manifest::{self, Bundle, NATS_PORT, NatsSecrets, NatsServerSpec, nats_name};
use x_k8s::portforward::PortForward;

use here::{HUB_PORT, bracketed, listen, own_address};
use route::NodeLogins;
pub(super) use route::Route;

use super::aim::Node;
use super::fleet::{Base, Link};
use super::orders::{Orders, Signer};
use super::{Config, made_by};
use crate::console::{mention, say};
use crate::durable::{self, Durable};
use crate::exit::Failure;
use crate::receive::{Access, Address, Connection};
use crate::server::{
    self, Certificate, Gate, Issuer, Keep, LOGIN_TIME, Reach, Server, ServerError, hub_inbox,
};
use crate::session::Reading;
use crate::show::Bookmark;

/// What the user wants.
#[derive(Clone, Debug)]
pub(crate) enum Nats {
    /// A server that this hub starts.
    Own,
    /// The same, and one in the cluster if agents can't reach it.
    Auto,
    /// A server in the cluster.
    InCluster,
    /// The user's own.
    At(Address),
}

/// The way that is tried.
#[derive(Clone, Copy)]
pub(super) enum Way<'a> {
    /// A server that this hub starts; there may be another way if agents can't reach it.
    Own { alternative: bool },
    /// A server in the cluster.
    InCluster,
    /// The user's own.
    At(&'a Address),
}

/// A server that stands ready, and the connection to it.
pub(super) struct Place {
    /// What comes from this session.
    pub reading: Reading,
    /// For the agents.
    pub route: Route,
    /// The server, if this hub has started it as a child.
    pub server: Option<Server>,
    /// Whether agents of more nodes may come.
    pub door: Door,
    /// What else is known about it.
    pub link: Link,
}

/// Whether agents of more nodes may log in to a server that runs.
pub(super) enum Door {
    /// Each needs a login of its own, which the server can't be given any more, for this reason.
    Shut(String),
    /// As the others do.
    Open,
    /// Each with a login of its own, once the server knows that.
    Gate(Box<Gate>),
}

impl Door {
    /// That of a server of ours. One that can't be reached again, as on a kernel before Linux 5.3, serves
    /// those whom it knows.
    fn of(server: &Server) -> Self {
        match server.gate() {
            Ok(gate) => Self::Gate(Box::new(gate)),
            Err(error) => Self::Shut(error.to_string()),
        }
    }
}

impl Nats {
    /// The first way to try.
    pub(super) fn way(&self) -> Way<'_> {
        match self {
            Self::Own => Way::Own { alternative: false },
            Self::Auto => Way::Own { alternative: true },
            Self::InCluster => Way::InCluster,
            Self::At(address) => Way::At(address),
        }
    }

    /// Whether another way may be tried.
    pub(super) fn is_auto(&self) -> bool {
        matches!(self, Self::Auto)
    }
}

impl Place {
    /// Opens it.
    ///
    /// # Errors
    /// When the server does not come up or does not let us in. What was made in the cluster stays.
    pub(super) async fn open(
        base: &Base,
        config: &Config,
        nodes: &[Node],
        way: Way<'_>,
    ) -> Result<Self, Failure> {
        match way {
            Way::Own { alternative } => match own_address(base, config).await {
                Ok(address) => Self::own(base, config, nodes, address, alternative).await,
                Err(failure) if alternative => {
                    say(format!("{:#}; trying in the cluster", failure.error));
                    Box::pin(Self::in_cluster(base, config, nodes)).await
                }
                Err(failure) => Err(failure),
            },
            Way::InCluster => Box::pin(Self::in_cluster(base, config, nodes)).await,
            Way::At(address) => Self::at(base, config, address).await,
        }
    }

    async fn own(
        base: &Base,
        config: &Config,
        nodes: &[Node],
        hub: String,
        alternative: bool,
    ) -> Result<Self, Failure> {
        let durable = config.durable.as_ref();
        let (listen, port) = listen(&hub);
        let plan = |port| server::Plan {
            session: base.session.to_string(),
            nodes: nodes.iter().map(|node| node.name.clone()).collect(),
            reach: Reach::Network {
                listen,
                port,
                names: vec![hub.clone()],
            },
            keep: durable.map_or(Keep::Nothing, Durable::keep),
        };
        let server = match Server::start(plan(port)).await {
            // Another hub may have taken the port in this moment.
            Err(ServerError::Ended { .. }) if port != 0 => Server::start(plan(0)).await,
            outcome => outcome,
        };
        let server = server.context("no NATS server")?;
        let signer = Signer::new();
        let url = format!("tls://{}:{}", bracketed(&hub), server.port);
        let route = Route {
            url: (server.port != HUB_PORT).then(|| url.clone()),
            host: None,
            logins: NodeLogins::of(server.logins(), server.ca.as_deref()),
            hub_address: Some(hub),
            own_server: true,
            orders_from: signer.public(),
        };
        mention(format!("agents will connect to this machine at {url}"));
        let link = Link {
            remedy: format!(
                "agents connect to {url}: let them (a firewall?), name this machine's right address with --hub-address, or use --nats in-cluster"
            ),
            alternative,
            forward: None,
            orders: Arc::new(Orders::open(signer, &server.address, &server.access()).await?),
        };
        let connection = Connection::open(server.address.clone(), server.access()).await?;
        let reading = read(base, connection, durable, None).await?;
        Ok(Self {
            reading,
            route,
            door: Door::of(&server),
            server: Some(server),
            link,
        })
    }

    async fn at(base: &Base, config: &Config, address: &Address) -> Result<Self, Failure> {
        let durable = config.durable.as_ref();
        let session = base.session.as_str();
        let signer = Signer::new();
        let bookmark = match durable {
            Some(durable) => Some(durable.bookmark_at(address, Some(session))?),
            None => None,
        };
        let connection = Connection::open(address.clone(), config.access.clone()).await?;
        let reading = read(base, connection, durable, bookmark).await?;
        if durable.is_some() {
            mention(format!(
                "if this x-tracer is killed, its agents trace on for {:.0?} or until `x-tracer cleanup`; go on with: x-tracer listen --durable --nats {address} --session {session}",
                config.alone
            ));
        }
        Ok(Self {
            reading,
            route: Route::to(address, &config.access, signer.public())?,
            server: None,
            door: Door::Open,
            link: Link {
                remedy: format!(
                    "agents connect to {address}, as this machine does: check that pods may, or use --nats in-cluster"
                ),
                alternative: false,
                forward: None,
                orders: Arc::new(Orders::open(signer, address, &config.access).await?),
            },
        })
    }

    async fn in_cluster(base: &Base, config: &Config, nodes: &[Node]) -> Result<Self, Failure> {
        let (bundle, issuer, ca) = server_pod(base, config, nodes)?;
        mention(format!(
            "making a NATS server in the cluster: {}/{}",
            bundle.namespace(),
            bundle.name()
        ));
        let up = base.roll_out("the NATS server", &bundle).await;
        let up = up.ok_or_else(|| Failure::from(anyhow!("ended while it was starting")))??;
        let ip = up.ip.as_deref().and_then(|ip| ip.parse().ok());
        let ip: IpAddr = ip.ok_or_else(|| {
            anyhow!(
                "the NATS server's pod {}/{} has no address; look at it with: kubectl describe pod -n {} {}",
                up.namespace, up.name, up.namespace, up.name
            )
        })?;
        let forward = PortForward::open(&base.cluster, &up.namespace, &up.name, NATS_PORT).await?;
        let at = forward.address();
        let address = Address::tls(at.ip(), at.port());
        let authority = file(&ca).context("cannot keep the server's authority in a file")?;
        let login = issuer.hub().context("the hub's login can't be signed")?;
        let login = file(&login).context("cannot keep the hub's login in a file")?;
        let access = Access {
            creds: Some(login.path().to_owned()),
            tls_ca: Some(authority.path().to_owned()),
            inbox: Some(hub_inbox(base.session.as_str())),
            ..Access::default()
        };
        let signer = Signer::new();
        let orders_from = signer.public();
        let orders = Orders::open(signer, &address, &access).await?;
        let connection = Connection::open(address, access).await?;
        let reading = read(base, connection, None, None).await?;
        let name = nats_name(&base.session);
        let url = format!("tls://{name}:{NATS_PORT}");
        Ok(Self {
            reading,
            server: None,
            door: Door::Open,
            link: Link {
                remedy: format!(
                    "agents connect to {url}, the pod at {ip}: check that no network policy of the namespace {} forbids it, or use --nats URL",
                    base.namespace
                ),
                alternative: false,
                forward: Some(Box::new((forward, [authority, login]))),
                orders: Arc::new(orders),
            },
            route: Route {
                url: Some(url),
                host: Some((name, ip)),
                logins: NodeLogins::Signed { issuer, ca },
                hub_address: None,
                own_server: true,
                orders_from,
            },
        })
    }
}

/// What would be made, for `--dry-run`: the server in the cluster, and what agents would know.
///
/// # Errors
/// When this machine's address is not known.
pub(super) async fn planned(
    base: &Base,
    config: &Config,
    nodes: &[Node],
) -> Result<(Option<Bundle>, Route), Failure> {
    let orders_from = Signer::new().public();
    Ok(match &config.nats {
        Nats::At(address) => (None, Route::to(address, &config.access, orders_from)?),
        Nats::Own | Nats::Auto => {
            let route = Route {
                hub_address: Some(own_address(base, config).await?),
                logins: NodeLogins::Same(NatsSecrets {
                    token: Some("made-when-the-server-starts".to_owned()),
                    ..NatsSecrets::default()
                }),
                url: None,
                host: None,
                own_server: true,
                orders_from,
            };
            (None, route)
        }
        Nats::InCluster => {
            let (bundle, issuer, ca) = server_pod(base, config, nodes)?;
            let route = Route {
                url: Some(format!("tls://{}:{NATS_PORT}", nats_name(&base.session))),
                // The pod's address, which agents know the name's by, is not known before it runs.
                host: None,
                logins: NodeLogins::Signed { issuer, ca },
                hub_address: None,
                own_server: true,
                orders_from,
            };
            (Some(bundle), route)
        }
    })
}

/// The server in the cluster, who lets others in to it, and the authority that it is known by.
fn server_pod(
    base: &Base,
    config: &Config,
    nodes: &[Node],
) -> Result<(Bundle, Box<Issuer>, String), Failure> {
    let issuer = Box::new(Issuer::new(base.session.as_str()));
    let trust = issuer
        .trust()
        .context("the server's trust can't be signed")?;
    // Agents come by its name, the hub by a forwarded port of this machine.
    let hosts = [
        nats_name(&base.session),
        Ipv4Addr::LOCALHOST.to_string(),
        Ipv6Addr::LOCALHOST.to_string(),
    ];
    let Certificate { ca, server, key } =
        Certificate::new(base.session.as_str(), &hosts).context("cannot make a certificate")?;
    let spec = NatsServerSpec {
        session: base.session.clone(),
        namespace: base.namespace.clone(),
        image: nodes
            .first()
            .map_or_else(String::new, |node| node.image.clone()),
        pull_policy: config.pod.pull_policy,
        pull_secrets: config.pod.pull_secrets.clone(),
        trust,
        login_time: LOGIN_TIME,
        certificate: (server, key),
        deadline_seconds: None,
        made_by: Some(made_by()),
    };
    let bundle = manifest::nats_server(&spec).map_err(x_k8s::Error::from)?;
    Ok((bundle, issuer, ca))
}

/// A text in a file that goes with what is returned.
fn file(text: &str) -> std::io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("x-tracer-").tempfile()?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// What comes from the session, as it comes or as a stream keeps it.
async fn read(
    base: &Base,
    mut connection: Connection,
    durable: Option<&Durable>,
    bookmark: Option<Bookmark>,
) -> Result<Reading, Failure> {
    let session = Some(base.session.as_str());
    if let Some(durable) = durable {
        return durable::reading(connection, session, durable, bookmark).await;
    }
    let subscriber = connection.subscribe(session).await?;
    Ok(Reading::live(connection, subscriber))
}
