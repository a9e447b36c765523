//! Agents on their way up, and the reasons why not. The test is the scheduler and the kubelet.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Binding, Event, Node, ObjectReference, Pod, ResourceQuota, Secret, Service,
};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use x_k8s::manifest::{self, AgentSpec, Bundle, NatsServerSpec, PullPolicy, Session, service_name};
use x_k8s::rollout::{Milestone, RolloutError, Running, roll_out};
use x_k8s::{Error, Kind};

use crate::lab::{Lab, container, from, running, soon};

/// A rollout that goes on beside the test.
struct Rollout {
    name: String,
    told: Arc<Mutex<Vec<Milestone>>>,
    task: JoinHandle<Result<Running, Error>>,
}

impl Rollout {
    fn start(lab: &Lab, bundle: Bundle, deadline: Duration) -> Self {
        let (cluster, told) = (lab.cluster.clone(), Arc::new(Mutex::new(Vec::new())));
        let name = bundle.name().to_owned();
        let heard = Arc::clone(&told);
        let task = tokio::spawn(async move {
            roll_out(&cluster, &bundle, deadline, |milestone| {
                heard.lock().unwrap().push(milestone);
            })
            .await
        });
        Self { name, told, task }
    }

    /// Waits for the first milestone that is the one.
    async fn reaches(&self, is_it: impl Fn(&Milestone) -> bool) {
        soon(async {
            while !self.told.lock().unwrap().iter().any(&is_it) {
                assert!(
                    !self.task.is_finished(),
                    "it ended with {:?}",
                    self.told.lock().unwrap()
                );
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    async fn end(self) -> Result<Running, Error> {
        soon(self.task).await.unwrap()
    }

    async fn error(self) -> RolloutError {
        match self.end().await.unwrap_err() {
            Error::Rollout(error) => error,
            other => panic!("{other}"),
        }
    }
}

async fn created(lab: &Lab) -> Rollout {
    begin(lab, manifest::agent(&lab.agent_spec()).unwrap()).await
}

async fn begin(lab: &Lab, bundle: Bundle) -> Rollout {
    let rollout = Rollout::start(lab, bundle, Duration::from_secs(60));
    rollout
        .reaches(|milestone| *milestone == Milestone::Created)
        .await;
    rollout
}

/// What the scheduler does.
async fn bind(lab: &Lab, pod: &str) {
    let binding: Binding =
        from(json!({"metadata": {"name": pod}, "target": {"kind": "Node", "name": "n1"}}));
    let bound: Value = lab
        .pods()
        .create_subresource("binding", pod, &PostParams::default(), &binding)
        .await
        .unwrap();
    assert_eq!(bound["status"], "Success");
}

/// What kubelets tell about a pod.
async fn event(lab: &Lab, pod: &str, kind: &str, reason: &str, message: &str) {
    let uid = lab.pods().get(pod).await.unwrap().metadata.uid;
    let object = ObjectReference {
        uid,
        name: Some(pod.to_owned()),
        namespace: Some(lab.namespace.clone()),
        kind: Some("Pod".to_owned()),
        ..ObjectReference::default()
    };
    let mut event: Event = from(
        json!({"metadata": {"generateName": "e-"}, "involvedObject": {}, "type": kind, "reason": reason, "message": message}),
    );
    event.involved_object = object;
    let api: Api<Event> = Api::namespaced(lab.client.clone(), &lab.namespace);
    api.create(&PostParams::default(), &event).await.unwrap();
}

async fn waiting(lab: &Lab, pod: &str, reason: &str, message: &str) {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    lab.set_status(
        pod,
        json!({"phase": "Pending", "containerStatuses": [container("agent", None, state)]}),
    )
    .await;
}

#[tokio::test]
async fn each_step_on_the_way_up_is_told() {
    let lab = Lab::new().await;
    let rollout = created(&lab).await;
    let name = rollout.name.clone();
    bind(&lab, &name).await;
    rollout
        .reaches(|milestone| matches!(milestone, Milestone::Scheduled { node } if node == "n1"))
        .await;
    waiting(&lab, &name, "ContainerCreating", "").await;
    event(&lab, &name, "Normal", "Pulling", "Pulling image").await;
    rollout
        .reaches(|milestone| *milestone == Milestone::Pulling)
        .await;
    event(&lab, &name, "Normal", "Pulled", "Successfully pulled").await;
    rollout
        .reaches(|milestone| *milestone == Milestone::Starting)
        .await;
    lab.set_status(&name, running("containerd://aa")).await;
    let told = Arc::clone(&rollout.told);
    let up = rollout.end().await.unwrap();
    assert_eq!(
        (up.name.as_str(), up.node.as_str(), up.ip.as_deref()),
        (name.as_str(), "n1", Some("10.244.0.9"))
    );
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 5, "each once: {told:?}");
    assert_eq!(told[4], Milestone::Running(up.clone()));

    // All that belongs to the pod goes with it.
    let owner = |meta: kube::core::ObjectMeta| meta.owner_references.unwrap().remove(0).uid;
    let secret = Api::<Secret>::namespaced(lab.client.clone(), &lab.namespace)
        .get(&name)
        .await
        .unwrap();
    let service = Api::<Service>::namespaced(lab.client.clone(), &lab.namespace)
        .get(&service_name(&name).unwrap())
        .await
        .unwrap();
    assert_eq!(
        (owner(secret.metadata), owner(service.metadata)),
        (up.uid.clone(), up.uid)
    );
}

#[tokio::test]
async fn a_create_that_meets_its_own_work_goes_on_with_it() {
    let lab = Lab::new().await;
    let spec = lab.agent_spec();
    let bundle = manifest::agent(&spec).unwrap();
    let first = begin(&lab, bundle.clone()).await;
    first.task.abort();
    // As after a request that was answered too late and repeated: pod, Secret and Service are there.
    let second = begin(&lab, bundle).await;
    let name = second.name.clone();
    bind(&lab, &name).await;
    lab.set_status(&name, running("containerd://aa")).await;
    second.end().await.unwrap();
}

#[tokio::test]
async fn somebody_elses_pod_is_not_taken_over() {
    let lab = Lab::new().await;
    let spec = lab.agent_spec();
    let bundle = manifest::agent(&spec).unwrap();
    lab.pod(bundle.name(), json!({"app": "x-agent"}), json!({}))
        .await;
    let error = Rollout::start(&lab, bundle, Duration::from_secs(5))
        .error()
        .await;
    assert!(matches!(error, RolloutError::Taken { .. }), "{error}");
}

#[tokio::test]
async fn every_variant_is_accepted_by_the_server() {
    let lab = Lab::new().await;
    for rights in [
        manifest::Rights::Admin,
        manifest::Rights::Bpf,
        manifest::Rights::Privileged,
    ] {
        for label in [Some("n1".to_owned()), None] {
            let spec = AgentSpec {
                rights,
                hostname_label: label,
                session: Session::random(),
                deadline_seconds: Some(60),
                ..lab.agent_spec()
            };
            let api: Api<Pod> = lab.pods();
            let pod = manifest::agent(&spec).unwrap().pod;
            // Validated and admitted, and not kept.
            let params = PostParams {
                dry_run: true,
                field_manager: None,
            };
            api.create(&params, &pod).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_namespace_that_forbids_it_is_named_with_the_remedy() {
    let lab = Lab::new().await;
    let strict = format!("{}-strict", lab.namespace);
    lab.create_namespace(
        &strict,
        json!({"pod-security.kubernetes.io/enforce": "baseline"}),
    )
    .await;
    let bundle = manifest::agent(&AgentSpec {
        namespace: strict.clone(),
        ..lab.agent_spec()
    })
    .unwrap();
    let error: Error = Rollout::start(&lab, bundle, Duration::from_secs(5))
        .error()
        .await
        .into();
    assert_eq!(error.kind(), Kind::Forbidden);
    let said = error.to_string();
    assert!(
        said.contains("PodSecurity \"baseline:latest\": ")
            && said.contains("host namespaces (hostPID=true)"),
        "{said}"
    );
    assert!(said.contains(&format!("kubectl label --overwrite namespace {strict} pod-security.kubernetes.io/enforce=privileged")), "{said}");
}

#[tokio::test]
async fn the_nats_server_keeps_the_strictest_standard_and_is_up_when_ready() {
    let lab = Lab::new().await;
    let strict = format!("{}-strict", lab.namespace);
    lab.create_namespace(
        &strict,
        json!({"pod-security.kubernetes.io/enforce": "restricted"}),
    )
    .await;
    let spec = NatsServerSpec {
        session: Session::random(),
        namespace: strict,
        image: "x-agent:test".to_owned(),
        pull_policy: PullPolicy::IfNotPresent,
        pull_secrets: Vec::new(),
        trust: json!({"operator": "o"}),
        login_time: 10,
        certificate: ("a certificate".to_owned(), "its key".to_owned()),
        deadline_seconds: None,
        made_by: None,
    };
    begin(&lab, manifest::nats_server(&spec).unwrap())
        .await
        .task
        .abort();

    let rollout = begin(
        &lab,
        manifest::nats_server(&NatsServerSpec {
            namespace: lab.namespace.clone(),
            ..spec
        })
        .unwrap(),
    )
    .await;
    let name = rollout.name.clone();
    bind(&lab, &name).await;
    let mut status = running("containerd://aa");
    status["containerStatuses"][0]["ready"] = json!(false);
    lab.set_status(&name, status).await;
    rollout
        .reaches(|milestone| *milestone == Milestone::Starting)
        .await;
    assert!(!rollout.task.is_finished(), "it runs and is not ready");
    lab.set_status(&name, running("containerd://aa")).await;
    assert_eq!(
        rollout.end().await.unwrap().ip.as_deref(),
        Some("10.244.0.9")
    );
}

#[tokio::test]
async fn a_namespace_that_is_missing_or_full_is_named() {
    let lab = Lab::new().await;
    let missing = manifest::agent(&AgentSpec {
        namespace: "no-such-namespace".to_owned(),
        ..lab.agent_spec()
    })
    .unwrap();
    let error = Rollout::start(&lab, missing, Duration::from_secs(5))
        .error()
        .await;
    assert!(
        error
            .to_string()
            .contains("kubectl create namespace no-such-namespace"),
        "{error}"
    );

    lab.create::<ResourceQuota>(
        json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "0"}}}),
    )
    .await;
    let quota: Api<ResourceQuota> = Api::namespaced(lab.client.clone(), &lab.namespace);
    let used = json!({"status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}});
    quota
        .patch_status(
            "q",
            &kube::api::PatchParams::default(),
            &kube::api::Patch::Merge(used),
        )
        .await
        .unwrap();
    let error = Rollout::start(
        &lab,
        manifest::agent(&lab.agent_spec()).unwrap(),
        Duration::from_secs(30),
    )
    .error()
    .await;
    assert!(
        matches!(&error, RolloutError::Quota { .. })
            && error.to_string().contains("exceeded quota: q"),
        "{error}"
    );
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_ends_the_waiting() {
    let lab = Lab::new().await;
    let rollout = created(&lab).await;
    let name = rollout.name.clone();
    bind(&lab, &name).await;
    event(
        &lab,
        &name,
        "Warning",
        "Failed",
        "manifest for x-agent:test not found",
    )
    .await;
    rollout
        .reaches(|milestone| matches!(milestone, Milestone::Warning(_)))
        .await;
    waiting(&lab, &name, "ErrImagePull", "not found").await;
    waiting(&lab, &name, "ImagePullBackOff", "Back-off pulling image").await;
    let said = rollout.error().await.to_string();
    assert!(said.contains("the image x-agent:test of the pod"), "{said}");
    assert!(said.contains("(ImagePullBackOff: Back-off pulling image); events: Failed: manifest for x-agent:test not found; check --image"), "{said}");
}

#[tokio::test]
async fn a_container_that_cannot_start_ends_the_waiting() {
    let lab = Lab::new().await;
    let rollout = created(&lab).await;
    let name = rollout.name.clone();
    bind(&lab, &name).await;
    waiting(
        &lab,
        &name,
        "CreateContainerError",
        "mount /etc/localtime\u{1b}[31m: no such file",
    )
    .await;
    let said = rollout.error().await.to_string();
    assert!(
        said.contains("(CreateContainerError: mount /etc/localtime\\u{1b}[31m: no such file)"),
        "{said}"
    );
}

#[tokio::test]
async fn an_agent_that_ends_at_once_is_quoted() {
    let lab = Lab::new().await;
    let rollout = created(&lab).await;
    let name = rollout.name.clone();
    bind(&lab, &name).await;
    let state =
        json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "last words"}});
    lab.set_status(&name, json!({"phase": "Failed", "containerStatuses": [container("agent", Some("containerd://aa"), state)]})).await;
    let said = rollout.error().await.to_string();
    assert!(
        said.contains("ended at once (OOMKilled, exit status 137), saying: last words"),
        "{said}"
    );
}

#[tokio::test]
async fn a_pod_that_was_deleted_is_not_waited_for() {
    let lab = Lab::new().await;
    let rollout = created(&lab).await;
    lab.confirm_deletion(&rollout.name).await;
    assert!(matches!(
        rollout.error().await,
        RolloutError::Deleted { .. }
    ));
}

#[tokio::test]
async fn no_place_on_the_node_is_told_and_then_the_answer() {
    let lab = Lab::new().await;
    let rollout = created(&lab).await;
    let name = rollout.name.clone();
    let refused = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient memory."}]});
    lab.set_status(&name, refused).await;
    rollout.reaches(|milestone| matches!(milestone, Milestone::Warning(words) if words.starts_with("no place yet: 0/1 nodes"))).await;
    let said = rollout.error().await.to_string();
    assert!(
        said.contains(
            "cannot be scheduled on its node (0/1 nodes are available: 1 Insufficient memory.)"
        ),
        "{said}"
    );
}

#[tokio::test]
async fn time_that_is_up_names_what_was_seen_last() {
    let lab = Lab::new().await;
    let rollout = Rollout::start(
        &lab,
        manifest::agent(&lab.agent_spec()).unwrap(),
        Duration::from_secs(2),
    );
    rollout
        .reaches(|milestone| *milestone == Milestone::Created)
        .await;
    let name = rollout.name.clone();
    bind(&lab, &name).await;
    waiting(&lab, &name, "ContainerCreating", "").await;
    event(
        &lab,
        &name,
        "Warning",
        "FailedMount",
        "hostPath type check failed: /etc/localtime is not a file",
    )
    .await;
    let said = rollout.error().await.to_string();
    assert!(said.contains("was not up within 2 s (last seen: Pending, ContainerCreating); events: FailedMount: hostPath type check failed"), "{said}");
    assert!(
        said.contains(&format!("kubectl describe pod -n {} {name}", lab.namespace)),
        "{said}"
    );
}

/// Bound by name where the node has no hostname label: such a pod needs no scheduler.
#[tokio::test]
async fn a_node_without_a_label_is_bound_by_name() {
    let lab = Lab::new().await;
    lab.node(&format!("{}-node", lab.namespace), json!([]), None)
        .await;
    let spec = AgentSpec {
        node: format!("{}-node", lab.namespace),
        hostname_label: None,
        ..lab.agent_spec()
    };
    let rollout = begin(&lab, manifest::agent(&spec).unwrap()).await;
    rollout
        .reaches(
            |milestone| matches!(milestone, Milestone::Scheduled { node } if *node == spec.node),
        )
        .await;
    rollout.task.abort();
    let _: Node = Api::all(lab.client.clone()).get(&spec.node).await.unwrap();
}
