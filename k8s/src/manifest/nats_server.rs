//! A NATS server of the session's own, in the cluster, where pods cannot reach the hub.
//!
//! Agents know the pod by its name, which their own pods have in `/etc/hosts`: that needs neither cluster DNS
//! nor kube-proxy, and the pod is never replaced. The certificate is for that name: it is made before
//! the pod has an address. The Service is for other clients (`nats sub`) in the cluster.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, Pod, PodSecurityContext, PodSpec, Probe,
    SeccompProfile, Secret, SecretVolumeSource, SecurityContext, Service, ServicePort, ServiceSpec,
    TCPSocketAction, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::json;

use super::agent::{check_image, references};
use super::secrets::FOLDER;
use super::session::MADE_BY;
use super::{Bundle, PullPolicy, Resources, Session, SpecError, nats_name};

/// The port that the server listens on.
pub const NATS_PORT: u16 = 4222;
const CONFIGURATION: &str = "nats.conf";
const CERTIFICATE: &str = "server.crt";
const KEY: &str = "server.key";
const APP_VALUE: &str = "x-tracer-nats";
/// Nobody: the server needs no right at all.
const NOBODY: i64 = 65_534;

/// What decides what the server's pod looks like.
#[derive(Clone)]
pub struct NatsServerSpec {
    /// The session that it belongs to.
    pub session: Session,
    /// The namespace to make it in.
    pub namespace: String,
    /// The agent's image: it holds `nats-server` as well.
    pub image: String,
    /// When to pull it.
    pub pull_policy: PullPolicy,
    /// Secrets to pull it with, by name.
    pub pull_secrets: Vec<String>,
    /// Whose signature lets others in: the server's `operator` and what belongs to it, as JSON.
    pub trust: serde_json::Value,
    /// Seconds that a client may take for the TLS and for its login.
    pub login_time: u32,
    /// What it proves with that it is the server, and its key: both PEM.
    pub certificate: (String, String),
    /// End the pod after so many seconds, whatever happens.
    pub deadline_seconds: Option<u32>,
    /// Who asks for it, as `user@machine`.
    pub made_by: Option<String>,
}

/// The server and what belongs to it.
///
/// # Errors
/// [`SpecError`] for an image that can't be one, and for a server that anybody may use.
pub fn nats_server(spec: &NatsServerSpec) -> Result<Bundle, SpecError> {
    check_image(&spec.image)?;
    let operator = spec.trust["operator"].as_str();
    if operator.is_none_or(str::is_empty) {
        return Err(SpecError::value(
            "the NATS server's trust",
            "…",
            "without an operator, everybody could log in",
        ));
    }
    let name = nats_name(&spec.session);
    let metadata = || {
        spec.session
            .metadata(&spec.namespace, name.clone(), APP_VALUE)
    };
    let mut configuration = spec.trust.clone();
    configuration["port"] = NATS_PORT.into();
    configuration["authorization"] = json!({ "timeout": spec.login_time });
    configuration["tls"] = json!({
        "cert_file": format!("{FOLDER}/{CERTIFICATE}"),
        "key_file": format!("{FOLDER}/{KEY}"),
        "timeout": spec.login_time,
    });
    let (certificate, key) = spec.certificate.clone();
    let files = [
        (CONFIGURATION, format!("{configuration}\n")),
        (CERTIFICATE, certificate),
        (KEY, key),
    ];
    let files = files.map(|(name, content)| (name.to_owned(), ByteString(content.into_bytes())));
    let secret = Secret {
        metadata: metadata(),
        data: Some(BTreeMap::from(files)),
        ..Secret::default()
    };
    let mut pod_metadata = metadata();
    pod_metadata.annotations = spec
        .made_by
        .as_ref()
        .map(|who| BTreeMap::from([(MADE_BY.to_owned(), who.clone())]));
    let pod = Pod {
        metadata: pod_metadata,
        spec: Some(pod_spec(spec, &name)),
        ..Pod::default()
    };
    let service = Service {
        metadata: metadata(),
        spec: Some(ServiceSpec {
            selector: Some(spec.session.labels(APP_VALUE)),
            ports: Some(vec![ServicePort {
                name: Some("nats".to_owned()),
                port: i32::from(NATS_PORT),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    };
    Ok(Bundle {
        pod,
        secret: Some(secret),
        service: Some(service),
    })
}

fn pod_spec(spec: &NatsServerSpec, secret: &str) -> PodSpec {
    PodSpec {
        containers: vec![container(spec)],
        volumes: Some(vec![Volume {
            name: "configuration".to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(secret.to_owned()),
                // Readable by the group that fsGroup makes the owner.
                default_mode: Some(0o440),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        }]),
        restart_policy: Some("Never".to_owned()),
        active_deadline_seconds: spec.deadline_seconds.map(i64::from),
        termination_grace_period_seconds: Some(5),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        image_pull_secrets: references(&spec.pull_secrets),
        // Enough for the strictest pod security standard.
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(NOBODY),
            run_as_group: Some(NOBODY),
            fs_group: Some(NOBODY),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    }
}

fn container(spec: &NatsServerSpec) -> Container {
    let port = i32::from(NATS_PORT);
    Container {
        name: "nats".to_owned(),
        image: Some(spec.image.clone()),
        image_pull_policy: Some(spec.pull_policy.name()),
        command: Some(vec![
            "nats-server".to_owned(),
            "-c".to_owned(),
            format!("{FOLDER}/{CONFIGURATION}"),
        ]),
        ports: Some(vec![ContainerPort {
            name: Some("nats".to_owned()),
            container_port: port,
            ..ContainerPort::default()
        }]),
        readiness_probe: Some(Probe {
            tcp_socket: Some(TCPSocketAction {
                port: IntOrString::Int(port),
                host: None,
            }),
            period_seconds: Some(1),
            ..Probe::default()
        }),
        resources: Some(
            Resources {
                cpu_request: "50m".to_owned(),
                cpu_limit: "1".to_owned(),
                memory_request: "64Mi".to_owned(),
                memory_limit: "512Mi".to_owned(),
            }
            .requirements(),
        ),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            }),
            ..SecurityContext::default()
        }),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![VolumeMount {
            name: "configuration".to_owned(),
            mount_path: FOLDER.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}
