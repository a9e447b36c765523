//! A connection to one API server, found the way kubectl finds it.
//!
//! Order of the sources: the path that was asked for, else the files that `KUBECONFIG` lists (missing
//! ones are skipped), else `~/.kube/config`, else the service account of the pod that we run in.

mod config_error;
mod environment;
mod kubeconfig;
pub(crate) mod listing;
mod namespaced;
mod proxy;
mod watching;

use std::path::PathBuf;
use std::time::Duration;

use kube::config::AuthInfo;

pub use config_error::ConfigError;
pub use environment::Environment;
pub use kubeconfig::contexts;
pub(crate) use namespaced::Namespaced;
pub(crate) use watching::{Seen, Watching};

use crate::Error;
use crate::error::{ApiError, Cause};

/// How long one call may take when nothing else was asked for. kubectl waits for ever; a tool that
/// must clean up behind itself cannot.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Which cluster, and as whom: kubectl's options of the same names.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--kubeconfig`: this file and no other.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`: this context instead of the current one.
    pub context: Option<String>,
    /// `--cluster`: this cluster instead of the context's.
    pub cluster: Option<String>,
    /// `--user`: this user instead of the context's.
    pub user: Option<String>,
    /// `--as`: the user to impersonate.
    pub impersonate: Option<String>,
    /// `--as-group`: the groups to impersonate.
    pub impersonate_groups: Vec<String>,
    /// `--as-uid`: the UID to impersonate.
    pub impersonate_uid: Option<String>,
    /// `--request-timeout`: `None` is [`DEFAULT_REQUEST_TIMEOUT`], zero is no limit.
    pub request_timeout: Option<Duration>,
}

/// One API server, who we are to it, and where we are by default.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    server: String,
    context: Option<String>,
    namespace: String,
    request_timeout: Duration,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Cluster")
            .field("server", &self.server)
            .field("context", &self.context)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Reads the configuration, logs in where that takes an exec plugin, and prepares the client. Nothing
    /// is sent to the server yet: see [`Cluster::version`].
    ///
    /// A plugin may talk to the user and take its time: call this before a prompt of your own or raw mode.
    /// It must be called within a tokio runtime, which it blocks meanwhile.
    ///
    /// # Errors
    /// [`ConfigError`], naming the file or entry that is wrong; [`ApiError`], if the plugin fails.
    pub fn open(options: &Options, environment: &Environment) -> Result<Self, Error> {
        let (mut config, context) = match kubeconfig::read(options, environment)? {
            Some(found) => found,
            None => (kubeconfig::in_cluster(options, environment)?, None),
        };
        impersonate(&mut config.auth_info, options);
        let request_timeout = options.request_timeout.unwrap_or(DEFAULT_REQUEST_TIMEOUT);
        let server = config
            .cluster_url
            .to_string()
            .trim_end_matches('/')
            .to_owned();
        let namespace = config.default_namespace.clone();
        // Runs an exec plugin, so that what fails here is a login as a rule.
        let client = kube::Client::try_from(config)
            .map_err(|error| ApiError::new(format!("log in to {server}"), &server, &error))?;
        Ok(Self {
            client,
            server,
            context,
            namespace,
            request_timeout,
        })
    }

    /// The context's namespace, `default` where it has none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The context in use; `None` inside a cluster.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// The API server's URL.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The server's version (`v1.34.4`); the quickest way to learn whether it is there and knows us.
    ///
    /// # Errors
    /// [`ApiError`], when the server cannot be reached or the login fails.
    pub async fn version(&self) -> Result<String, Error> {
        let version = self
            .call(
                "ask the API server for its version",
                self.client.apiserver_version(),
            )
            .await?;
        Ok(crate::text::visible(&version.git_version))
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// One request with the time limit of this cluster. `doing` continues "cannot …".
    pub(crate) async fn call<T>(
        &self,
        doing: impl Into<String>,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ApiError> {
        let answer = if self.request_timeout.is_zero() {
            request.await
        } else {
            let timed = tokio::time::timeout(self.request_timeout, request).await;
            let Ok(answer) = timed else {
                let (server, after) = (self.server.clone(), self.request_timeout);
                return Err(ApiError {
                    doing: doing.into(),
                    cause: Cause::TimedOut { server, after },
                });
            };
            answer
        };
        answer.map_err(|error| ApiError::new(doing, &self.server, &error))
    }
}

fn impersonate(user: &mut AuthInfo, options: &Options) {
    if let Some(name) = &options.impersonate {
        user.impersonate = Some(name.clone());
        // As in kubectl: flags replace the whole identity of the kubeconfig, not a part of it.
        user.impersonate_groups = None;
        user.impersonate_uid = None;
        user.impersonate_user_extra = None;
    }
    if !options.impersonate_groups.is_empty() {
        user.impersonate_groups = Some(options.impersonate_groups.clone());
    }
    if let Some(uid) = &options.impersonate_uid {
        user.impersonate_uid = Some(uid.clone());
    }
}
