//! What a shell offers after `x-tracer`: names that a real API server knows.

use std::os::unix::fs::symlink;
use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::hub::{blocking, program, x_tracer};
use crate::lab::{Lab, running};

async fn deployment(lab: &Lab, name: &str) {
    let labels = json!({"app": name});
    let object = json!({
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": "app"}]},
            },
        },
    });
    let api: Api<Deployment> = Api::namespaced(lab.client.clone(), &lab.namespace);
    let object = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

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
    deployment(&lab, "front").await;
    let namespace: &str = &lab.namespace;
    for (words, names) in [
        (
            &["trace", "-n", namespace, "we"][..],
            &["web-0", "web-1"][..],
        ),
        (&["trace", "-n", namespace, "web-0", "pod/d"], &["pod/db"]),
        (&["trace", "-n", namespace, "dep"], &["deployment/"]),
        (&["trace", "-n", namespace, "deploy/f"], &["deploy/front"]),
        (&["trace", "-n", namespace, "sts/"], &[]),
        (&["trace", "-n", namespace, "-p", "d"], &["db"]),
        (&["trace", "-n", namespace, "-p", "db", "-c", "a"], &["app"]),
        (&["trace", "--context", "ad"], &["admin"]),
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

/// The same word in each shell, as if Tab were pressed behind the line: bash is asked above.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zsh_and_fish_complete_it_too() {
    let lab = Lab::new().await;
    lab.pod("web", json!({}), json!({})).await;
    deployment(&lab, "front").await;
    let namespace: &str = &lab.namespace;
    for (words, whole) in [
        ("tra", "trace"),
        ("trace --host-p", "--host-pid-ok"),
        ("trace --output=y", "--output=yaml"),
        (&format!("trace -n {namespace} w"), "web"),
        (&format!("trace -n {namespace} deploy/f"), "deploy/front"),
        (&format!("trace -n {namespace} deplo"), "deployment/"),
        (&format!("trace --agent-namespace {namespace}"), namespace),
    ] {
        let typed = format!("x-tracer {words}");
        let last = words.split(' ').next_back().unwrap();
        let completed = format!("{}{whole}", typed.strip_suffix(last).unwrap());
        let zsh = lines(zsh(&lab, &typed)).await;
        assert_eq!(zsh.concat().trim_end(), completed, "zsh");
        let fish = lines(fish(&lab, &typed)).await;
        let offered: Vec<_> = fish
            .iter()
            .filter_map(|line| line.split('\t').next())
            .collect();
        assert_eq!(offered, [whole], "fish: {typed}");
    }
}

/// zsh on a terminal of its own; prints the line as it is after the Tab.
fn zsh(lab: &Lab, typed: &str) -> Command {
    // The inner shell ends after one completion, by that the outer one's reading.
    let script = r#"
        zmodload zsh/zpty
        zpty shell 'zsh -fi'
        zpty -w shell 'PS1=; autoload -Uz compinit; compinit -D -u; source <(x-tracer completion zsh)'
        zpty -w shell 'tell() { zle complete-word; print -r -- $BUFFER > $ANSWER; exit }'
        zpty -w shell 'zle -N tell; bindkey "^X" tell'
        zpty -w -n shell "$1"$'\x18'
        while zpty -r shell line; do :; done
        cat $ANSWER; rm $ANSWER
    "#;
    let answer = std::env::temp_dir().join(format!("{}.answer", lab.namespace));
    let mut command = in_shell("zsh", lab);
    command
        .env("ANSWER", answer)
        .args(["-fc", script, "zsh", typed]);
    command
}

/// fish; prints an offer a line, with its description.
fn fish(lab: &Lab, typed: &str) -> Command {
    let script = "x-tracer completion fish | source; complete -C $argv[1]";
    let mut command = in_shell("fish", lab);
    command.args(["--no-config", "-c", script, typed]);
    command
}

/// A shell, with `x-tracer` on its path and a lab for its cluster.
fn in_shell(shell: &str, lab: &Lab) -> Command {
    let folder = program().parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path)));
    let mut command = Command::new(shell);
    command
        .env("PATH", path.unwrap())
        .env("KUBECONFIG", &lab.kubeconfig)
        .env("HOME", "/nonexistent")
        .env("TERM", "dumb");
    command
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
