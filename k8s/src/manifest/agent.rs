//! The agent's pod.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, HostAlias, LocalObjectReference, Pod, PodSpec, Secret,
    Service, ServicePort, ServiceSpec, Toleration,
};

use super::secrets::NatsSecrets;
use super::session::{MADE_BY, Session, agent_name, service_name};
use super::{Bundle, SpecError};
use crate::node::HOSTNAME_LABEL;

mod needs;
mod volumes;

pub use needs::{PullPolicy, Resources, Rights};

/// The original's name of the container.
const CONTAINER: &str = "agent";
/// The original's label value.
pub(crate) const AGENT: &str = "x-agent";
/// The port of the original's container and Service. Nothing listens there, then as now.
const GRPC_PORT: i32 = 5555;
/// Time to detach probes and remove maps after SIGTERM.
const GRACE_SECONDS: i64 = 20;

/// An agent ends itself when nobody has listened for so many seconds: a killed hub removes nothing. A server
/// of the session's own ends with the session.
const UNHEARD_BY_OWN: &str = "30";
/// The same on the user's server: longer than that may be away, of whose absence the agent keeps the records.
const UNHEARD_BY_OTHERS: &str = "90";

/// Everything that decides what an agent's pod looks like.
#[derive(Debug, Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "questions to the user, each of its own"
)]
pub struct AgentSpec {
    /// The session that it belongs to.
    pub session: Session,
    /// The namespace to make it in.
    pub namespace: String,
    /// The node to run on, by name.
    pub node: String,
    /// That node's value of `kubernetes.io/hostname`; without one, the pod is bound to the node by name.
    pub hostname_label: Option<String>,
    /// The image, with its tag.
    pub image: String,
    /// When to pull it.
    pub pull_policy: PullPolicy,
    /// Secrets to pull it with, by name.
    pub pull_secrets: Vec<String>,
    /// What to trace; all on this node.
    pub targets: Vec<AgentTarget>,
    /// Names of the probes.
    pub probes: Vec<String>,
    /// What their rings hold at least, each as the agent's `--perf-pages` has it.
    pub perf_pages: Vec<String>,
    /// The NATS server, where it is not the hub's own. A login in it moves to the Secret.
    pub nats_url: Option<String>,
    /// A name in that URL which only the agent's pod is to know, and its address.
    pub nats_host: Option<(String, IpAddr)>,
    /// How to log in to it.
    pub nats_secrets: NatsSecrets,
    /// The server is the session's own, and ends with it.
    pub own_server: bool,
    /// The public key of the hub from whom the agent takes orders to trace more.
    pub orders_from: Option<String>,
    /// A stream of the server keeps the records. On a server that is not the session's own, the agent then
    /// traces on without a hub, for one that comes back.
    pub durable: bool,
    /// For so many seconds.
    pub alone_seconds: u64,
    /// The hub's address (`masterIp`): where its own NATS server is when no URL is given.
    pub hub_address: Option<String>,
    /// What the container may do.
    pub rights: Rights,
    /// What the container may use.
    pub resources: Resources,
    /// End the pod after so many seconds, whatever happens.
    pub deadline_seconds: Option<u32>,
    /// Make the original's Service too.
    pub service: bool,
    /// Mount `/etc/localtime`, so that HH:MM:SS is the node's time. A node may lack that file.
    pub localtime: bool,
    /// Who asks for it, as `user@machine`; an annotation for whoever finds it.
    pub made_by: Option<String>,
}

/// One container to trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentTarget {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container's name.
    pub container: String,
    /// The container's ID without its runtime.
    pub id: String,
    /// Its cgroup tells its processes from the rest: they are in the node's PID namespace.
    pub by_cgroup: bool,
}

impl fmt::Display for AgentTarget {
    /// As the agent's `--target` has it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            pod,
            container,
            id,
            by_cgroup,
        } = self;
        let key = if *by_cgroup { "cgroup" } else { "container" };
        write!(
            formatter,
            "{key}:{id},namespace={namespace},pod={pod},name={container}"
        )
    }
}

