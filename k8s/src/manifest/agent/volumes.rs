//! What the agent sees of the node's files.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, HostPathVolumeSource, SecretVolumeSource, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::AgentSpec;
use crate::manifest::secrets::FOLDER;

const SECRET: &str = "nats";

/// The original's mounts without its `/proc` (hostPID shows the node's processes) and Docker socket
/// (containers are found by their cgroup), and read-only.
///
/// - `/lib/modules` and `/usr/src`: BCC compiles against the kernel headers, and the former links to the latter;
/// - `/sys/kernel/debug`: `kprobes/blacklist`, without which cachestat ends;
/// - `/etc/localtime`: HH:MM:SS as the node shows it. Only this one has a type: where the file is missing, a
///   runtime would make a *folder* of that name on the node.
const FROM_NODE: [(&str, &str, Option<&str>); 4] = [
    ("kernel-modules", "/lib/modules", None),
    ("kernel-src", "/usr/src", None),
    ("kernel-debug", "/sys/kernel/debug", None),
    ("localtime", "/etc/localtime", Some("File")),
];

/// Where the root is read-only, these can be written: the private bpffs goes below `/run`, unpacked
/// kernel headers (a kernel with `CONFIG_IKHEADERS` and no package) below `/tmp`.
const SCRATCH: [(&str, &str, &str); 2] = [("run", "/run", "64Mi"), ("tmp", "/tmp", "512Mi")];

fn from_node(
    spec: &AgentSpec,
) -> impl Iterator<Item = &'static (&'static str, &'static str, Option<&'static str>)> + use<> {
    let localtime = spec.localtime;
    FROM_NODE
        .iter()
        .filter(move |(name, ..)| localtime || *name != "localtime")
}

pub(super) fn volumes(spec: &AgentSpec, secret: Option<&str>) -> Vec<Volume> {
    let named = |name: &str| Volume {
        name: name.to_owned(),
        ..Volume::default()
    };
    let mut all: Vec<_> = from_node(spec)
        .map(|(name, path, type_)| Volume {
            host_path: Some(HostPathVolumeSource {
                path: (*path).to_owned(),
                type_: type_.map(str::to_owned),
            }),
            ..named(name)
        })
        .collect();
    all.extend(SCRATCH.iter().map(|(name, _, limit)| Volume {
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity((*limit).to_owned())),
            medium: None,
        }),
        ..named(name)
    }));
    all.extend(secret.map(|secret| Volume {
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            default_mode: Some(0o400),
            ..SecretVolumeSource::default()
        }),
        ..named(SECRET)
    }));
    all
}

pub(super) fn mounts(spec: &AgentSpec, secret: bool) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let mut all: Vec<_> = from_node(spec)
        .map(|(name, path, _)| mount(name, path, true))
        .collect();
    all.extend(
        SCRATCH
            .iter()
            .map(|(name, path, _)| mount(name, path, false)),
    );
    all.extend(secret.then(|| mount(SECRET, FOLDER, true)));
    all
}
