//! The objects of a session, as pure values: no I/O, so that `--dry-run=client -o yaml` and the tests see
//! exactly what would be made.
//!
//! Each object belongs to one pod, its [`Bundle`]: the pod, the Secret that it mounts, the Service that
//! points at it. All carry the session's label, and [`crate::rollout`] makes the pod their owner, so that
//! whoever deletes the pod deletes everything.

mod agent;
mod nats_server;
mod secrets;
mod session;

use k8s_openapi::api::core::v1::{Pod, Secret, Service};

pub(crate) use agent::AGENT;
pub use agent::{AgentSpec, AgentTarget, PullPolicy, Resources, Rights, agent};
pub use nats_server::{NATS_PORT, NatsServerSpec, nats_server};
pub use secrets::NatsSecrets;
pub(crate) use session::MADE_BY;
pub use session::{
    APP, MANAGED_BY, MANAGER, SESSION, Session, agent_name, nats_name, service_name,
};

use crate::text::visible;

/// A pod and what exists only for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The pod.
    pub pod: Pod,
    /// What it must know and must not show. Has the pod's name.
    pub secret: Option<Secret>,
    /// What points at it. Its name follows from the pod's: see [`service_name`].
    pub service: Option<Service>,
}

/// Objects that cannot be built as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A session's name that labels or object names cannot hold.
    #[error(
        "{0:?} cannot be a session's name: use 1 to 20 lower-case letters, digits and '-', with a letter or digit at both ends"
    )]
    Session(String),
    /// Nothing to trace.
    #[error("an agent without a target: name at least one container")]
    NoTarget,
    /// Nowhere to publish to.
    #[error("an agent without a NATS server: give a URL or the hub's address")]
    NoNats,
    /// Something that would not reach the agent as it is.
    #[error("{what} cannot be {value:?}: {why}")]
    Value {
        /// What it is for.
        what: &'static str,
        /// What it was to be.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The serializer refused.
    #[error("the object cannot be written as YAML: {0}")]
    Yaml(String),
}

impl SpecError {
    fn value(what: &'static str, value: &str, why: &'static str) -> Self {
        Self::Value {
            what,
            value: visible(value),
            why,
        }
    }
}

impl Bundle {
    /// The pod's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    /// The pod's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// All objects as one YAML stream for `kubectl apply -f -`, the pod last. What the Secret holds is
    /// written as it is: do not log this.
    ///
    /// # Errors
    /// [`SpecError::Yaml`].
    pub fn yaml(&self) -> Result<String, SpecError> {
        let mut documents = Vec::new();
        if let Some(secret) = &self.secret {
            documents.push(document(secret)?);
        }
        if let Some(service) = &self.service {
            documents.push(document(service)?);
        }
        documents.push(document(&self.pod)?);
        Ok(documents.join("---\n"))
    }
}

fn document(object: &impl serde::Serialize) -> Result<String, SpecError> {
    let mut text =
        serde_saphyr::to_string(object).map_err(|error| SpecError::Yaml(error.to_string()))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
