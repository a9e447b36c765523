//! What becomes of targets while they are traced.

use futures_util::stream::Stream;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use x_k8s::find::{self, Change, Query};

use crate::lab::{Lab, container, next, running};

/// A change in a few words.
pub(crate) fn words(change: Change) -> String {
    match change {
        Change::Appeared(pod) => format!("appeared {}", pod.name.name),
        Change::ContainerStarted {
            pod,
            container,
            id,
            replaces,
        } => {
            let before = replaces.map_or(String::new(), |id| format!(" after {}", id.id));
            format!("started {}/{container} {}{before}", pod.name.name, id.id)
        }
        Change::Finished(pod) => format!("finished {} {}", pod.name.name, pod.phase),
        Change::Gone { name, .. } => format!("gone {}", name.name),
        Change::Interrupted(cause) => format!("interrupted {cause}"),
        Change::Resumed => "resumed".to_owned(),
    }
}

pub(crate) async fn told(changes: &mut (impl Stream<Item = Change> + Unpin)) -> String {
    words(next(changes).await)
}

#[tokio::test]
async fn a_selector_is_followed() {
    let lab = Lab::new().await;
    let labels = || json!({"app": "web"});
    lab.running_pod("web-1", labels(), "containerd://a1").await;
    lab.running_pod("other", json!({"app": "other"}), "containerd://ff")
        .await;
    let query = Query {
        namespace: Some(lab.namespace.clone()),
        labels: Some("app=web".to_owned()),
        ..Query::default()
    };
    let targets = find::resolve(&lab.cluster, &query).await.unwrap();
    // Between the list and the watch: nothing is lost.
    lab.set_status("web-1", running("containerd://a2")).await;
    let mut changes = targets.watch(&lab.cluster);
    assert_eq!(told(&mut changes).await, "started web-1/app a2 after a1");

    lab.pod("web-2", labels(), json!({"nodeName": "n1"})).await;
    assert_eq!(told(&mut changes).await, "appeared web-2");
    lab.set_status("web-2", running("containerd://b1")).await;
    assert_eq!(told(&mut changes).await, "started web-2/app b1");

    let ended = json!({"phase": "Succeeded", "containerStatuses": [container("app", Some("containerd://b1"), json!({"terminated": {"exitCode": 0}}))]});
    lab.set_status("web-2", ended).await;
    assert_eq!(told(&mut changes).await, "finished web-2 Succeeded");
    lab.confirm_deletion("web-2").await;
    assert_eq!(told(&mut changes).await, "gone web-2");

    // A pod that is labelled otherwise does not match any more, and matches again.
    let label = async |value: &str| {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"app": value}}}));
        lab.pods()
            .patch("web-1", &PatchParams::default(), &patch)
            .await
            .unwrap();
    };
    label("off").await;
    assert_eq!(told(&mut changes).await, "gone web-1");
    label("web").await;
    assert_eq!(told(&mut changes).await, "appeared web-1");
    assert_eq!(told(&mut changes).await, "started web-1/app a2");
}

#[tokio::test]
async fn a_name_is_followed_from_one_pod_to_the_next() {
    let lab = Lab::new().await;
    lab.running_pod("db-0", json!({}), "containerd://a1").await;
    lab.running_pod("db-1", json!({}), "containerd://ff").await;
    let query = Query {
        namespace: Some(lab.namespace.clone()),
        references: vec!["db-0".parse().unwrap()],
        ..Query::default()
    };
    let targets = find::resolve(&lab.cluster, &query).await.unwrap();
    let mut changes = targets.watch(&lab.cluster);
    // With grace, as users delete: the pod stays until the kubelet has ended it.
    lab.pods()
        .delete("db-0", &DeleteParams::default())
        .await
        .unwrap();
    lab.confirm_deletion("db-0").await;
    assert_eq!(told(&mut changes).await, "gone db-0");
    lab.running_pod("db-0", json!({}), "containerd://a2").await;
    assert_eq!(told(&mut changes).await, "appeared db-0");
    assert_eq!(told(&mut changes).await, "started db-0/app a2");
}

#[tokio::test]
async fn what_does_not_exist_yet_can_be_waited_for() {
    let lab = Lab::new().await;
    let query = Query {
        namespace: Some(lab.namespace.clone()),
        labels: Some("app=late".to_owned()),
        ..Query::default()
    };
    let targets = find::resolve_if_any(&lab.cluster, &query).await.unwrap();
    assert_eq!(targets.pods().len(), 0);
    let mut changes = targets.watch(&lab.cluster);
    lab.running_pod("late", json!({"app": "late"}), "containerd://a1")
        .await;
    assert_eq!(told(&mut changes).await, "appeared late");
    assert_eq!(told(&mut changes).await, "started late/app a1");
}
