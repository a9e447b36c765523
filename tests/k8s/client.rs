//! Which cluster is meant, and who we are to it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use tempfile::TempDir;
use x_k8s::client::{Environment, Options};
use x_k8s::{Cluster, Error, Kind, find};

use crate::api_server::{self, ADMIN};
use crate::lab::Lab;

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A kubeconfig with one context, cluster and user of that name.
fn config(name: &str, server: &str, namespace: &str) -> String {
    format!(
        "{{current-context: {name}, contexts: [{{name: {name}, context: {{cluster: {name}, user: {name}, namespace: {namespace}}}}}],\n\
         clusters: [{{name: {name}, cluster: {{server: '{server}'}}}}], users: [{{name: {name}, user: {{token: t}}}}]}}"
    )
}

fn open(options: &Options, environment: &Environment) -> Result<Cluster, Error> {
    Cluster::open(options, environment)
}

fn listing(files: &[&str]) -> Environment {
    Environment {
        kubeconfig: Some(OsString::from(files.join(":"))),
        ..Environment::default()
    }
}

#[tokio::test]
async fn several_files_are_merged_and_missing_ones_skipped() {
    let folder = TempDir::new().unwrap();
    let one = write(
        folder.path(),
        "one",
        &config("one", "https://one:6443", "first"),
    );
    let two = write(
        folder.path(),
        "two",
        &config("two", "https://two:6443", "second"),
    );
    // `one` again, with another server: the first to say a thing is right.
    let again = write(
        folder.path(),
        "again",
        &config("one", "https://wrong:6443", "wrong"),
    );
    let environment = listing(&["/nonexistent/config", &one, "", &again, &two]);
    let cluster = open(&Options::default(), &environment).unwrap();
    assert_eq!(
        (cluster.context(), cluster.server(), cluster.namespace()),
        (Some("one"), "https://one:6443", "first")
    );
    let other = Options {
        context: Some("two".to_owned()),
        ..Options::default()
    };
    let cluster = open(&other, &environment).unwrap();
    assert_eq!(
        (cluster.server(), cluster.namespace()),
        ("https://two:6443", "second")
    );
}

#[tokio::test]
async fn an_explicit_path_comes_first_and_home_last() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join(".kube")).unwrap();
    write(
        folder.path(),
        ".kube/config",
        &config("home", "https://home:6443", "a"),
    );
    let named = write(
        folder.path(),
        "named",
        &config("named", "https://named:6443", "a"),
    );
    let listed = write(
        folder.path(),
        "listed",
        &config("listed", "https://listed:6443", "a"),
    );
    let mut environment = Environment {
        home: Some(folder.path().to_owned()),
        ..Environment::default()
    };
    assert_eq!(
        open(&Options::default(), &environment).unwrap().context(),
        Some("home")
    );
    environment.kubeconfig = Some(listed.into());
    assert_eq!(
        open(&Options::default(), &environment).unwrap().context(),
        Some("listed")
    );
    let explicit = Options {
        kubeconfig: Some(named.into()),
        ..Options::default()
    };
    assert_eq!(
        open(&explicit, &environment).unwrap().context(),
        Some("named")
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_configuration_is_named() {
    let folder = TempDir::new().unwrap();
    let good = write(
        folder.path(),
        "good",
        &config("one", "https://one:6443", "a"),
    );
    let message = |options: Options, environment: &Environment| {
        let error = open(&options, environment).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{error}");
        error.to_string()
    };
    let nothing = Environment::default();
    assert!(message(Options::default(), &nothing).contains("HOME is not set"));
    assert!(
        message(Options::default(), &listing(&["/nonexistent/config"]))
            .contains("KUBECONFIG names /nonexistent/config")
    );
    let missing = Options {
        kubeconfig: Some("/nonexistent/config".into()),
        ..Options::default()
    };
    assert!(
        message(missing, &listing(&[&good]))
            .contains("/nonexistent/config cannot be read (no such file)")
    );
    let broken = write(folder.path(), "broken", "contexts: [");
    assert!(message(Options::default(), &listing(&[&broken])).contains("broken is not valid"));
    let is_folder = folder.path().display().to_string();
    assert!(message(Options::default(), &listing(&[&is_folder])).contains("cannot be read"));
    let unset = write(
        folder.path(),
        "unset",
        &config("one", "https://one:6443", "a").replace("current-context: one, ", ""),
    );
    assert!(
        message(Options::default(), &listing(&[&unset]))
            .contains("choose one with --context (one)")
    );
    for (options, words) in [
        (
            Options {
                context: Some("x".to_owned()),
                ..Options::default()
            },
            "no context \"x\"; it has: one",
        ),
        (
            Options {
                cluster: Some("x".to_owned()),
                ..Options::default()
            },
            "no cluster \"x\"; it has: one",
        ),
        (
            Options {
                user: Some("x".to_owned()),
                ..Options::default()
            },
            "no user \"x\"; it has: one",
        ),
    ] {
        let said = message(options, &listing(&[&good]));
        assert!(said.contains(words), "{said}");
    }
    let in_pod = Environment {
        service_host: Some("10.0.0.1".to_owned()),
        ..Environment::default()
    };
    assert!(
        message(Options::default(), &in_pod).contains("the pod's service account cannot be used")
    );
}

#[tokio::test]
async fn a_cluster_by_itself_is_enough() {
    let folder = TempDir::new().unwrap();
    let unset = write(
        folder.path(),
        "unset",
        &config("one", "https://one:6443", "a").replace("current-context: one, ", ""),
    );
    let options = Options {
        cluster: Some("one".to_owned()),
        user: Some("one".to_owned()),
        ..Options::default()
    };
    assert_eq!(
        open(&options, &listing(&[&unset])).unwrap().server(),
        "https://one:6443"
    );
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_asked_for_a_local_cluster() {
    let lab = Lab::new().await;
    let environment = Environment {
        https_proxy: Some("http://127.0.0.1:9".to_owned()),
        ..Environment::default()
    };
    let options = Options {
        kubeconfig: Some(lab.kubeconfig.clone()),
        ..Options::default()
    };
    assert_eq!(
        open(&options, &environment)
            .unwrap()
            .version()
            .await
            .unwrap(),
        format!("v{}", api_server::version())
    );
}

fn plugin(lab: &Lab, script: &str) -> Result<Cluster, Error> {
    let path = lab
        .server()
        .folder()
        .join(format!("plugin-{}", lab.namespace));
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let user = format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: '{}', interactiveMode: Never, env: [{{name: KEY, value: s3cret}}]}}",
        path.display()
    );
    let options = Options {
        kubeconfig: Some(lab.server().kubeconfig("plugin", &user)),
        ..Options::default()
    };
    open(&options, &Environment::default())
}

