//! `x-tracer trace`.

use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use x_k8s::find::{Choice, Reference};
use x_k8s::manifest::{PullPolicy, Rights};

use super::cluster::ClusterArgs;
use super::durable::DurableArgs;
use super::login::LoginArgs;
use super::shared::{Output, ProbeList, RingArgs, ShowArgs, duration, probes};
use crate::complete;
use crate::exit::{Exit, Failure};
use crate::receive::Address;
use crate::trace::{self, Aim, Config, Nats, PodConfig, Request};

/// Flags of `trace`.
#[derive(Args, Debug)]
pub struct TraceArgs {
    #[command(flatten)]
    targets: TargetArgs,
    /// Probes to run, separated by commas: names, `tcp` for the four TCP tools, `all` for seven
    #[arg(long, value_name = "LIST", default_value = "all", value_parser = probes)]
    probes: ProbeList,
    #[command(flatten)]
    pub(super) show: ShowArgs,
    /// Print the objects that would be made, as YAML, and make none
    #[arg(long, value_enum, value_name = "WHERE")]
    dry_run: Option<DryRun>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    agent: AgentArgs,
    /// NATS server: `own` (one that this hub starts), `in-cluster` (a pod), `auto` (own, and
    /// in-cluster if agents can't reach it), or the URL of yours
    #[arg(long, value_name = "WHERE|URL", default_value = "own", value_parser = nats, help_heading = "NATS")]
    nats: Nats,
    /// Address at which agents reach this machine [default: of the node that is called as this machine]
    #[arg(
        long,
        env = "XTRACER_HUB_ADDRESS",
        value_name = "ADDRESS",
        help_heading = "NATS"
    )]
    hub_address: Option<String>,
    /// The cluster is kind's: take the address of its control-plane node for this machine's
    #[arg(long, help_heading = "NATS")]
    kind: bool,
    #[command(flatten)]
    durable: DurableArgs,
    /// Time that agents whose records a stream keeps trace on when no x-tracer reads them
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration, help_heading = "Durable")]
    durable_alone: Duration,
    #[command(flatten)]
    login: LoginArgs,
}

/// What to trace.
#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "flags, each of its own")]
struct TargetArgs {
    /// What to trace: POD, pod/NAME, deployment/NAME, statefulset/NAME, daemonset/NAME, job/NAME, replicaset/NAME;
    /// with nothing named, a terminal shows the pods to choose from
    #[arg(value_name = "POD|KIND/NAME", add = ArgValueCompleter::new(complete::targets))]
    references: Vec<Reference>,
    /// Pods by name, besides those named before; repeat it, or separate several by commas
    #[arg(short, long, visible_alias = "pod", value_name = "POD", value_delimiter = ',', add = ArgValueCompleter::new(complete::pods))]
    podname: Vec<Reference>,
    /// Namespace of the pods [default: the context's]
    #[arg(short, long, value_name = "NAME", conflicts_with = "all_namespaces", add = ArgValueCompleter::new(complete::namespaces))]
    namespace: Option<String>,
    /// Pods of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Pods with these labels, as in `kubectl get -l`
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Pods with these fields, as in `kubectl get --field-selector`
    #[arg(long, value_name = "SELECTOR")]
    field_selector: Option<String>,
    /// Pods of this node only
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Container to trace [default: all that run]
    #[arg(short, long, value_name = "NAME", add = ArgValueCompleter::new(complete::containers))]
    container: Option<String>,
    /// All containers of the pods; it is the default
    #[arg(long, conflicts_with = "container")]
    all_containers: bool,
    /// Wait until there is something to trace, instead of failing
    #[arg(long)]
    wait: bool,
    /// Trace pods that use the node's PID namespace (hostPID) too: by the containers' cgroups
    #[arg(long)]
    host_pid_ok: bool,
}

