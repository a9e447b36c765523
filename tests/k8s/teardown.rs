//! The end of a session, and what earlier ones left.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::Resource;
use kube::api::{Api, Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde_json::json;
use x_k8s::manifest::{self, AgentSpec, Session};
use x_k8s::rollout::{Milestone, roll_out};
use x_k8s::teardown::{LeftoverState, leftovers, tear_down};

use crate::lab::{Lab, next, soon};

/// Makes an agent's objects and leaves it at that.
async fn make(lab: &Lab, spec: &AgentSpec) -> String {
    let bundle = manifest::agent(spec).unwrap();
    let name = bundle.name().to_owned();
    let (cluster, (told, mut heard)) = (lab.cluster.clone(), tokio::sync::mpsc::channel(8));
    let task = tokio::spawn(async move {
        roll_out(&cluster, &bundle, Duration::from_secs(60), |milestone| {
            told.try_send(milestone).unwrap();
        })
        .await
    });
    assert_eq!(soon(heard.recv()).await, Some(Milestone::Created));
    task.abort();
    name
}

async fn names<K>(lab: &Lab) -> Vec<String>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(lab.client.clone(), &lab.namespace);
    let list = api.list(&kube::api::ListParams::default()).await.unwrap();
    list.items
        .into_iter()
        .filter_map(|object| object.meta().name.clone())
        .collect()
}

#[tokio::test]
async fn nothing_of_a_session_stays_and_nothing_else_goes() {
    let lab = Lab::new().await;
    let mine = lab.agent_spec();
    let second_node = AgentSpec {
        node: "n2".to_owned(),
        ..mine.clone()
    };
    let other = AgentSpec {
        session: Session::random(),
        ..mine.clone()
    };
    let mut made = vec![make(&lab, &mine).await, make(&lab, &second_node).await];
    let kept = make(&lab, &other).await;
    lab.pod("users-own", json!({"app": "x-agent"}), json!({}))
        .await;
    made.sort();
    assert_eq!(
        tear_down(
            &lab.cluster,
            &lab.namespace,
            &mine.session,
            Duration::from_secs(20),
            |_| ()
        )
        .await
        .unwrap(),
        made
    );
    assert_eq!(
        names::<Pod>(&lab).await,
        ["users-own".to_owned(), kept.clone()]
    );
    assert_eq!(names::<Secret>(&lab).await, std::slice::from_ref(&kept));
    assert_eq!(
        names::<Service>(&lab).await,
        [manifest::service_name(&kept).unwrap()]
    );
    // Again: nothing to do is no failure.
    assert_eq!(
        tear_down(
            &lab.cluster,
            &lab.namespace,
            &mine.session,
            Duration::from_secs(20),
            |_| ()
        )
        .await
        .unwrap(),
        [""; 0]
    );
}

#[tokio::test]
async fn the_kubelets_word_is_waited_for() {
    let lab = Lab::new().await;
    let spec = AgentSpec {
        hostname_label: None,
        ..lab.agent_spec()
    };
    let name = make(&lab, &spec).await;
    let mut seen = Box::pin(kube_watch(&lab, &name).await);
    let (cluster, namespace, session) = (
        lab.cluster.clone(),
        lab.namespace.clone(),
        spec.session.clone(),
    );
    let ending = tokio::spawn(async move {
        tear_down(
            &cluster,
            &namespace,
            &session,
            Duration::from_secs(30),
            |_| (),
        )
        .await
    });
    while next(&mut seen).await.metadata.deletion_timestamp.is_none() {}
    assert!(!ending.is_finished(), "the node still has it");
    lab.confirm_deletion(&name).await;
    assert_eq!(soon(ending).await.unwrap().unwrap(), [name]);
}