/// The agent of one node and what belongs to it.
///
/// # Errors
/// [`SpecError`] for what Kubernetes or the agent would refuse.
pub fn agent(spec: &AgentSpec) -> Result<Bundle, SpecError> {
    check(spec)?;
    let mut secrets = spec.nats_secrets.clone();
    let url = spec
        .nats_url
        .as_deref()
        .map(|url| secrets.take_from_url(url))
        .transpose()?;
    let name = agent_name(&spec.session, &spec.node);
    let secret = (!secrets.files().is_empty()).then(|| Secret {
        metadata: spec.session.metadata(&spec.namespace, name.clone(), AGENT),
        data: Some(secrets.data()),
        ..Secret::default()
    });
    let mut metadata = spec.session.metadata(&spec.namespace, name.clone(), AGENT);
    metadata.annotations = annotations(spec);
    let pod = Pod {
        metadata,
        spec: Some(PodSpec {
            containers: vec![container(spec, url.as_deref(), &secrets)],
            volumes: Some(volumes::volumes(
                spec,
                secret.is_some().then_some(name.as_str()),
            )),
            node_selector: spec
                .hostname_label
                .as_ref()
                .map(|label| BTreeMap::from([(HOSTNAME_LABEL.to_owned(), label.clone())])),
            node_name: spec.hostname_label.is_none().then(|| spec.node.clone()),
            // The node was chosen by the pod to trace: no taint may keep the agent away from it.
            tolerations: Some(vec![Toleration {
                operator: Some("Exists".to_owned()),
                ..Toleration::default()
            }]),
            host_pid: Some(true),
            host_aliases: spec.nats_host.as_ref().map(|(name, address)| {
                vec![HostAlias {
                    hostnames: Some(vec![name.clone()]),
                    ip: address.to_string(),
                }]
            }),
            restart_policy: Some("Never".to_owned()),
            active_deadline_seconds: spec.deadline_seconds.map(i64::from),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            image_pull_secrets: references(&spec.pull_secrets),
            ..PodSpec::default()
        }),
        ..Pod::default()
    };
    Ok(Bundle {
        pod,
        secret,
        service: spec.service.then(|| service(spec, &name)),
    })
}

pub(super) fn references(names: &[String]) -> Option<Vec<LocalObjectReference>> {
    (!names.is_empty()).then(|| {
        names
            .iter()
            .map(|name| LocalObjectReference { name: name.clone() })
            .collect()
    })
}

fn check(spec: &AgentSpec) -> Result<(), SpecError> {
    if spec.targets.is_empty() {
        return Err(SpecError::NoTarget);
    }
    if spec.nats_url.is_none() && spec.hub_address.is_none() {
        return Err(SpecError::NoNats);
    }
    check_image(&spec.image)?;
    for target in &spec.targets {
        let hex = !target.id.is_empty() && target.id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hex {
            return Err(SpecError::value(
                "a container's ID",
                &target.id,
                "it is not hexadecimal",
            ));
        }
        for name in [&target.namespace, &target.pod, &target.container] {
            if name.is_empty()
                || name.contains([',', '=', '$'])
                || name.contains(char::is_whitespace)
            {
                return Err(SpecError::value(
                    "a target's name",
                    name,
                    "Kubernetes has no such names",
                ));
            }
        }
    }
    Ok(())
}

pub(super) fn check_image(image: &str) -> Result<(), SpecError> {
    if image.is_empty()
        || image.contains(|character: char| character.is_whitespace() || character.is_control())
    {
        return Err(SpecError::value(
            "the image",
            image,
            "it must be a name like registry/x-agent:tag",
        ));
    }
    Ok(())
}

