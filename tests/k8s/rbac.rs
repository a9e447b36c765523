//! The rights in `k8s/rbac` suffice for all that the hub does, and one less does not.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, StreamExt};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};
use kube::api::{Api, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use x_k8s::client::{Environment, Options};
use x_k8s::find::{self, Change, Query};
use x_k8s::manifest::{self, AgentSpec, Session};
use x_k8s::portforward::PortForward;
use x_k8s::rollout::{Milestone, roll_out};
use x_k8s::teardown::{leftovers, tear_down};
use x_k8s::{Cluster, Error, Kind, node};

use crate::api_server;
use crate::lab::{Lab, from, running, soon};

/// Rights that API servers ask for from this version on, the minor one; k8s/rbac says why they are there.
const FOR_NEWER_SERVERS: [(&str, &str, u32); 1] = [("pods/portforward", "create", 35)];

/// The objects of a file of k8s/rbac.
fn objects<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("rbac")
        .join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.split("\n---\n")
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

fn object<T: DeserializeOwned>(file: &str) -> T {
    objects(file).remove(0)
}

/// One right: `verb` on `resource`.
#[derive(Debug, Clone, PartialEq)]
struct Right {
    group: String,
    resource: String,
    verb: String,
    /// It holds in the whole cluster; otherwise in the agents' namespace.
    everywhere: bool,
}

fn rights(rules: Vec<PolicyRule>, everywhere: bool) -> Vec<Right> {
    let mut all = Vec::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    let (group, resource, verb) = (group.clone(), resource.clone(), verb.clone());
                    all.push(Right {
                        group,
                        resource,
                        verb,
                        everywhere,
                    });
                }
            }
        }
    }
    all
}

fn all_rights() -> Vec<Right> {
    let find: ClusterRole = object("find.yaml");
    let agents: Role = object("agents.yaml");
    let mut all = rights(find.rules.unwrap(), true);
    all.extend(rights(agents.rules.unwrap(), false));
    all
}

