//! Namespaces, pods and targets.

use futures_util::stream::{self, StreamExt};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};
use x_k8s::find::{self, Choice, ContainerKind, Query, TargetPod};
use x_k8s::{Error, Kind};

use crate::lab::{Lab, container, running};

fn query(lab: &Lab, references: &[&str]) -> Query {
    Query {
        namespace: Some(lab.namespace.clone()),
        references: references
            .iter()
            .map(|text| text.parse().unwrap())
            .collect(),
        ..Query::default()
    }
}

async fn names(lab: &Lab, query: &Query) -> Result<Vec<String>, Error> {
    let targets = find::resolve(&lab.cluster, query).await?;
    Ok(targets
        .pods()
        .into_iter()
        .map(|pod| pod.name.name.clone())
        .collect())
}

async fn one(lab: &Lab, name: &str) -> TargetPod {
    find::resolve(&lab.cluster, &query(lab, &[name]))
        .await
        .unwrap()
        .pods()[0]
        .clone()
}

#[tokio::test]
async fn lists_are_in_the_apis_order() {
    let lab = Lab::new().await;
    let all = find::namespaces(&lab.cluster).await.unwrap();
    assert!(
        all.is_sorted() && all.contains(&"default".to_owned()) && all.contains(&lab.namespace),
        "{all:?}"
    );
    for name in ["b.2", "a", "c"] {
        lab.pod(name, json!({}), json!({})).await;
    }
    lab.set_status("c", json!({"phase": "Running", "containerStatuses": [container("app", None, json!({"waiting": {"reason": "CrashLoopBackOff"}}))]})).await;
    let rows = find::pods(&lab.cluster, Some(&lab.namespace))
        .await
        .unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.name.as_str(),
                row.status.as_str(),
                row.ready,
                row.containers,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("a", "Pending", 0, 1),
            ("b.2", "Pending", 0, 1),
            ("c", "CrashLoopBackOff", 0, 1)
        ]
    );
    assert!(rows[0].created.is_some() && rows[0].node.is_none());
    assert_eq!(
        find::pods(&lab.cluster, Some("no-such-namespace"))
            .await
            .unwrap(),
        []
    );
    let error = find::pods(&lab.cluster, Some("../nodes"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
}

#[tokio::test]
async fn long_lists_are_read_to_their_end() {
    let lab = Lab::new().await;
    let made = stream::iter(0..520).map(|number| {
        let lab = &lab;
        async move {
            lab.pod(&format!("p-{number:04}"), json!({}), json!({}))
                .await
        }
    });
    made.buffer_unordered(16).for_each(|_| async {}).await;
    let rows = find::pods(&lab.cluster, Some(&lab.namespace))
        .await
        .unwrap();
    assert_eq!(rows.len(), 520);
    assert!(rows.is_sorted_by_key(|row| row.name.clone()));
}

#[tokio::test]
async fn every_kind_of_target_leads_to_its_pods() {
    let lab = Lab::new().await;
    let template = |labels: &Value| json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "i"}]}});
    let selector = |labels: &Value| json!({"matchLabels": labels});
    let owner = |labels: Value| json!({"metadata": {"name": "web"}, "spec": {"selector": selector(&labels), "template": template(&labels), "serviceName": "web"}});
    lab.create::<Deployment>(owner(json!({"kind": "deploy"})))
        .await;
    lab.create::<StatefulSet>(owner(json!({"kind": "sts"})))
        .await;
    lab.create::<DaemonSet>(owner(json!({"kind": "ds"}))).await;
    lab.create::<ReplicaSet>(owner(json!({"kind": "rs"}))).await;
    let mut job = owner(json!({"kind": "job"}));
    job["spec"]["manualSelector"] = json!(true);
    job["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    lab.create::<Job>(job).await;
    for kind in ["deploy", "sts", "ds", "rs", "job"] {
        lab.running_pod(
            &format!("of-{kind}"),
            json!({"kind": kind, "all": "yes"}),
            "containerd://aa",
        )
        .await;
        assert_eq!(
            names(&lab, &query(&lab, &[&format!("{kind}/web")]))
                .await
                .unwrap(),
            [format!("of-{kind}")]
        );
    }
    assert_eq!(
        names(&lab, &query(&lab, &["of-ds", "pod/of-job", "ds/web"]))
            .await
            .unwrap(),
        ["of-ds", "of-job"],
        "each once"
    );
    let labelled = Query {
        labels: Some("all=yes,kind in (rs,job)".to_owned()),
        ..query(&lab, &[])
    };
    assert_eq!(names(&lab, &labelled).await.unwrap(), ["of-job", "of-rs"]);
    let everywhere = Query {
        namespace: None,
        labels: Some("kind=rs".to_owned()),
        ..Query::default()
    };
    assert_eq!(names(&lab, &everywhere).await.unwrap(), ["of-rs"]);
    let by_name_everywhere = Query {
        namespace: None,
        ..query(&lab, &["of-sts"])
    };
    assert_eq!(names(&lab, &by_name_everywhere).await.unwrap(), ["of-sts"]);
    let on_node = Query {
        node: Some("n1".to_owned()),
        fields: Some("status.phase=Running".to_owned()),
        ..query(&lab, &["deploy/web"])
    };
    assert_eq!(names(&lab, &on_node).await.unwrap(), ["of-deploy"]);
    let elsewhere = Query {
        node: Some("n2".to_owned()),
        ..query(&lab, &["deploy/web"])
    };
    assert_eq!(
        names(&lab, &elsewhere).await.unwrap_err().kind(),
        Kind::NoTarget
    );
}

