//! What a shell offers after `x-tracer`: names that a real API server knows.

use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::json;

use crate::hub::{blocking, program, x_tracer};
use crate::lab::{Lab, running};

/// Lets bash complete the last of the words, as if Tab were pressed behind it.
async fn offered(lab: &Lab, words: &[&str]) -> Vec<String> {
    let script = r#"
        source <("$PROGRAM" completion bash)
        COMP_WORDS=(x-tracer "$@") COMP_CWORD=$# COMP_TYPE=9
        _clap_complete_x_tracer x-tracer "${@: -1}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut command = Command::new("bash");
    let environment = x_tracer(lab);
    let set = environment.get_envs();
    command
        .env_clear()
        .envs(set.filter_map(|(name, value)| Some((name, value?))))
        .env("PROGRAM", program())
        .args(["-c", script, "bash"])
        .args(words);
    lines(command).await
}

async fn lines(mut command: Command) -> Vec<String> {
    let output = blocking(move || command.output().unwrap()).await;
    assert_eq!(output.stderr, b"", "{:?}", output.stderr);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_completes_what_the_cluster_knows() {
    let lab = Lab::new().await;
    for name in ["web-0", "web-1", "db"] {
        lab.pod(name, json!({}), json!({"nodeName": "n"})).await;
        lab.set_status(name, running("containerd://00")).await;
    }
    let namespace: &str = &lab.namespace;
    for (words, names) in [
        (
            &["trace", "-n", namespace, "we"][..],
            &["web-0", "web-1"][..],
        ),
        (&["trace", "-n", namespace, "web-0", "pod/d"], &["pod/db"]),
        (&["trace", "-n", namespace, "none"], &[]),
        (&["trace", "-n", namespace, "db", "-c", "a"], &["app"]),
        (&["trace", "--host-pid"], &["--host-pid-ok"]),
        (&["trace", "-o", "y"], &["yaml"]),
        // A cluster that does not answer offers nothing, and says nothing.
        (&["trace", "--cluster", "nowhere", "we"], &[]),
    ] {
        assert_eq!(offered(&lab, words).await, names, "{words:?}");
    }
    // Other tests have namespaces of their own.
    let namespaces = offered(&lab, &["trace", "-n", namespace]).await;
    assert!(namespaces.contains(&lab.namespace), "{namespaces:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_completes_the_words_of_its_plugin() {
    let lab = Lab::new().await;
    lab.pod("web", json!({}), json!({})).await;
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl_complete-xtracer");
    symlink(program(), &plugin).unwrap();
    let mut command = Command::new(plugin);
    command
        .env("KUBECONFIG", lab.server().admin_kubeconfig())
        .args(["trace", "-n", &lab.namespace, "w"]);
    assert_eq!(lines(command).await, ["web", ":4"]);
}