fn rules<'a>(rights: impl Iterator<Item = &'a Right>) -> Value {
    rights.map(|right| json!({"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]})).collect()
}

/// A user who has these rights and no others, with a namespace for agents.
async fn user_with(lab: &Lab, name: &str, rights: &[Right]) {
    lab.create_namespace(name, json!({})).await;
    let post = PostParams::default();
    let metadata = json!({"name": name, "namespace": name});
    let subjects = json!([{"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}]);
    let reference =
        |kind| json!({"kind": kind, "name": name, "apiGroup": "rbac.authorization.k8s.io"});
    let (wide, narrow): (Vec<_>, Vec<_>) = rights.iter().partition(|right| right.everywhere);
    let role: ClusterRole =
        from(json!({"metadata": {"name": name}, "rules": rules(wide.into_iter())}));
    Api::all(lab.client.clone())
        .create(&post, &role)
        .await
        .unwrap();
    let binding: ClusterRoleBinding = from(
        json!({"metadata": {"name": name}, "roleRef": reference("ClusterRole"), "subjects": subjects}),
    );
    Api::all(lab.client.clone())
        .create(&post, &binding)
        .await
        .unwrap();
    let role: Role = from(json!({"metadata": metadata, "rules": rules(narrow.into_iter())}));
    Api::namespaced(lab.client.clone(), name)
        .create(&post, &role)
        .await
        .unwrap();
    let binding: RoleBinding =
        from(json!({"metadata": metadata, "roleRef": reference("Role"), "subjects": subjects}));
    Api::namespaced(lab.client.clone(), name)
        .create(&post, &binding)
        .await
        .unwrap();
    for right in rights {
        until_granted(lab, name, name, right).await;
    }
}

/// The authorizer learns of new roles in its own time.
async fn until_granted(lab: &Lab, user: &str, namespace: &str, right: &Right) {
    let (resource, subresource) = right
        .resource
        .split_once('/')
        .unwrap_or((&right.resource, ""));
    let mut attributes = json!({"group": right.group, "resource": resource, "subresource": subresource, "verb": right.verb});
    if !right.everywhere {
        attributes["namespace"] = json!(namespace);
    }
    let review: SubjectAccessReview =
        from(json!({"metadata": {}, "spec": {"user": user, "resourceAttributes": attributes}}));
    let api: Api<SubjectAccessReview> = Api::all(lab.client.clone());
    soon(async {
        while !api
            .create(&PostParams::default(), &review)
            .await
            .unwrap()
            .status
            .unwrap()
            .allowed
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn impersonating(lab: &Lab, user: &str) -> Cluster {
    let options = Options {
        kubeconfig: Some(lab.kubeconfig.clone()),
        impersonate: Some(user.to_owned()),
        ..Options::default()
    };
    Cluster::open(&options, &Environment::default()).unwrap()
}

/// What a hub does, from the list of namespaces to the removal of its agent.
struct Hub<'a> {
    lab: &'a Lab,
    cluster: Cluster,
    agents: String,
    /// How long a thing may take that needs no more than the API server.
    patience: Duration,
}

impl Hub<'_> {
    async fn run(&self) -> Result<(), String> {
        self.find().await.map_err(|error| error.to_string())?;
        self.follow().await?;
        let spec = AgentSpec {
            session: Session::random(),
            namespace: self.agents.clone(),
            ..self.lab.agent_spec()
        };
        self.deploy(&spec).await?;
        self.forward(&spec).await?;
        self.remove(&spec).await.map_err(|error| error.to_string())
    }

    async fn find(&self) -> Result<(), Error> {
        find::namespaces(&self.cluster).await?;
        find::pods(&self.cluster, Some(&self.lab.namespace)).await?;
        for reference in [
            "web",
            "deploy/web",
            "sts/web",
            "ds/web",
            "rs/web",
            "job/web",
        ] {
            find::resolve(&self.cluster, &self.query(reference)).await?;
        }
        node::facts(&self.cluster, "rbac-node").await?;
        node::hub_address(&self.cluster, false, "rbac-node").await?;
        Ok(())
    }

    fn query(&self, reference: &str) -> Query {
        Query {
            namespace: Some(self.lab.namespace.clone()),
            references: vec![reference.parse().unwrap()],
            ..Query::default()
        }
    }

    /// A change that happens after the watch began, so that a list alone does not show it.
    async fn follow(&self) -> Result<(), String> {
        let name = format!("followed-by-{}", self.agents);
        let targets = find::resolve_if_any(&self.cluster, &self.query(&name))
            .await
            .map_err(|error| error.to_string())?;
        let mut changes = targets.watch(&self.cluster);
        for wanted in ["appeared", "gone", "appeared again"] {
            if wanted == "gone" {
                self.lab.confirm_deletion(&name).await;
            } else {
                self.lab.pod(&name, json!({}), json!({})).await;
            }
            match tokio::time::timeout(self.patience, changes.next()).await {
                Ok(Some(Change::Appeared(_) | Change::Gone { .. })) => {}
                Ok(Some(Change::Interrupted(cause))) => return Err(cause.to_string()),
                other => return Err(format!("no change ({wanted}): {other:?}")),
            }
        }
        Ok(())
    }

    async fn deploy(&self, spec: &AgentSpec) -> Result<(), String> {
        let bundle = manifest::agent(spec).unwrap();
        // Once more, as after an answer that was lost.
        for _ in 0..2 {
            let told = Arc::new(Mutex::new(Vec::new()));
            let (heard, cluster, this) = (Arc::clone(&told), self.cluster.clone(), bundle.clone());
            let rollout = tokio::spawn(async move {
                roll_out(&cluster, &this, Duration::from_secs(60), |milestone| {
                    heard.lock().unwrap().push(milestone);
                })
                .await
            });
            let reached = async |wanted: &(dyn Fn(&Milestone) -> bool + Sync)| {
                let waiting = async {
                    while !rollout.is_finished() && !told.lock().unwrap().iter().any(wanted) {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                };
                tokio::time::timeout(self.patience, waiting).await.is_ok() && !rollout.is_finished()
            };
            let is_created = |milestone: &Milestone| *milestone == Milestone::Created;
            if !reached(&is_created).await {
                return Err(rollout.await.unwrap().unwrap_err().to_string());
            }
            // Two, one after the other: the second is not in the list that a watch begins with.
            for number in ["first", "second"] {
                self.warn(bundle.name(), number).await;
                let is_told = |milestone: &Milestone| matches!(milestone, Milestone::Warning(words) if words.contains(number));
                if !reached(&is_told).await {
                    rollout.abort();
                    return Err(format!(
                        "the {number} event is not seen, because reading events is forbidden"
                    ));
                }
            }
            rollout.abort();
        }
        self.start(bundle.name()).await;
        roll_out(&self.cluster, &bundle, self.patience, drop)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }

    async fn warn(&self, pod: &str, message: &str) {
        let pods: Api<k8s_openapi::api::core::v1::Pod> =
            Api::namespaced(self.lab.client.clone(), &self.agents);
        let uid = pods.get(pod).await.unwrap().metadata.uid;
        let event: Event = from(
            json!({"metadata": {"generateName": "e-"}, "type": "Warning", "reason": "Test", "message": message,
            "involvedObject": {"kind": "Pod", "name": pod, "namespace": self.agents, "uid": uid}}),
        );
        Api::namespaced(self.lab.client.clone(), &self.agents)
            .create(&PostParams::default(), &event)
            .await
            .unwrap();
    }

    async fn start(&self, pod: &str) {
        let pods: Api<k8s_openapi::api::core::v1::Pod> =
            Api::namespaced(self.lab.client.clone(), &self.agents);
        let patch = kube::api::Patch::Merge(json!({"status": running("containerd://aa")}));
        pods.patch_status(pod, &kube::api::PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// There is no kubelet to forward to; that the API server tries is what the right is for.
    async fn forward(&self, spec: &AgentSpec) -> Result<(), String> {
        let pod = manifest::agent_name(&spec.session, &spec.node);
        match PortForward::open(&self.cluster, &self.agents, &pod, 4222).await {
            Err(error) if error.kind() == Kind::Forbidden => Err(error.to_string()),
            Err(_) => Ok(()),
            Ok(_) => Err("there is a kubelet".to_owned()),
        }
    }

    async fn remove(&self, spec: &AgentSpec) -> Result<(), Error> {
        let found = leftovers(&self.cluster, None, SystemTime::now()).await?;
        assert!(found.iter().any(|left| left.session == spec.session));
        let removed = tear_down(
            &self.cluster,
            &self.agents,
            &spec.session,
            Duration::from_secs(60),
            |_| (),
        )
        .await?;
        assert_eq!(removed.len(), 1);
        Ok(())
    }
}

async fn world() -> Lab {
    let lab = Lab::new().await;
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "i"}], "restartPolicy": "Always"}});
    let owner = json!({"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, "serviceName": "web"}});
    lab.create::<Deployment>(owner.clone()).await;
    lab.create::<StatefulSet>(owner.clone()).await;
    lab.create::<DaemonSet>(owner.clone()).await;
    lab.create::<ReplicaSet>(owner.clone()).await;
    let mut job = owner;
    job["spec"]["manualSelector"] = json!(true);
    job["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    lab.create::<Job>(job).await;
    lab.running_pod("web", json!({"app": "web"}), "containerd://aa")
        .await;
    lab
}

#[tokio::test]
async fn the_rights_suffice_and_one_less_does_not() {
    let lab = world().await;
    lab.node(
        "rbac-node",
        json!([{"type": "InternalIP", "address": "10.0.0.7"}]),
        Some("rbac-node"),
    )
    .await;

    // The manifests themselves.
    let post = PostParams::default();
    Api::<Namespace>::all(lab.client.clone())
        .create(&post, &object("namespace.yaml"))
        .await
        .unwrap();
    Api::<ServiceAccount>::namespaced(lab.client.clone(), "x-tracer")
        .create(&post, &object("serviceaccount.yaml"))
        .await
        .unwrap();
    Api::<ClusterRole>::all(lab.client.clone())
        .create(&post, &object("find.yaml"))
        .await
        .unwrap();
    Api::<Role>::namespaced(lab.client.clone(), "x-tracer")
        .create(&post, &object("agents.yaml"))
        .await
        .unwrap();
    let bindings: Vec<Value> = objects("bindings.yaml");
    Api::<ClusterRoleBinding>::all(lab.client.clone())
        .create(&post, &from(bindings[0].clone()))
        .await
        .unwrap();
    Api::<RoleBinding>::namespaced(lab.client.clone(), "x-tracer")
        .create(&post, &from(bindings[1].clone()))
        .await
        .unwrap();
    let account = "system:serviceaccount:x-tracer:x-tracer";
    for right in all_rights() {
        until_granted(&lab, account, "x-tracer", &right).await;
    }
    let whole = Hub {
        lab: &lab,
        cluster: impersonating(&lab, account),
        agents: "x-tracer".to_owned(),
        patience: Duration::from_secs(60),
    };
    whole.run().await.unwrap();

    // Each right by itself left out.
    let all = all_rights();
    assert!(all.len() > 15, "{all:?}");
    let without = all.iter().enumerate().map(|(number, missing)| {
        let (lab, all) = (&lab, &all);
        async move {
            let user = format!("without-{number}");
            let rest: Vec<_> = all
                .iter()
                .filter(|right| *right != missing)
                .cloned()
                .collect();
            user_with(lab, &user, &rest).await;
            let session = Hub {
                lab,
                cluster: impersonating(lab, &user),
                agents: user,
                patience: Duration::from_secs(10),
            };
            (missing, session.run().await)
        }
    });
    let minor = api_server::version().split('.').nth(1).unwrap();
    let minor: u32 = minor.parse().unwrap();
    let outcomes: Vec<_> = stream::iter(without).buffer_unordered(4).collect().await;
    for (missing, outcome) in outcomes {
        let needless = FOR_NEWER_SERVERS.iter().any(|(resource, verb, since)| {
            missing.resource == *resource && missing.verb == *verb && minor < *since
        });
        match outcome {
            Ok(()) => assert!(
                needless,
                "it works without {missing:?}: take it out of k8s/rbac"
            ),
            Err(why) => assert!(
                !needless && why.contains("forbidden"),
                "without {missing:?}: {why}"
            ),
        }
    }
}

#[test]
fn the_kustomization_lists_every_file() {
    let list: Value = object("kustomization.yaml");
    let mut listed: Vec<_> = list["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file.as_str().unwrap().to_owned())
        .collect();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rbac");
    let mut there: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "kustomization.yaml")
        .collect();
    listed.sort();
    there.sort();
    assert_eq!(listed, there);
}