#[tokio::test]
async fn an_exec_plugin_logs_in() {
    let lab = Lab::new().await;
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": ADMIN}});
    let cluster = plugin(&lab, &format!("test $KEY = s3cret && echo '{credential}'")).unwrap();
    assert!(
        find::namespaces(&cluster)
            .await
            .unwrap()
            .contains(&lab.namespace)
    );
}

#[tokio::test]
async fn a_plugin_that_fails_is_quoted() {
    let lab = Lab::new().await;
    let error = plugin(
        &lab,
        "echo 'the session has ended, run: corp login' >&2; exit 3",
    )
    .unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden);
    let said = error.to_string();
    assert!(
        said.contains("ended with exit status: 3: the session has ended, run: corp login"),
        "{said}"
    );
    assert!(
        said.contains(&format!("plugin-{}`", lab.namespace)) && !said.contains("s3cret"),
        "{said}"
    );
    let error = plugin(&lab, "echo not-json").unwrap_err();
    assert!(error.to_string().contains("logging in failed"), "{error}");
}

#[tokio::test]
async fn impersonation_asks_as_somebody_else() {
    let lab = Lab::new().await;
    let as_user = |groups: &[&str]| Options {
        kubeconfig: Some(lab.kubeconfig.clone()),
        impersonate: Some("mallory".to_owned()),
        impersonate_groups: groups.iter().map(|&group| group.to_owned()).collect(),
        ..Options::default()
    };
    let error = find::namespaces(&open(&as_user(&[]), &Environment::default()).unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden);
    assert!(
        error
            .to_string()
            .starts_with("cannot list the namespaces: forbidden: "),
        "{error}"
    );
    assert!(error.to_string().contains("User \"mallory\""), "{error}");
    let masters = open(&as_user(&["system:masters"]), &Environment::default()).unwrap();
    find::namespaces(&masters).await.unwrap();
}

/// A service account's token as the API server itself would sign it, valid until `expires`.
fn service_account_token(lab: &Lab, uid: &str, expires: u64) -> String {
    let script = r#"
        b64() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
        head=$(printf '{"alg":"RS256","typ":"JWT"}' | b64)
        body=$(printf '%s' "$1" | b64)
        printf '%s.%s.%s' "$head" "$body" "$(printf '%s.%s' "$head" "$body" | openssl dgst -sha256 -sign "$2" | b64)"
    "#;
    let account = format!("system:serviceaccount:{}:tester", lab.namespace);
    let claims = json!({"iss": "https://x-tracer.test", "aud": ["https://x-tracer.test"], "sub": account,
        "iat": 0, "nbf": 0, "exp": expires,
        "kubernetes.io": {"namespace": lab.namespace, "serviceaccount": {"name": "tester", "uid": uid}}});
    let key = lab.server().folder().join("sa.key");
    let output = Command::new("sh")
        .args(["-c", script, "sh", &claims.to_string()])
        .arg(key)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn an_expired_token_is_named_as_such() {
    let lab = Lab::new().await;
    let account: k8s_openapi::api::core::v1::ServiceAccount =
        lab.create(json!({"metadata": {"name": "tester"}})).await;
    let with_token = |token: &str| {
        let path = lab
            .server()
            .kubeconfig("tester", &format!("token: {token}"));
        open(
            &Options {
                kubeconfig: Some(path),
                ..Options::default()
            },
            &Environment::default(),
        )
        .unwrap()
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let uid = account.metadata.uid.unwrap();
    // The same with time left is known, and only lacks the right: so it is the time that is refused.
    let error = find::namespaces(&with_token(&service_account_token(&lab, &uid, now + 600)))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(":tester\" cannot list resource"),
        "{error}"
    );
    let error = find::namespaces(&with_token(&service_account_token(&lab, &uid, now - 60)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden);
    assert!(
        error
            .to_string()
            .contains("wrong or have expired; log in again"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_the_reason() {
    let folder = TempDir::new().unwrap();
    let dead = write(
        folder.path(),
        "dead",
        &config("dead", "https://127.0.0.1:1", "a"),
    );
    let error = open(&Options::default(), &listing(&[&dead]))
        .unwrap()
        .version()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("https://127.0.0.1:1 cannot be reached (Connection refused"),
        "{error}"
    );
    let lab = Lab::new().await;
    let strange = write(
        folder.path(),
        "strange",
        &config("strange", &lab.server().url(), "a"),
    );
    let error = open(&Options::default(), &listing(&[&strange]))
        .unwrap()
        .version()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("certificate"), "{error}");
}
