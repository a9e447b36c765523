//! The few environment variables that decide which cluster is meant.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the process's environment says about clusters: read once, handed in, and made by hand in tests.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `KUBECONFIG`: files, separated as in `PATH`.
    pub kubeconfig: Option<OsString>,
    /// `HOME`, else `USERPROFILE`.
    pub home: Option<PathBuf>,
    /// `KUBERNETES_SERVICE_HOST`: set in every pod.
    pub service_host: Option<String>,
    /// `HTTPS_PROXY` or `https_proxy`.
    pub https_proxy: Option<String>,
    /// `HTTP_PROXY` or `http_proxy`.
    pub http_proxy: Option<String>,
    /// `NO_PROXY` or `no_proxy`.
    pub no_proxy: Option<String>,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let either = |upper: &str, lower: &str| text(upper).or_else(|| text(lower));
        Self {
            kubeconfig: std::env::var_os("KUBECONFIG"),
            home: either("HOME", "USERPROFILE").map(PathBuf::from),
            service_host: text("KUBERNETES_SERVICE_HOST"),
            https_proxy: either("HTTPS_PROXY", "https_proxy"),
            http_proxy: either("HTTP_PROXY", "http_proxy"),
            no_proxy: either("NO_PROXY", "no_proxy"),
        }
    }

    /// The files of `KUBECONFIG`, empty entries left out; `None` when it names none.
    pub(super) fn kubeconfig_files(&self) -> Option<Vec<PathBuf>> {
        let files: Vec<_> = std::env::split_paths(self.kubeconfig.as_ref()?)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        (!files.is_empty()).then_some(files)
    }

    pub(super) fn default_kubeconfig(&self) -> Option<PathBuf> {
        self.home
            .as_ref()
            .map(|home| home.join(Path::new(".kube/config")))
    }
}
