//! Why there is no usable configuration.

use std::path::PathBuf;

/// No usable configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no file, and we do not run in a pod.
    #[error(
        "no kubeconfig: {tried}, and this is not a pod; name one with --kubeconfig or KUBECONFIG"
    )]
    Nowhere {
        /// What was looked at.
        tried: String,
    },
    /// A file is there and cannot be read, or was asked for and is not there.
    #[error("the kubeconfig {} cannot be read ({reason}); check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// A file is not a kubeconfig.
    #[error("the kubeconfig {} is not valid ({reason}); compare it with: kubectl config view --kubeconfig {}", path.display(), path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The parser's words.
        reason: String,
    },
    /// No context was chosen and none is current.
    #[error("the kubeconfig names no current context; choose one with --context ({known})")]
    NoContext {
        /// The contexts that there are.
        known: String,
    },
    /// An entry that was asked for is not there.
    #[error("the kubeconfig has no {kind} {name:?}; it has: {known}")]
    Unknown {
        /// `context`, `cluster` or `user`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// The entries that there are.
        known: String,
    },
    /// An entry is incomplete or names a file that cannot be used.
    #[error(
        "the kubeconfig entry for {context} cannot be used ({reason}); correct it with kubectl config"
    )]
    Entry {
        /// The context.
        context: String,
        /// What is wrong.
        reason: String,
    },
    /// We run in a pod, but its service account cannot be used.
    #[error(
        "the pod's service account cannot be used ({reason}); give the pod one (automountServiceAccountToken), or name a file with --kubeconfig"
    )]
    InCluster {
        /// What is wrong.
        reason: String,
    },
    /// The proxy's address is no URL.
    #[error(
        "the proxy {proxy:?} is not a URL ({reason}); correct HTTPS_PROXY or the cluster's proxy-url"
    )]
    Proxy {
        /// What was configured, without a password.
        proxy: String,
        /// What is wrong.
        reason: String,
    },
}