#[tokio::test]
async fn what_is_not_there_is_named_with_what_is() {
    let lab = Lab::new().await;
    let said = async |query: &Query, kind: Kind| {
        let error = names(&lab, query).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        error.to_string()
    };
    let empty = said(&query(&lab, &["web"]), Kind::NoTarget).await;
    assert!(
        empty.contains("there is no pod \"web\"") && empty.contains("has no pods"),
        "{empty}"
    );
    lab.pod("web-1", json!({}), json!({})).await;
    let other = said(&query(&lab, &["web"]), Kind::NoTarget).await;
    assert!(other.ends_with("; it has: web-1"), "{other}");
    let owner = said(&query(&lab, &["deploy/web"]), Kind::NoTarget).await;
    assert!(
        owner.contains("there is no deployment \"web\"")
            && owner.contains("kubectl get deployment -n"),
        "{owner}"
    );
    let labels = Query {
        labels: Some("app=x".to_owned()),
        ..query(&lab, &[])
    };
    let none = said(&labels, Kind::NoTarget).await;
    assert!(
        none.contains(&format!("kubectl get pods -n {} -l 'app=x'", lab.namespace)),
        "{none}"
    );
    let nowhere = Query {
        namespace: None,
        ..query(&lab, &["deploy/web"])
    };
    said(&nowhere, Kind::Usage).await;
    let wrong = Query {
        labels: Some("a b c".to_owned()),
        ..query(&lab, &[])
    };
    let rejected = said(&wrong, Kind::Failed).await;
    assert!(rejected.contains("rejects it"), "{rejected}");
}

#[tokio::test]
async fn a_target_carries_all_that_tracing_needs() {
    let lab = Lab::new().await;
    let spec = json!({"nodeName": "n1", "shareProcessNamespace": true, "hostNetwork": true, "restartPolicy": "Always",
        "initContainers": [{"name": "mesh", "image": "i", "restartPolicy": "Always"}],
        "containers": [{"name": "web", "image": "i"}, {"name": "log", "image": "i"}]});
    lab.pod("full", json!({}), spec).await;
    let up = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    lab.set_status("full", json!({"phase": "Running",
        "initContainerStatuses": [container("mesh", Some("containerd://01"), up.clone())],
        // As kubelets do, in another order than the specification.
        "containerStatuses": [container("log", Some("containerd://02"), json!({"terminated": {"exitCode": 1, "reason": "Error"}})),
            container("web", Some("cri-o://03"), up)]})).await;
    let pod = one(&lab, "full").await;
    assert_eq!(
        (
            pod.node.as_deref(),
            pod.share_process_namespace,
            pod.host_network,
            pod.host_pid
        ),
        (Some("n1"), true, true, false)
    );
    let shown: Vec<_> = pod
        .containers
        .iter()
        .map(|one| {
            (
                one.name.as_str(),
                one.id.as_ref().unwrap().id.as_str(),
                one.kind,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("mesh", "01", ContainerKind::Init),
            ("log", "02", ContainerKind::Regular),
            ("web", "03", ContainerKind::Regular)
        ]
    );
    assert_eq!(pod.containers[2].id.as_ref().unwrap().runtime, "cri-o");
    let chosen = pod.choose(&Choice::default()).unwrap();
    assert_eq!(
        chosen
            .iter()
            .map(|one| one.name.as_str())
            .collect::<Vec<_>>(),
        ["mesh", "web"],
        "those that run"
    );
    let chosen = pod
        .choose(&Choice {
            container: Some("web".to_owned()),
            ..Choice::default()
        })
        .unwrap();
    assert_eq!(chosen.len(), 1);
    let error = pod
        .choose(&Choice {
            container: Some("wbe".to_owned()),
            ..Choice::default()
        })
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no container \"wbe\"; it has: mesh, log, web"),
        "{error}"
    );
    let error = pod
        .choose(&Choice {
            container: Some("log".to_owned()),
            ..Choice::default()
        })
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has ended (Error, exit status 1)"),
        "{error}"
    );
}

