//! The objects that a session makes, against the files in `tests/golden/manifest`.
//!
//! `XTRACER_GOLDEN=write cargo test -p x-k8s --test k8s_manifest` writes them anew.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops, and says where"
)]

use std::path::PathBuf;

use serde_json::json;
use x_k8s::manifest::{
    AgentSpec, AgentTarget, NatsSecrets, NatsServerSpec, PullPolicy, Resources, Rights, SpecError,
    agent, nats_server,
};

fn target(container: &str, digit: char) -> AgentTarget {
    AgentTarget {
        namespace: "shop".to_owned(),
        pod: "web-0".to_owned(),
        container: container.to_owned(),
        id: digit.to_string().repeat(64),
        by_cgroup: false,
    }
}

/// What the interactive session of the original asks for.
fn classic() -> AgentSpec {
    AgentSpec {
        session: "k3f9a2c7".parse().unwrap(),
        namespace: "default".to_owned(),
        node: "node-1.example.com".to_owned(),
        hostname_label: Some("node-1".to_owned()),
        image: "itriperegrine/x-agent:0.1.0-debian13".to_owned(),
        pull_policy: PullPolicy::IfNotPresent,
        pull_secrets: Vec::new(),
        targets: vec![target("nginx", '1')],
        probes: [
            "tcptracer",
            "tcpconnect",
            "tcpaccept",
            "tcplife",
            "execsnoop",
            "biosnoop",
            "cachetop",
        ]
        .map(str::to_owned)
        .to_vec(),
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

/// As little as possible, and everything that is different.
fn unusual() -> AgentSpec {
    AgentSpec {
        hostname_label: None,
        pull_policy: PullPolicy::Never,
        pull_secrets: vec!["registry".to_owned()],
        targets: vec![target("nginx", 'a'), target("sidecar", 'b')],
        probes: vec!["execsnoop".to_owned()],
        perf_pages: vec!["execsnoop=64".to_owned()],
        nats_url: Some("tls://me:pa$$word@nats.example:4222".to_owned()),
        nats_host: Some(("nats.example".to_owned(), [10, 244, 0, 9].into())),
        own_server: false,
        orders_from: None,
        durable: false,
        alone_seconds: 3600,
        nats_secrets: NatsSecrets {
            ca: Some(b"-----BEGIN CERTIFICATE-----\n".to_vec()),
            certificate: Some(b"certificate".to_vec()),
            key: Some(b"key".to_vec()),
            ..NatsSecrets::default()
        },
        hub_address: None,
        rights: Rights::Bpf,
        deadline_seconds: Some(3600),
        service: false,
        localtime: false,
        made_by: None,
        ..classic()
    }
}

fn server() -> NatsServerSpec {
    NatsServerSpec {
        session: "k3f9a2c7".parse().unwrap(),
        namespace: "x-tracer".to_owned(),
        image: "itriperegrine/x-agent:0.1.0-debian13".to_owned(),
        pull_policy: PullPolicy::IfNotPresent,
        pull_secrets: Vec::new(),
        trust: json!({"operator": "o", "resolver": "MEMORY"}),
        login_time: 10,
        certificate: ("a certificate".to_owned(), "its key".to_owned()),
        deadline_seconds: None,
        made_by: Some("me@laptop".to_owned()),
    }
}

fn assert_golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden/manifest")
        .join(name);
    if std::env::var_os("XTRACER_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(text, expected, "{} differs", path.display());
}

#[test]
fn the_classic_agent() {
    assert_golden(
        "agent-classic.yaml",
        &agent(&classic()).unwrap().yaml().unwrap(),
    );
}

#[test]
fn an_unusual_agent() {
    assert_golden(
        "agent-unusual.yaml",
        &agent(&unusual()).unwrap().yaml().unwrap(),
    );
}

#[test]
fn the_server_in_the_cluster() {
    assert_golden(
        "nats-server.yaml",
        &nats_server(&server()).unwrap().yaml().unwrap(),
    );
}

#[test]
fn yaml_reads_back_as_the_same_objects() {
    let bundle = agent(&unusual()).unwrap();
    let yaml = bundle.yaml().unwrap();
    let pod = yaml.rsplit("---\n").next().unwrap();
    assert_eq!(
        serde_saphyr::from_str::<x_k8s::core::Pod>(pod).unwrap(),
        bundle.pod
    );
}

#[test]
fn no_secret_is_in_the_pod() {
    let pod = serde_json::to_string(&agent(&unusual()).unwrap().pod).unwrap();
    for secret in ["pa$$word", "pa$$$$word", "cGEk", "BEGIN CERTIFICATE"] {
        assert!(!pod.contains(secret), "{pod}");
    }
    assert!(pod.contains("tls://nats.example:4222"), "{pod}");
}

#[test]
fn an_agent_whose_records_are_kept_waits_for_a_hub_that_comes_back() {
    for (durable, own_server, ends) in [
        (false, false, true),
        (false, true, true),
        (true, true, true),
        (true, false, false),
    ] {
        let bundle = agent(&AgentSpec {
            durable,
            own_server,
            ..classic()
        });
        let pod = serde_json::to_string(&bundle.unwrap().pod).unwrap();
        for variable in ["XTRACER_DURABLE", "XTRACER_END_ALONE"] {
            assert_eq!(pod.contains(variable), durable, "{pod}");
        }
        assert_eq!(pod.contains("XTRACER_END_UNHEARD"), ends, "{pod}");
    }
}

#[test]
fn privileged_asks_for_no_single_capability() {
    let bundle = agent(&AgentSpec {
        rights: Rights::Privileged,
        ..classic()
    })
    .unwrap();
    let security = bundle
        .pod
        .spec
        .unwrap()
        .containers
        .remove(0)
        .security_context
        .unwrap();
    assert_eq!(
        (security.privileged, security.capabilities),
        (Some(true), None)
    );
}

#[test]
fn what_would_not_reach_the_agent_is_refused() {
    assert_eq!(
        agent(&AgentSpec {
            targets: Vec::new(),
            ..classic()
        }),
        Err(SpecError::NoTarget)
    );
    assert_eq!(
        agent(&AgentSpec {
            hub_address: None,
            ..classic()
        }),
        Err(SpecError::NoNats)
    );
    for (id, pod) in [
        ("", "web"),
        ("abc,pod=other", "web"),
        ("abc", "web,name=x"),
        ("abc", "$(tools)"),
        ("abc", ""),
    ] {
        let wrong = AgentTarget {
            id: id.to_owned(),
            pod: pod.to_owned(),
            ..target("c", '1')
        };
        agent(&AgentSpec {
            targets: vec![wrong],
            ..classic()
        })
        .unwrap_err();
    }
    agent(&AgentSpec {
        image: "a b".to_owned(),
        ..classic()
    })
    .unwrap_err();
    for trust in [
        json!({}),
        json!({"operator": ""}),
        json!({"operator": ["o"]}),
    ] {
        nats_server(&NatsServerSpec { trust, ..server() }).unwrap_err();
    }
}