async fn kube_watch(lab: &Lab, name: &str) -> impl futures_util::Stream<Item = Pod> + use<> {
    use futures_util::StreamExt;
    let params = kube::api::WatchParams::default().fields(&format!("metadata.name={name}"));
    let version = lab
        .pods()
        .get(name)
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let events = lab.pods().watch(&params, &version).await.unwrap();
    events.filter_map(|event| async {
        match event.unwrap() {
            kube::api::WatchEvent::Added(pod) | kube::api::WatchEvent::Modified(pod) => Some(pod),
            _ => None,
        }
    })
}

#[tokio::test]
async fn what_stays_is_named_with_the_reason_and_the_command() {
    let lab = Lab::new().await;
    let spec = AgentSpec {
        hostname_label: None,
        ..lab.agent_spec()
    };
    let on_node = make(&lab, &spec).await;
    let held_spec = AgentSpec {
        node: "n2".to_owned(),
        ..spec.clone()
    };
    let held = make(&lab, &held_spec).await;
    let patch = |finalizers| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    lab.pods()
        .patch(
            &held,
            &PatchParams::default(),
            &patch(json!(["example.com/hold"])),
        )
        .await
        .unwrap();
    let error = tear_down(
        &lab.cluster,
        &lab.namespace,
        &spec.session,
        Duration::from_secs(2),
        |_| (),
    )
    .await
    .unwrap_err()
    .to_string();
    assert!(
        error.contains(&format!(
            "pod {on_node} (the node n1 has not confirmed its end)"
        )),
        "{error}"
    );
    assert!(
        error.contains(&format!(
            "pod {held} (held by the finalizers example.com/hold)"
        )),
        "{error}"
    );
    assert!(
        error.contains(&format!(
            "kubectl delete pods,secrets,services -n {} -l x-tracer/session={}",
            lab.namespace, spec.session
        )),
        "{error}"
    );
    lab.confirm_deletion(&on_node).await;
    lab.confirm_deletion(&held).await;
    lab.pods()
        .patch(&held, &PatchParams::default(), &patch(json!(null)))
        .await
        .unwrap();
    tear_down(
        &lab.cluster,
        &lab.namespace,
        &spec.session,
        Duration::from_secs(20),
        |_| (),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn earlier_sessions_are_found_and_swept() {
    let lab = Lab::new().await;
    let over = lab.agent_spec();
    let in_use = AgentSpec {
        session: Session::random(),
        ..over.clone()
    };
    let starting = AgentSpec {
        session: Session::random(),
        made_by: None,
        ..over.clone()
    };
    let (over_pod, in_use_pod) = (make(&lab, &over).await, make(&lab, &in_use).await);
    make(&lab, &starting).await;
    lab.set_status(&over_pod, json!({"phase": "Succeeded"}))
        .await;
    lab.set_status(&in_use_pod, json!({"phase": "Running"}))
        .await;
    lab.pod(
        "users-own",
        json!({"app": "x-agent", "app.kubernetes.io/managed-by": "helm"}),
        json!({}),
    )
    .await;
    let found = leftovers(&lab.cluster, Some(&lab.namespace), SystemTime::now())
        .await
        .unwrap();
    let states: Vec<_> = found
        .iter()
        .map(|left| (left.session.clone(), left.state))
        .collect();
    assert_eq!(
        states,
        [
            (over.session.clone(), LeftoverState::Over),
            (in_use.session.clone(), LeftoverState::InUse),
            (starting.session.clone(), LeftoverState::Starting)
        ]
    );
    assert_eq!(
        (found[0].made_by.as_deref(), found[0].pods.as_slice()),
        (Some("me@laptop"), [over_pod].as_slice())
    );
    let everywhere = leftovers(&lab.cluster, None, SystemTime::now())
        .await
        .unwrap();
    assert!(found.iter().all(|left| everywhere.contains(left)));
    let left = &found[0];
    tear_down(
        &lab.cluster,
        &left.namespace,
        &left.session,
        Duration::from_secs(20),
        |_| (),
    )
    .await
    .unwrap();
    let found = leftovers(&lab.cluster, Some(&lab.namespace), SystemTime::now())
        .await
        .unwrap();
    assert_eq!(found.len(), 2);
}
