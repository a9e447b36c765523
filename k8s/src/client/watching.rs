//! A list that stays true: what there is now, then every change, without an end.
//!
//! kube's own watcher says nothing when a watch that had failed works again, and puts no limit on the
//! list and on the first answer of a watch, so that a server which is connected and silent holds it for
//! ever. Here each request has the cluster's time limit, a failed watch begins with a list (which *is*
//! the news that it works again), and pauses grow while failures last.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{Cluster, listing};
use crate::error::Cause;

/// Seconds after which the server ends a watch; it is then begun anew where it was.
const WATCH_SECONDS: u32 = 60;
/// Silence after which a watch is taken for dead: the server should have ended it long since.
const DEAD_AFTER: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);
/// First pause after a failure; it doubles with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What a watch saw.
#[derive(Debug)]
pub(crate) enum Seen<K> {
    /// All there is now: at the beginning, and whenever something may have been missed.
    Listed(Vec<K>),
    /// This object is new or differs.
    Changed(K),
    /// This object is gone, or does not match any more.
    Removed(K),
    /// The server cannot be watched. The next [`Seen::Listed`] says that it can again.
    Failed(Cause),
}

/// A watch that mends itself.
pub(crate) struct Watching<K> {
    cluster: Cluster,
    api: Api<K>,
    doing: String,
    labels: Option<String>,
    fields: Option<String>,
    /// Where to go on from; `None` asks for a list.
    version: Option<String>,
    open: Option<Open<K>>,
    failures: u32,
    /// When to ask again after a failure.
    not_before: Instant,
}

struct Open<K> {
    events: BoxStream<'static, kube::Result<WatchEvent<K>>>,
    since: Instant,
    /// When something came last.
    heard: Instant,
}

impl<K> Watching<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    /// `doing` continues "cannot …" in messages.
    pub(crate) fn new(cluster: &Cluster, api: Api<K>, doing: String) -> Self {
        Self {
            cluster: cluster.clone(),
            api,
            doing,
            labels: None,
            fields: None,
            version: None,
            open: None,
            failures: 0,
            not_before: Instant::now(),
        }
    }

    pub(crate) fn labels(mut self, selector: Option<String>) -> Self {
        self.labels = selector;
        self
    }

    pub(crate) fn fields(mut self, selector: Option<String>) -> Self {
        self.fields = selector;
        self
    }

    /// The next thing to know. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Seen<K> {
        loop {
            let outcome = match (&mut self.open, &self.version) {
                (Some(_), _) => self.read().await,
                (None, Some(_)) => self.begin().await,
                (None, None) => self.list().await,
            };
            match outcome {
                Ok(Some(seen)) => return seen,
                Ok(None) => {}
                Err(cause) => {
                    (self.open, self.version) = (None, None);
                    self.failures = self.failures.saturating_add(1);
                    self.not_before = Instant::now() + pause_after(self.failures);
                    return Seen::Failed(cause);
                }
            }
        }
    }

    async fn list(&mut self) -> Result<Option<Seen<K>>, Cause> {
        tokio::time::sleep_until(self.not_before).await;
        let mut params = ListParams::default();
        params.label_selector.clone_from(&self.labels);
        params.field_selector.clone_from(&self.fields);
        let list = listing::all(&self.cluster, &self.api, &params, &self.doing)
            .await
            .map_err(|error| error.cause)?;
        self.failures = 0;
        self.version = Some(list.version);
        Ok(Some(Seen::Listed(list.items)))
    }

    async fn begin(&mut self) -> Result<Option<Seen<K>>, Cause> {
        let params = WatchParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            timeout: Some(WATCH_SECONDS),
            bookmarks: true,
            send_initial_events: false,
        };
        let from = self.version.clone().unwrap_or_default();
        let since = Instant::now();
        match self
            .cluster
            .call(&self.doing, self.api.watch(&params, &from))
            .await
        {
            Ok(events) => {
                self.open = Some(Open {
                    events: events.boxed(),
                    since,
                    heard: since,
                });
                Ok(None)
            }
            Err(error) => self.forgive_forgetting(error.cause),
        }
    }

    async fn read(&mut self) -> Result<Option<Seen<K>>, Cause> {
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        let next = tokio::time::timeout_at(open.heard + DEAD_AFTER, open.events.next()).await;
        open.heard = Instant::now();
        match next {
            Ok(Some(Ok(event))) => self.heed(event),
            Ok(Some(Err(error))) => Err(Cause::of(self.cluster.server(), &error)),
            // A server that ends watches as soon as they begin must not be asked without a pause.
            Ok(None) if open.since.elapsed() < Duration::from_secs(1) => Err(Cause::Unreachable {
                server: self.cluster.server().to_owned(),
                reason: "it ends a watch as soon as it begins".to_owned(),
            }),
            Ok(None) | Err(_) => {
                self.open = None;
                Ok(None)
            }
        }
    }

    fn heed(&mut self, event: WatchEvent<K>) -> Result<Option<Seen<K>>, Cause> {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                self.version = object.resource_version();
                Ok(Some(Seen::Changed(object)))
            }
            WatchEvent::Deleted(object) => {
                self.version = object.resource_version();
                Ok(Some(Seen::Removed(object)))
            }
            WatchEvent::Bookmark(mark) => {
                self.version = Some(mark.metadata.resource_version);
                Ok(None)
            }
            WatchEvent::Error(status) => self.forgive_forgetting(Cause::of_status(&status)),
        }
    }

    /// 410: the server does not remember where we were. No failure; a list tells.
    fn forgive_forgetting(&mut self, cause: Cause) -> Result<Option<Seen<K>>, Cause> {
        match cause {
            Cause::Server { code: 410, .. } => {
                (self.open, self.version) = (None, None);
                Ok(None)
            }
            other => Err(other),
        }
    }
}

/// How long to wait after this many failures in a row.
fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)))
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::{FIRST_PAUSE, LONGEST_PAUSE, pause_after};

    #[test]
    fn pauses_grow_up_to_a_limit() {
        assert_eq!(pause_after(1), FIRST_PAUSE);
        assert_eq!(pause_after(3), FIRST_PAUSE * 4);
        assert_eq!(pause_after(60), LONGEST_PAUSE);
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }
}
