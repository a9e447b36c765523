//! The scheduler and the kubelet of a lab: binds agents to their node, and runs their program as a process of
//! this machine, with the pod's arguments, environment and Secret.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures_util::TryStreamExt;
use k8s_openapi::api::core::v1::{Binding, Container, HostAlias, Pod, Secret};
use kube::ResourceExt;
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchEvent,
    WatchParams,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::hub;
use crate::lab::{Lab, container, from};
use crate::scene::node;

/// Label of everything that a session makes.
const OURS: &str = "app.kubernetes.io/managed-by=x-tracer";

/// The address of every pod: one of this machine's, and nobody else's.
pub(crate) const POD_IP: &str = "127.0.0.42";
/// Where pods find their Secret.
const SECRETS: &str = "/etc/x-tracer/nats";

/// The annotation that has a pod evicted, with the words for it.
const EVICT: &str = "x-tracer.test/evict";

/// A kubelet at work. Dropped, it ends its pods' processes.
pub(crate) struct Kubelet(JoinHandle<()>);

impl Kubelet {
    /// Starts looking after the agents of a lab. Their tools are looked for in this folder.
    pub(crate) fn start(lab: &Lab, tools: &Path) -> Self {
        let pods = Pods {
            api: lab.pods(),
            secrets: Api::namespaced(lab.client.clone(), &lab.namespace),
            tools: tools.to_owned(),
            node: node(lab),
        };
        Self(tokio::spawn(pods.watch()))
    }