#[tokio::test]
async fn odd_pods_are_answered_clearly() {
    let lab = Lab::new().await;
    let odd = async |name: &str| {
        let error = one(&lab, name)
            .await
            .choose(&Choice::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(&format!(
                "the pod {}/{name} cannot be traced: ",
                lab.namespace
            )),
            "{error}"
        );
        error
    };
    lab.pod("unscheduled", json!({}), json!({})).await;
    assert!(odd("unscheduled").await.contains("on no node yet"));
    lab.set_status("unscheduled", json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}]})).await;
    assert!(
        odd("unscheduled")
            .await
            .contains("Unschedulable: 0/3 nodes are available")
    );

    lab.pod("pulling", json!({}), json!({"nodeName": "n1"}))
        .await;
    assert!(
        odd("pulling")
            .await
            .contains("not running (waiting: not started)")
    );
    lab.set_status("pulling", json!({"phase": "Pending", "containerStatuses": [container("app", None, json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off\u{1b}[2J"}}))]})).await;
    let error = odd("pulling").await;
    assert!(
        error.contains("ImagePullBackOff: Back-off\\u{1b}[2J"),
        "{error}"
    );

    lab.pod("no-id", json!({}), json!({"nodeName": "n1"})).await;
    lab.set_status("no-id", json!({"phase": "Running", "containerStatuses": [container("app", None, json!({"running": {}}))]})).await;
    assert!(odd("no-id").await.contains("no container ID yet"));

    lab.running_pod("crashing", json!({}), "containerd://aa")
        .await;
    let mut crashed = container(
        "app",
        Some("containerd://aa"),
        json!({"waiting": {"reason": "CrashLoopBackOff"}}),
    );
    crashed["restartCount"] = json!(7);
    lab.set_status("crashing", json!({"containerStatuses": [crashed]}))
        .await;
    let error = odd("crashing").await;
    assert!(
        error.contains("crashes again and again (7 restarts")
            && error.contains("kubectl logs --previous"),
        "{error}"
    );

    lab.running_pod("finished", json!({}), "containerd://aa")
        .await;
    lab.set_status(
        "finished",
        json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}),
    )
    .await;
    assert!(
        odd("finished")
            .await
            .contains("finished (Failed, Evicted: low on memory)")
    );

    lab.pod(
        "host-pid",
        json!({}),
        json!({"nodeName": "n1", "hostPID": true}),
    )
    .await;
    lab.set_status("host-pid", running("containerd://aa")).await;
    assert!(odd("host-pid").await.contains("with --host-pid-ok"));

    lab.pod(
        "init",
        json!({}),
        json!({"nodeName": "n1", "initContainers": [{"name": "setup", "image": "i"}]}),
    )
    .await;
    lab.set_status("init", json!({"phase": "Pending",
        "initContainerStatuses": [container("setup", None, json!({"waiting": {"reason": "PodInitializing"}}))],
        "containerStatuses": [container("app", None, json!({"waiting": {"reason": "PodInitializing"}}))]})).await;
    assert!(
        odd("init")
            .await
            .contains("its container setup is not running")
    );
}
