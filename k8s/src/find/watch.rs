//! The pods of one selection, watched for as long as a trace runs.

use std::collections::VecDeque;

use futures_util::stream::{self, BoxStream, StreamExt};
use k8s_openapi::api::core::v1::Pod;

use super::follow::{Change, Table};
use super::{Selection, TargetPod};
use crate::Cluster;
use crate::client::{Seen, Watching};

/// What becomes of the pods of one selection; `known` are those that the caller has already.
pub(super) fn watch(
    cluster: &Cluster,
    selection: &Selection,
    known: &[TargetPod],
) -> BoxStream<'static, Change> {
    let pods = Watching::new(cluster, selection.api(cluster), selection.doing("watch"))
        .labels(selection.labels.clone())
        .fields(selection.fields.clone());
    let follower = Follower {
        pods,
        table: Table::knowing(known),
        broken: false,
        ready: VecDeque::new(),
    };
    stream::unfold(follower, |mut follower| async move {
        Some((follower.next().await, follower))
    })
    .boxed()
}

struct Follower {
    pods: Watching<Pod>,
    table: Table,
    broken: bool,
    ready: VecDeque<Change>,
}

impl Follower {
    async fn next(&mut self) -> Change {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return change;
            }
            let changes = match self.pods.next().await {
                Seen::Listed(pods) => {
                    if std::mem::take(&mut self.broken) {
                        self.ready.push_back(Change::Resumed);
                    }
                    self.table
                        .listed(&pods.iter().map(TargetPod::of).collect::<Vec<_>>())
                }
                Seen::Changed(pod) => self.table.shown(&TargetPod::of(&pod)),
                Seen::Removed(pod) => self.table.removed(&TargetPod::of(&pod)),
                Seen::Failed(_) if self.broken => continue,
                Seen::Failed(cause) => {
                    self.broken = true;
                    vec![Change::Interrupted(cause)]
                }
            };
            self.ready.extend(changes);
        }
    }
}
