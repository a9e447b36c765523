//! From files to one configuration, by kubectl's rules.

use std::path::Path;

use kube::config::{Config, Context, KubeConfigOptions, Kubeconfig, KubeconfigError, NamedContext};

use super::{ConfigError, Environment, Options, proxy};
use crate::text::{list, visible};

/// The configuration of the chosen context and that context's name; `None` when there is no file.
pub(super) fn read(
    options: &Options,
    environment: &Environment,
) -> Result<Option<(Config, Option<String>)>, ConfigError> {
    let Some(files) = merged(options, environment)? else {
        return Ok(None);
    };
    let (files, context) = choose(files, options)?;
    let cluster_proxy = cluster_proxy(&files, options, &context);
    let choice = KubeConfigOptions {
        context: Some(context.clone()),
        cluster: options.cluster.clone(),
        user: options.user.clone(),
    };
    // Reads files and base64 only; the future has nothing to wait for.
    let mut config =
        futures_util::FutureExt::now_or_never(Config::from_custom_kubeconfig(files, &choice))
            .unwrap_or(Err(KubeconfigError::CurrentContextNotSet))
            .map_err(|error| ConfigError::Entry {
                context: context.clone(),
                reason: visible(&error.to_string()),
            })?;
    choose_proxy(&mut config, cluster_proxy.as_deref(), environment)?;
    Ok(Some((config, Some(context))))
}

/// The names of all contexts, in the files' order.
///
/// # Errors
/// [`ConfigError`], naming the file that is wrong.
pub fn contexts(options: &Options, environment: &Environment) -> Result<Vec<String>, ConfigError> {
    let files = merged(options, environment)?.unwrap_or_default();
    let contexts = files.contexts.into_iter();
    Ok(contexts.map(|context| context.name).collect())
}

/// The service account of the pod that we run in.
pub(super) fn in_cluster(
    options: &Options,
    environment: &Environment,
) -> Result<Config, ConfigError> {
    if environment.service_host.is_none() {
        return Err(ConfigError::Nowhere {
            tried: tried(environment),
        });
    }
    if let Some(context) = &options.context {
        return Err(ConfigError::Unknown {
            kind: "context",
            name: context.clone(),
            known: "nothing, there is no file".to_owned(),
        });
    }
    let mut config = Config::incluster().map_err(|error| ConfigError::InCluster {
        reason: visible(&error.to_string()),
    })?;
    choose_proxy(&mut config, None, environment)?;
    Ok(config)
}

fn choose_proxy(
    config: &mut Config,
    of_cluster: Option<&str>,
    environment: &Environment,
) -> Result<(), ConfigError> {
    let server = &config.cluster_url;
    let destination = proxy::Destination {
        scheme: server.scheme_str().unwrap_or("https"),
        host: server.host().unwrap_or_default(),
        port: server.port_u16(),
    };
    config.proxy_url = match proxy::choose(destination, of_cluster, environment) {
        None => None,
        Some(url) => Some(url.parse().map_err(|error| ConfigError::Proxy {
            proxy: visible(&proxy::without_password(&url)),
            reason: format!("{error}"),
        })?),
    };
    Ok(())
}

fn tried(environment: &Environment) -> String {
    match (
        environment.kubeconfig_files(),
        environment.default_kubeconfig(),
    ) {
        (Some(files), _) => {
            let names: Vec<_> = files
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            format!("KUBECONFIG names {}, not there or empty", list(&names))
        }
        (None, Some(path)) => format!("{} is not there or empty", path.display()),
        (None, None) => "HOME is not set".to_owned(),
    }
}

/// All files of the source that applies, merged: the first to set a thing wins.
fn merged(options: &Options, environment: &Environment) -> Result<Option<Kubeconfig>, ConfigError> {
    if let Some(path) = &options.kubeconfig {
        return load(path)?
            .ok_or_else(|| ConfigError::Read {
                path: path.clone(),
                reason: "no such file".to_owned(),
            })
            .map(Some);
    }
    let files = match environment.kubeconfig_files() {
        Some(files) => files,
        None => environment.default_kubeconfig().into_iter().collect(),
    };
    let mut whole: Option<Kubeconfig> = None;
    for path in &files {
        let Some(next) = load(path)? else { continue };
        whole = Some(match whole {
            None => next,
            Some(before) => before.merge(next).map_err(|error| ConfigError::Parse {
                path: path.clone(),
                reason: error.to_string(),
            })?,
        });
    }
    // kubectl falls through to the pod's account when the files say nothing at all.
    Ok(whole.filter(|files| !(files.contexts.is_empty() && files.clusters.is_empty())))
}

fn load(path: &Path) -> Result<Option<Kubeconfig>, ConfigError> {
    match Kubeconfig::read_from(path) {
        Ok(file) => Ok(Some(file)),
        Err(KubeconfigError::ReadConfig(error, _))
            if error.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(KubeconfigError::ReadConfig(error, _)) => Err(ConfigError::Read {
            path: path.to_owned(),
            reason: error.to_string(),
        }),
        Err(error) => Err(ConfigError::Parse {
            path: path.to_owned(),
            reason: visible(&error.to_string()),
        }),
    }
}

/// Checks what was asked for against what is there. The library takes an unknown user for none at
/// all, which ends in an answer about `system:anonymous`; kubectl names the user.
fn choose(mut files: Kubeconfig, options: &Options) -> Result<(Kubeconfig, String), ConfigError> {
    let names = |files: &Kubeconfig| {
        files
            .contexts
            .iter()
            .map(|named| named.name.clone())
            .collect::<Vec<_>>()
    };
    let current = files
        .current_context
        .clone()
        .filter(|name| !name.is_empty());
    let context = match (options.context.clone().or(current), &options.cluster) {
        (Some(context), _) => context,
        // As in kubectl, a cluster by itself is enough.
        (None, Some(cluster)) => {
            let context = Context {
                cluster: cluster.clone(),
                user: options.user.clone(),
                ..Context::default()
            };
            files.contexts.push(NamedContext {
                name: cluster.clone(),
                context: Some(context),
                ..NamedContext::default()
            });
            cluster.clone()
        }
        (None, None) => {
            return Err(ConfigError::NoContext {
                known: list(&names(&files)),
            });
        }
    };
    known("context", Some(&context), &names(&files))?;
    let clusters: Vec<_> = files
        .clusters
        .iter()
        .map(|named| named.name.clone())
        .collect();
    known("cluster", options.cluster.as_ref(), &clusters)?;
    let users: Vec<_> = files
        .auth_infos
        .iter()
        .map(|named| named.name.clone())
        .collect();
    known("user", options.user.as_ref(), &users)?;
    Ok((files, context))
}

fn known(kind: &'static str, name: Option<&String>, there: &[String]) -> Result<(), ConfigError> {
    match name {
        Some(name) if !there.contains(name) => {
            let known = if there.is_empty() {
                "none".to_owned()
            } else {
                list(there)
            };
            Err(ConfigError::Unknown {
                kind,
                name: name.clone(),
                known,
            })
        }
        _ => Ok(()),
    }
}

fn cluster_proxy(files: &Kubeconfig, options: &Options, context: &str) -> Option<String> {
    let of_context = files
        .contexts
        .iter()
        .find(|named| named.name == context)?
        .context
        .as_ref()?;
    let cluster = options.cluster.as_ref().unwrap_or(&of_context.cluster);
    let named = files.clusters.iter().find(|named| &named.name == cluster)?;
    named
        .cluster
        .as_ref()?
        .proxy_url
        .clone()
        .filter(|url| !url.is_empty())
}
