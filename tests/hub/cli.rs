//! The command line: what is typed wrongly, what is asked for.

use std::process::Stdio;

use crate::process::{End, Hub, command, run};

/// Runs to the end and gives the first line of standard error besides.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let end = run(arguments);
    assert!(end.stdout.is_empty(), "{end:#?}");
    (end.code, end.stderr.concat())
}

#[test]
fn wrong_usage_is_status_2_and_names_the_fault() {
    for (arguments, fault) in [
        (&["listen"][..], "--nats <URL>"),
        (&["listen", "--nats", "http://h"], "invalid scheme"),
        (
            &["listen", "--nats", "nats://t0ken@h"],
            "no place for a user name or a secret",
        ),
        (
            &["listen", "--nats", "h", "--probes", "tcptop"],
            "unknown probe `tcptop`",
        ),
        (
            &["listen", "--nats", "h", "--timeout", "0"],
            "expected a time above zero",
        ),
        (
            &["listen", "--nats", "h", "--timeout", "soon"],
            "expected a time above zero",
        ),
        (
            &["listen", "--nats", "h", "-o", "xml"],
            "[possible values: classic, columns, json, jsonpretty, yaml]",
        ),
        (&["listen", "--nats", "h", "--user", "u"], "--password-file"),
        (&["local"], "--pid <N>"),
        (&["local", "--pid", "0"], "0 is not in 1.."),
        (
            &["local", "--container", "a,pod=b"],
            "a container ID has letters",
        ),
        (
            &["local", "--pid", "1", "--probes", "cachestat"],
            "use cachetop",
        ),
        (
            &["local", "--pid", "1", "--token-file", "f"],
            "--nats <URL>",
        ),
        (&["parse"], "--probe <NAME>"),
        (&["parse", "--probe", "all"], "unknown probe `all`"),
        (&["frobnicate"], "unrecognized subcommand"),
        (
            &["-kind", "-bogus"],
            "flag provided but not defined: -bogus",
        ),
        (&["--kubeconfig"], "flag needs an argument: -kubeconfig"),
        (&["trace"], "no pod is named"),
        (&["trace", "Web"], "cannot be a Kubernetes name"),
        (&["trace", "svc/web"], "is not a kind of target"),
        (
            &["trace", "web", "--dry-run=client", "-o", "json"],
            "--dry-run prints YAML",
        ),
        (&["trace", "-p", "web,Web"], "cannot be a Kubernetes name"),
        (
            &["listen", "--nats", "h", "--max-entries", "0"],
            "0 is not in 1..",
        ),
        (
            &["trace", "web", "--nats", "http://h"],
            "one of own, in-cluster, auto",
        ),
        (
            &["trace", "web", "--kubeconfig", "/nonexistent"],
            "the kubeconfig /nonexistent cannot be read",
        ),
    ] {
        let (code, text) = refused(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        assert!(text.contains(fault), "{arguments:?}: {text}");
    }
}

#[test]
fn without_a_word_it_is_the_original_and_says_what_that_lacks() {
    let mut hub = command(&[]);
    let no_cluster = hub.env_clear().env("HOME", "/nonexistent");
    let end = Hub::spawn(no_cluster.stdout(Stdio::piped())).end();
    assert_eq!(end.code, Some(2), "{end:#?}");
    end.said(" Start x-tracer");
    end.said("no kubeconfig: ");
}

#[test]
fn a_process_that_is_not_there_is_status_3() {
    // The highest PID that Linux can be told to use is 2^22.
    let (code, text) = refused(&["local", "--pid", "4194305"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("there is no process 4194305"), "{text}");
}

#[test]
fn an_agent_that_is_nowhere_is_named_with_its_places() {
    let pid = std::process::id().to_string();
    let mut hub = command(&["local", "--pid", &pid]);
    hub.env("XTRACER_AGENT", "/nonexistent/x-agent");
    let end = Hub::spawn(hub.stdout(Stdio::piped())).end();
    assert_eq!(end.code, Some(1), "{end:#?}");
    assert!(
        end.said("x-agent was not found in /nonexistent/x-agent")
            .contains("XTRACER_AGENT")
    );
}

#[test]
fn help_version_and_completion_go_to_standard_output() {
    for (arguments, text) in [
        (&["--help"][..], "Exit status:"),
        (&["local", "--help"], "--pidns"),
        (&["--version"], "x-tracer 0."),
        (&["version"], "wire contract 1"),
        (&["completion", "bash"], "_clap_complete_x_tracer x-tracer"),
        (&["completion", "zsh"], "#compdef x-tracer"),
        (&["completion", "fish"], "--command x-tracer"),
    ] {
        let End {
            code,
            stdout,
            stderr,
        } = run(arguments);
        assert_eq!((code, stderr.len()), (Some(0), 0), "{arguments:?}");
        assert!(stdout.concat().contains(text), "{arguments:?}: {stdout:#?}");
    }
}

#[test]
fn as_a_plugin_it_goes_by_kubectls_name() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-xtracer");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_x-tracer"), &plugin).unwrap();
    let output = std::process::Command::new(plugin)
        .args(["trace", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("Usage: kubectl xtracer trace"), "{help}");
}

#[test]
fn bash_accepts_the_completion_script() {
    let script = run(&["completion", "bash"]).stdout.concat();
    let checked = std::process::Command::new("bash")
        .args(["-n", "-c", &script])
        .status()
        .unwrap();
    assert!(checked.success());
}