fn annotations(spec: &AgentSpec) -> Option<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    if let Some(who) = &spec.made_by {
        all.insert(MADE_BY.to_owned(), who.clone());
    }
    if spec.rights != Rights::Privileged {
        // A runtime's AppArmor profile refuses mounts and looks into processes of other profiles whatever
        // the capabilities. The field of the same meaning is new in 1.30; the annotation works before and after.
        all.insert(
            format!("container.apparmor.security.beta.kubernetes.io/{CONTAINER}"),
            "unconfined".to_owned(),
        );
    }
    (!all.is_empty()).then_some(all)
}

fn container(spec: &AgentSpec, url: Option<&str>, secrets: &NatsSecrets) -> Container {
    Container {
        name: CONTAINER.to_owned(),
        image: Some(spec.image.clone()),
        image_pull_policy: Some(spec.pull_policy.name()),
        args: Some(arguments(spec)),
        env: Some(environment(spec, url, secrets)),
        ports: spec.service.then(|| {
            vec![ContainerPort {
                name: Some("grpc".to_owned()),
                container_port: GRPC_PORT,
                protocol: Some("TCP".to_owned()),
                ..ContainerPort::default()
            }]
        }),
        resources: Some(spec.resources.requirements()),
        security_context: Some(spec.rights.security()),
        // The reason of an early end is in the agent's last words; the API then carries them to the hub.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(volumes::mounts(spec, !secrets.files().is_empty())),
        ..Container::default()
    }
}

fn arguments(spec: &AgentSpec) -> Vec<String> {
    spec.targets
        .iter()
        .flat_map(|target| ["--target".to_owned(), target.to_string()])
        .collect()
}

/// The original's three names first and in its order, then ours.
fn environment(spec: &AgentSpec, url: Option<&str>, secrets: &NatsSecrets) -> Vec<EnvVar> {
    let mut all = vec![variable(
        "containerId",
        spec.targets.first().map_or("", |target| &target.id),
    )];
    all.push(variable("tools", &spec.probes.join(",")));
    if !spec.perf_pages.is_empty() {
        all.push(variable("XTRACER_PERF_PAGES", &spec.perf_pages.join(",")));
    }
    if let Some(address) = &spec.hub_address {
        all.push(variable("masterIp", address));
    }
    if let Some(url) = url {
        all.push(variable("XTRACER_NATS", url));
    }
    if secrets.tls_first {
        all.push(variable("XTRACER_NATS_TLS_FIRST", "true"));
    }
    all.push(variable("XTRACER_SESSION", spec.session.as_str()));
    all.push(variable("XTRACER_NODE", &spec.node));
    let unheard = if spec.own_server {
        UNHEARD_BY_OWN
    } else {
        UNHEARD_BY_OTHERS
    };
    if spec.own_server || !spec.durable {
        all.push(variable("XTRACER_END_UNHEARD", unheard));
    }
    if spec.durable {
        all.push(variable("XTRACER_DURABLE", "true"));
        let alone = spec.alone_seconds.to_string();
        all.push(variable("XTRACER_END_ALONE", &alone));
        // A pod's files go with it: who replaces it would not find them.
        all.push(variable("XTRACER_JOURNAL", ""));
    }
    if let Some(key) = &spec.orders_from {
        all.push(variable("XTRACER_ORDERS_FROM", key));
    }
    all.extend(
        secrets
            .files()
            .iter()
            .map(|file| variable(file.variable, &file.path())),
    );
    all
}

/// Kubernetes replaces `$(NAME)` in values; `$$` stands for a dollar sign that means itself.
fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.replace('$', "$$")),
        value_from: None,
    }
}

fn service(spec: &AgentSpec, pod: &str) -> Service {
    let name = service_name(pod).unwrap_or_else(|| pod.to_owned());
    Service {
        metadata: spec.session.metadata(&spec.namespace, name, AGENT),
        spec: Some(ServiceSpec {
            selector: Some(spec.session.labels(AGENT)),
            ports: Some(vec![ServicePort {
                name: Some("grpc".to_owned()),
                protocol: Some("TCP".to_owned()),
                port: GRPC_PORT,
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
