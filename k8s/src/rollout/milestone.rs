//! What a waiting user is told.

use crate::error::Cause;

/// A step on a pod's way up.
#[derive(Debug, Clone, PartialEq)]
pub enum Milestone {
    /// The API server has the objects.
    Created,
    /// A node was found.
    Scheduled {
        /// Its name.
        node: String,
    },
    /// The node fetches the image.
    Pulling,
    /// The image is there; the runtime starts the container.
    Starting,
    /// It runs.
    Running(Running),
    /// Something the cluster says that may or may not be in the way: a warning event, no place yet.
    Warning(String),
    /// The pod cannot be watched now; the waiting goes on.
    Unwatched(Cause),
}

/// A pod that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The node that it runs on.
    pub node: String,
    /// Its address in the cluster.
    pub ip: Option<String>,
}
