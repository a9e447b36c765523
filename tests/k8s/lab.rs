//! What the tests have instead of kubelets and controllers.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::stream::{Stream, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use x_k8s::Cluster;
use x_k8s::client::{Environment, Options};
use x_k8s::manifest::{
    AgentSpec, AgentTarget, NatsSecrets, PullPolicy, Resources, Rights, Session,
};

use crate::api_server::ApiServer;

/// What a test waits for happens in milliseconds; this is only so that a bug ends it.
const PATIENCE: Duration = Duration::from_secs(60);

/// An API server and a namespace of one's own.
pub(crate) struct Lab {
    /// Held so that it lives as long as its tests; `None` for a test that has its own.
    shared: Option<Arc<ApiServer>>,
    pub(crate) client: Client,
    pub(crate) cluster: Cluster,
    /// Its administrator's.
    pub(crate) kubeconfig: PathBuf,
    pub(crate) namespace: String,
}

impl Lab {
    /// On the server that all tests share.
    pub(crate) async fn new() -> Self {
        let server = tokio::task::spawn_blocking(ApiServer::shared)
            .await
            .unwrap();
        let lab = Self::on(&server).await;
        Self {
            shared: Some(server),
            ..lab
        }
    }

    /// On a server that the test has for itself.
    pub(crate) async fn on(server: &ApiServer) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let namespace = format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let kubeconfig = server.admin_kubeconfig();
        let options = Options {
            kubeconfig: Some(kubeconfig.clone()),
            ..Options::default()
        };
        let cluster = Cluster::open(&options, &Environment::default()).unwrap();
        let client = client_of(server).await;
        let lab = Self {
            shared: None,
            client,
            cluster,
            kubeconfig,
            namespace,
        };
        lab.create_namespace(&lab.namespace, json!({})).await;
        lab
    }

    pub(crate) fn server(&self) -> &ApiServer {
        self.shared
            .as_ref()
            .expect("the test has the server itself")
    }

    pub(crate) async fn create_namespace(&self, name: &str, labels: Value) {
        let object: Namespace = from(json!({"metadata": {"name": name, "labels": labels}}));
        Api::all(self.client.clone())
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    /// Makes an object in the test's namespace.
    pub(crate) async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Serialize
            + DeserializeOwned
            + Clone
            + Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        api.create(&PostParams::default(), &from(object))
            .await
            .unwrap()
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A pod with one container `app`; `spec` is laid over it.
    pub(crate) async fn pod(&self, name: &str, labels: Value, spec: Value) -> Pod {
        let mut whole = json!({"containers": [{"name": "app", "image": "i"}]});
        merge(&mut whole, spec);
        self.create(json!({"metadata": {"name": name, "labels": labels}, "spec": whole}))
            .await
    }

    /// A pod on a node, running, with this container ID.
    pub(crate) async fn running_pod(&self, name: &str, labels: Value, id: &str) -> Pod {
        self.pod(name, labels, json!({"nodeName": "n1"})).await;
        self.set_status(name, running(id)).await
    }

    /// What a kubelet does.
    pub(crate) async fn set_status(&self, name: &str, status: Value) -> Pod {
        let patch = Patch::Merge(json!({"status": status}));
        self.pods()
            .patch_status(name, &PatchParams::default(), &patch)
            .await
            .unwrap()
    }

    /// What a kubelet does when a pod's containers have ended.
    pub(crate) async fn confirm_deletion(&self, name: &str) {
        self.pods()
            .delete(name, &DeleteParams::default().grace_period(0))
            .await
            .unwrap();
    }

    /// A node with these addresses, kernel and hostname label.
    pub(crate) async fn node(&self, name: &str, addresses: Value, label: Option<&str>) {
        let api: Api<Node> = Api::all(self.client.clone());
        let labels = label.map(|label| json!({"kubernetes.io/hostname": label}));
        let object: Node = from(json!({"metadata": {"name": name, "labels": labels}}));
        api.create(&PostParams::default(), &object).await.unwrap();
        let info = json!({"kernelVersion": "6.1.0-18-amd64", "osImage": "Debian GNU/Linux 12 (bookworm)", "architecture": "amd64",
            "containerRuntimeVersion": "containerd://1.6.20", "operatingSystem": "linux", "machineID": "", "systemUUID": "",
            "bootID": "", "kubeletVersion": "v1.34.4", "kubeProxyVersion": ""});
        let conditions = json!([{"type": "Ready", "status": "True"}]);
        let patch =
            json!({"status": {"addresses": addresses, "nodeInfo": info, "conditions": conditions}});
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// An agent for the node `n1`, in the test's namespace.
    pub(crate) fn agent_spec(&self) -> AgentSpec {
        AgentSpec {
            session: Session::random(),
            namespace: self.namespace.clone(),
            node: "n1".to_owned(),
            hostname_label: Some("n1".to_owned()),
            image: "x-agent:test".to_owned(),
            pull_policy: PullPolicy::IfNotPresent,
            pull_secrets: Vec::new(),
            targets: vec![AgentTarget {
                namespace: "shop".to_owned(),
                pod: "web".to_owned(),
                container: "app".to_owned(),
                id: "ab".repeat(32),
                by_cgroup: false,
            }],
            probes: vec!["execsnoop".to_owned()],
            perf_pages: Vec::new(),
            nats_url: None,
            nats_host: None,
            own_server: false,
            orders_from: None,
            durable: false,
            alone_seconds: 3600,
            nats_secrets: NatsSecrets {
                token: Some("t0ken".to_owned()),
                ..NatsSecrets::default()
            },
            hub_address: Some("10.0.0.7".to_owned()),
            rights: Rights::Admin,
            resources: Resources::default(),
            deadline_seconds: None,
            service: true,
            localtime: true,
            made_by: Some("me@laptop".to_owned()),
        }
    }
}

/// A raw client, for what only a test does.
pub(crate) async fn client_of(server: &ApiServer) -> Client {
    let file = kube::config::Kubeconfig::read_from(server.admin_kubeconfig()).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default())
            .await
            .unwrap();
    Client::try_from(config).unwrap()
}

pub(crate) fn from<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The status of a pod whose container `app` runs.
pub(crate) fn running(id: &str) -> Value {
    json!({"phase": "Running", "podIP": "10.244.0.9", "podIPs": [{"ip": "10.244.0.9"}],
        "containerStatuses": [container("app", Some(id), json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}}))]})
}

/// One entry of `containerStatuses`.
pub(crate) fn container(name: &str, id: Option<&str>, state: impl Into<Value>) -> Value {
    let state = state.into();
    let ready = state.get("running").is_some();
    json!({"name": name, "ready": ready, "restartCount": 0, "image": "i", "imageID": "", "containerID": id, "state": state})
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// The result of something that must happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it did not happen")
}

/// The next item of a stream that must have one.
pub(crate) async fn next<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> T {
    soon(stream.next()).await.expect("the stream has ended")
}