    /// Has a pod evicted for this reason.
    pub(crate) async fn evict(lab: &Lab, pod: &str, why: &str) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {EVICT: why}}}));
        let params = PatchParams::default();
        lab.pods().patch(pod, &params, &patch).await.unwrap();
    }

    /// What it looks after.
    pub(crate) fn ours() -> ListParams {
        ListParams::default().labels(OURS)
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a pod is to end.
enum Wish {
    Delete,
    Evict(String),
}

impl Wish {
    /// What is wished for a pod.
    fn of(pod: &Pod) -> Option<Self> {
        if pod.metadata.deletion_timestamp.is_some() {
            return Some(Self::Delete);
        }
        pod.annotations().get(EVICT).cloned().map(Self::Evict)
    }
}

#[derive(Clone)]
struct Pods {
    api: Api<Pod>,
    secrets: Api<Secret>,
    tools: PathBuf,
    /// Where pods go that want no certain node.
    node: String,
}

impl Pods {
    async fn watch(self) {
        let mut ends: HashMap<String, Option<oneshot::Sender<Wish>>> = HashMap::new();
        // Aborted with this task; a child is killed when it is dropped.
        let mut running = JoinSet::new();
        let (mut version, mut seen) = self.list().await;
        loop {
            for pod in seen.drain(..) {
                match (Wish::of(&pod), ends.entry(pod.name_any())) {
                    // Sent once: what follows is about the same end.
                    (Some(wish), Entry::Occupied(mut known)) => {
                        known.get_mut().take().map(|end| end.send(wish).ok());
                    }
                    (None, Entry::Vacant(unknown)) => {
                        let (end, wished) = oneshot::channel();
                        unknown.insert(Some(end));
                        running.spawn(self.clone().run(pod, wished));
                    }
                    _ => {}
                }
            }
            let params = WatchParams::default().labels(OURS);
            let Ok(events) = self.api.watch(&params, &version).await else {
                (version, seen) = self.list().await;
                continue;
            };
            let mut events = Box::pin(events);
            while seen.is_empty() {
                match events.try_next().await {
                    Ok(Some(WatchEvent::Added(pod) | WatchEvent::Modified(pod))) => {
                        version = pod.resource_version().unwrap();
                        seen.push(pod);
                    }
                    Ok(Some(WatchEvent::Deleted(pod))) => {
                        version = pod.resource_version().unwrap();
                        ends.remove(&pod.name_any());
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => break,
                }
            }
        }
    }

    /// What there is, and from where to watch.
    async fn list(&self) -> (String, Vec<Pod>) {
        let ours = Kubelet::ours();
        let list = insist(|| self.api.list(&ours)).await;
        let version = list.metadata.resource_version.unwrap_or_default();
        (version, list.items)
    }

    async fn run(self, pod: Pod, mut wished: oneshot::Receiver<Wish>) {
        let (name, uid) = (pod.name_any(), pod.uid());
        let spec = pod.spec.unwrap();
        if spec.node_name.is_none() {
            let wanted = spec.node_selector.unwrap_or_default();
            let wanted = wanted.get("kubernetes.io/hostname");
            self.bind(&name, wanted.unwrap_or(&self.node)).await;
        }
        let secret = spec
            .volumes
            .iter()
            .flatten()
            .find_map(|volume| volume.secret.as_ref()?.secret_name.clone());
        let folder = match secret {
            Some(secret) => Some(self.mounted(&secret).await),
            None => None,
        };
        let hosts = hosts(spec.host_aliases.iter().flatten());
        let folder = folder.as_ref().map(TempDir::path);
        let mut child = self.start(&spec.containers[0], folder, hosts.path());
        let state = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
        self.report(&name, "Running", &state).await;
        let mut log = child.stderr.take().unwrap();
        let mut said = String::new();
        tokio::select! {
            _ = log.read_to_string(&mut said) => {
                let status = child.wait().await.unwrap();
                let code = status.code().or(status.signal().map(|signal| 128 + signal));
                let phase = if code == Some(0) { "Succeeded" } else { "Failed" };
                let reason = if code == Some(0) { "Completed" } else { "Error" };
                // As much as kubelets keep.
                let said = &said.as_bytes()[said.len().saturating_sub(2048)..];
                let said = String::from_utf8_lossy(said);
                let state = json!({"terminated": {"exitCode": code, "reason": reason, "message": said}});
                self.report(&name, phase, &state).await;
                wished.await.ok();
            }
            wish = &mut wished => {
                let pid = i32::try_from(child.id().unwrap()).unwrap();
                kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
                log.read_to_string(&mut said).await.unwrap();
                child.wait().await.unwrap();
                if let Ok(Wish::Evict(why)) = wish {
                    // It stays for whoever wants to know why.
                    let status = json!({"phase": "Failed", "reason": "Evicted", "message": why});
                    let patch = Patch::Merge(json!({"status": status}));
                    let params = PatchParams::default();
                    insist(|| self.api.patch_status(&name, &params, &patch)).await;
                    return;
                }
            }
        }
        let at_once = DeleteParams {
            preconditions: Some(Preconditions {
                uid,
                ..Preconditions::default()
            }),
            ..DeleteParams::default().grace_period(0)
        };
        // One that had ended is gone already, and another one may have its name.
        insist(|| async {
            match self.api.delete(&name, &at_once).await {
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
                outcome => outcome.map(drop),
            }
        })
        .await;
    }

    async fn bind(&self, pod: &str, node: &str) {
        let binding: Binding =
            from(json!({"metadata": {"name": pod}, "target": {"kind": "Node", "name": node}}));
        let bound: Value = self
            .api
            .create_subresource("binding", pod, &PostParams::default(), &binding)
            .await
            .unwrap();
        assert_eq!(bound["status"], "Success");
    }

    /// The Secret as a folder. It is made after the pod, as kubelets find it too.
    async fn mounted(&self, name: &str) -> TempDir {
        let secret = loop {
            match self.secrets.get_opt(name).await.unwrap() {
                Some(secret) => break secret,
                None => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        };
        let folder = TempDir::new().unwrap();
        for (file, content) in secret.data.unwrap() {
            let mut content = content.0;
            if file == "nats.conf" {
                // A pod has its files and its address for itself.
                let text = String::from_utf8(content).unwrap();
                let text = text.replace(SECRETS, folder.path().to_str().unwrap());
                let mut configuration: Value = serde_json::from_str(&text).unwrap();
                configuration["host"] = POD_IP.into();
                content = configuration.to_string().into_bytes();
            }
            std::fs::write(folder.path().join(file), content).unwrap();
        }
        folder
    }

    fn start(&self, container: &Container, secret: Option<&Path>, hosts: &Path) -> Child {
        let mounted = |text: &str| match secret {
            Some(folder) => text.replace(SECRETS, folder.to_str().unwrap()),
            None => text.to_owned(),
        };
        let mut words = container.command.iter().flatten();
        let program = words.next().map_or_else(hub::agent, PathBuf::from);
        // Its process becomes the program's.
        let mut command = Command::new("unshare");
        command.args([
            "-m",
            "sh",
            "-c",
            "mount --bind \"$0\" /etc/hosts && exec \"$@\"",
        ]);
        command.arg(hosts).arg(program);
        // Debian's folder for servers is not on everybody's PATH.
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", format!("{path}:/usr/sbin"))
            .env("XTRACER_TOOLS_DIR", &self.tools)
            .args(
                words
                    .chain(container.args.iter().flatten())
                    .map(|word| mounted(word)),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for variable in container.env.iter().flatten() {
            let value = variable
                .value
                .as_deref()
                .unwrap_or_default()
                .replace("$$", "$");
            command.env(&variable.name, mounted(&value));
        }
        command.spawn().unwrap()
    }

    async fn report(&self, pod: &str, phase: &str, state: &Value) {
        let status = json!({"phase": phase, "podIP": POD_IP, "podIPs": [{"ip": POD_IP}],
            "containerStatuses": [container("agent", Some("containerd://00"), state.clone())]});
        let patch = Patch::Merge(json!({"status": status}));
        let params = PatchParams::default();
        insist(|| self.api.patch_status(pod, &params, &patch)).await;
    }
}

/// A pod's `/etc/hosts`.
fn hosts<'a>(aliases: impl Iterator<Item = &'a HostAlias>) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    writeln!(file, "127.0.0.1 localhost").unwrap();
    for alias in aliases {
        let names = alias.hostnames.iter().flatten().cloned();
        let names: Vec<String> = names.collect();
        writeln!(file, "{} {}", alias.ip, names.join(" ")).unwrap();
    }
    file
}

/// The API server's answer; one that is away is asked again.
async fn insist<T, F: Future<Output = kube::Result<T>>>(ask: impl Fn() -> F) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(kube::Error::Api(refusal)) => panic!("{refusal}"),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}