/// The agent's pod.
#[derive(Args, Debug)]
#[command(next_help_heading = "Agent")]
struct AgentArgs {
    /// The agent's image; without a tag, the one that fits the node's kernel is added
    #[arg(
        long,
        env = "XTRACER_IMAGE",
        value_name = "IMAGE",
        default_value = "x-agent"
    )]
    image: String,
    /// When to pull it
    #[arg(
        long,
        value_enum,
        ignore_case = true,
        value_name = "POLICY",
        default_value = "IfNotPresent"
    )]
    image_pull_policy: Pull,
    /// Secret of the agent's namespace to pull it with; repeat it for several
    #[arg(long = "image-pull-secret", value_name = "NAME")]
    image_pull_secrets: Vec<String>,
    /// Namespace to make the agents in
    #[arg(
        long,
        env = "XTRACER_AGENT_NAMESPACE",
        value_name = "NAME",
        default_value = "default",
        add = ArgValueCompleter::new(complete::namespaces)
    )]
    agent_namespace: String,
    /// Give the agent every right, where fewer do not work
    #[arg(long, conflicts_with = "rights")]
    privileged: bool,
    /// The agent's rights: `admin` (`SYS_ADMIN`, `SYSLOG`, `SYS_PTRACE`) or, where the node's
    /// `perf_event_paranoid` is 2 or less, `bpf` (`BPF` and `PERFMON` instead of `SYS_ADMIN`)
    #[arg(long, value_enum, value_name = "RIGHTS", default_value = "admin")]
    rights: RightsArg,
    /// Leave out the node's /etc/localtime, where there is none: clocks are in UTC then
    #[arg(long)]
    no_localtime: bool,
    #[command(flatten)]
    rings: RingArgs,
    /// Time that an agent may take to come up
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    start_timeout: Duration,
}

/// kubectl's word for a run that changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DryRun {
    /// Nothing is sent that would change anything
    Client,
}

/// Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Pull {
    /// Each time
    Always,
    /// If the node does not have it
    IfNotPresent,
    /// Never: the node must have it
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RightsArg {
    Admin,
    Bpf,
}

fn nats(text: &str) -> Result<Nats, String> {
    Ok(match text {
        "own" => Nats::Own,
        "auto" => Nats::Auto,
        "in-cluster" => Nats::InCluster,
        url => Nats::At(
            url.parse::<Address>()
                .map_err(|error| format!("{error}; or one of own, in-cluster, auto"))?,
        ),
    })
}

impl TargetArgs {
    /// Whether it says which pods.
    fn is_named(&self) -> bool {
        !self.references.is_empty()
            || !self.podname.is_empty()
            || self.selector.is_some()
            || self.field_selector.is_some()
            || self.node.is_some()
    }

    fn aim(self) -> Result<Aim, Failure> {
        if !self.is_named() && !trace::can_ask() {
            let error = anyhow!(
                "no pod is named: give POD or KIND/NAME (with -n NAMESPACE), -l SELECTOR, --field-selector or --node; list pods with: kubectl get pods -A"
            );
            return Err(Failure::new(Exit::Usage, error));
        }
        Ok(Aim {
            references: [self.references, self.podname].concat(),
            namespace: self.namespace,
            everywhere: self.all_namespaces,
            labels: self.selector,
            fields: self.field_selector,
            node: self.node,
            choice: Choice {
                container: self.container,
                host_pid_ok: self.host_pid_ok,
            },
            wait: self.wait,
        })
    }
}

impl AgentArgs {
    fn config(self) -> PodConfig {
        PodConfig {
            namespace: self.agent_namespace,
            image: self.image,
            pull_policy: match self.image_pull_policy {
                Pull::Always => PullPolicy::Always,
                Pull::IfNotPresent => PullPolicy::IfNotPresent,
                Pull::Never => PullPolicy::Never,
            },
            pull_secrets: self.image_pull_secrets,
            rights: match self.rights {
                _ if self.privileged => Rights::Privileged,
                RightsArg::Admin => Rights::Admin,
                RightsArg::Bpf => Rights::Bpf,
            },
            localtime: !self.no_localtime,
            perf_pages: self.rings.perf_pages,
            service: false,
            start_timeout: self.start_timeout,
        }
    }
}

impl TraceArgs {
    /// What it means.
    pub(crate) fn request(self) -> Result<Request, Failure> {
        let usage = |text: &'static str| Err(Failure::new(Exit::Usage, anyhow!(text)));
        if self.dry_run.is_some() && !matches!(self.show.output, None | Some(Output::Yaml)) {
            return usage("--dry-run prints YAML: leave -o out, or say -o yaml");
        }
        let pick = !self.targets.is_named();
        let durable = self.durable.config();
        if durable.is_some() && matches!(self.nats, Nats::Auto | Nats::InCluster) {
            return usage(
                "a server in the cluster has no disk to keep records on: --durable goes with --nats own or the URL of yours",
            );
        }
        let config = Config {
            aim: self.targets.aim()?,
            settings: self.show.settings(self.probes.of_target()?),
            pod: self.agent.config(),
            nats: self.nats,
            access: self.login.access()?,
            hub_address: self.hub_address,
            kind: self.kind,
            durable,
            alone: self.durable_alone,
        };
        Ok(Request {
            config,
            cluster: self.cluster.options(),
            dry_run: self.dry_run.is_some(),
            pick,
        })
    }
}
