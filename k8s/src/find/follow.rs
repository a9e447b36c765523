//! What changed about the pods that are traced. Pure: a table, told what the API shows.

use std::collections::BTreeMap;

use super::pod::{ContainerId, PodName, TargetPod};
use crate::error::Cause;

/// Something that a running trace must answer to.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A pod matches that did not before. Its containers may not run yet: each is announced by a
    /// [`Change::ContainerStarted`] of its own when it does.
    Appeared(TargetPod),
    /// A container runs under an ID that is new.
    ContainerStarted {
        /// The pod as it is now.
        pod: TargetPod,
        /// The container's name.
        container: String,
        /// Its new ID.
        id: ContainerId,
        /// The ID that it ran under before, if this is a restart.
        replaces: Option<ContainerId>,
    },
    /// The pod has ended: `Succeeded` or `Failed`.
    Finished(TargetPod),
    /// The pod is gone, or does not match any more.
    Gone {
        /// Which pod.
        name: PodName,
        /// Its UID, in case another took the name.
        uid: String,
    },
    /// The API server cannot be watched now. The watch goes on by itself; the pods are traced meanwhile.
    Interrupted(Cause),
    /// The watch works again; what was missed is announced next.
    Resumed,
}

/// What is known of each pod.
#[derive(Debug, Default)]
pub(super) struct Table {
    pods: BTreeMap<PodName, Known>,
}

#[derive(Debug)]
struct Known {
    uid: String,
    /// The last ID of each container that ran, by name.
    ids: BTreeMap<String, ContainerId>,
    finished: bool,
}

impl Table {
    /// A table that takes these pods as known, so that only what differs from them is a change.
    pub(super) fn knowing(pods: &[TargetPod]) -> Self {
        let mut table = Self::default();
        for pod in pods {
            table.pods.insert(pod.name.clone(), Known::of(pod));
        }
        table
    }

    /// All that matches now: what is not among it is gone.
    pub(super) fn listed(&mut self, pods: &[TargetPod]) -> Vec<Change> {
        let missing: Vec<_> = self
            .pods
            .keys()
            .filter(|name| !pods.iter().any(|pod| &pod.name == *name))
            .cloned()
            .collect();
        let gone: Vec<_> = missing
            .iter()
            .filter_map(|name| self.forget(name))
            .collect();
        gone.into_iter()
            .chain(
                pods.iter()
                    .flat_map(|pod| self.shown(pod))
                    .collect::<Vec<_>>(),
            )
            .collect()
    }

    /// The API shows this pod.
    pub(super) fn shown(&mut self, pod: &TargetPod) -> Vec<Change> {
        let mut changes = Vec::new();
        if self
            .pods
            .get(&pod.name)
            .is_some_and(|known| known.uid != pod.uid)
        {
            changes.extend(self.forget(&pod.name));
        }
        let known = self.pods.entry(pod.name.clone()).or_insert_with(|| {
            changes.push(Change::Appeared(pod.clone()));
            Known {
                uid: pod.uid.clone(),
                ids: BTreeMap::new(),
                finished: false,
            }
        });
        for container in pod.running() {
            let Some(id) = container.running_id() else {
                continue;
            };
            if known.ids.get(&container.name) == Some(id) {
                continue;
            }
            let replaces = known.ids.insert(container.name.clone(), id.clone());
            changes.push(Change::ContainerStarted {
                pod: pod.clone(),
                container: container.name.clone(),
                id: id.clone(),
                replaces,
            });
        }
        if pod.is_finished() && !known.finished {
            known.finished = true;
            changes.push(Change::Finished(pod.clone()));
        }
        changes
    }

    /// The API says that this pod does not match any more.
    pub(super) fn removed(&mut self, pod: &TargetPod) -> Vec<Change> {
        match self.pods.get(&pod.name) {
            Some(known) if known.uid == pod.uid => self.forget(&pod.name).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn forget(&mut self, name: &PodName) -> Option<Change> {
        let known = self.pods.remove(name)?;
        Some(Change::Gone {
            name: name.clone(),
            uid: known.uid,
        })
    }
}

impl Known {
    fn of(pod: &TargetPod) -> Self {
        let ids = pod
            .running()
            .filter_map(|container| Some((container.name.clone(), container.running_id()?.clone())))
            .collect();
        Self {
            uid: pod.uid.clone(),
            ids,
            finished: pod.is_finished(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pod::{ContainerKind, ContainerState, TargetContainer};
    use super::{Change, ContainerId, PodName, Table, TargetPod};

    fn pod(name: &str, uid: &str, phase: &str, id: Option<&str>) -> TargetPod {
        TargetPod {
            name: PodName {
                namespace: "shop".to_owned(),
                name: name.to_owned(),
            },
            uid: uid.to_owned(),
            node: Some("n1".to_owned()),
            phase: phase.to_owned(),
            reason: None,
            terminating: false,
            host_pid: false,
            share_process_namespace: false,
            host_network: false,
            containers: vec![TargetContainer {
                name: "app".to_owned(),
                id: id.and_then(ContainerId::parse),
                state: if id.is_some() {
                    ContainerState::Running
                } else {
                    ContainerState::Waiting {
                        reason: "x".to_owned(),
                        message: String::new(),
                    }
                },
                kind: ContainerKind::Regular,
                restarts: 0,
            }],
        }
    }

    fn words(changes: Vec<Change>) -> Vec<String> {
        changes
            .into_iter()
            .map(|change| match change {
                Change::Appeared(pod) => format!("appeared {}", pod.uid),
                Change::ContainerStarted { id, replaces, .. } => {
                    format!(
                        "started {} after {}",
                        id.id,
                        replaces.map_or("-".to_owned(), |id| id.id)
                    )
                }
                Change::Finished(pod) => format!("finished {}", pod.uid),
                Change::Gone { uid, .. } => format!("gone {uid}"),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_new_pod_is_announced_and_then_its_container() {
        let mut table = Table::default();
        assert_eq!(
            words(table.shown(&pod("a", "1", "Pending", None))),
            ["appeared 1"]
        );
        assert_eq!(
            words(table.shown(&pod("a", "1", "Running", Some("containerd://x")))),
            ["started x after -"]
        );
        assert_eq!(
            words(table.shown(&pod("a", "1", "Running", Some("containerd://x")))),
            [""; 0]
        );
    }

    #[test]
    fn a_restart_names_the_id_that_it_replaces() {
        let mut table = Table::knowing(&[pod("a", "1", "Running", Some("containerd://x"))]);
        assert_eq!(words(table.shown(&pod("a", "1", "Running", None))), [""; 0]);
        assert_eq!(
            words(table.shown(&pod("a", "1", "Running", Some("containerd://y")))),
            ["started y after x"]
        );
    }

    #[test]
    fn the_end_of_a_pod_is_told_once() {
        let mut table = Table::knowing(&[pod("a", "1", "Running", Some("x"))]);
        assert_eq!(
            words(table.shown(&pod("a", "1", "Succeeded", None))),
            ["finished 1"]
        );
        assert_eq!(
            words(table.shown(&pod("a", "1", "Succeeded", None))),
            [""; 0]
        );
        assert_eq!(
            words(table.removed(&pod("a", "1", "Succeeded", None))),
            ["gone 1"]
        );
        assert_eq!(
            words(table.removed(&pod("a", "1", "Succeeded", None))),
            [""; 0]
        );
    }

    #[test]
    fn a_pod_made_again_under_its_name_is_another() {
        let mut table = Table::knowing(&[pod("a", "1", "Running", Some("x"))]);
        assert_eq!(
            words(table.shown(&pod("a", "2", "Running", Some("y")))),
            ["gone 1", "appeared 2", "started y after -"]
        );
        // The deletion of the first may arrive late.
        assert_eq!(
            words(table.removed(&pod("a", "1", "Running", None))),
            [""; 0]
        );
    }

    #[test]
    fn a_list_after_a_break_tells_what_was_missed() {
        let mut table = Table::knowing(&[
            pod("a", "1", "Running", Some("x")),
            pod("b", "2", "Running", Some("y")),
        ]);
        let now = [
            pod("b", "2", "Running", Some("z")),
            pod("c", "3", "Pending", None),
        ];
        assert_eq!(
            words(table.listed(&now)),
            ["gone 1", "started z after y", "appeared 3"]
        );
        assert_eq!(words(table.listed(&now)), [""; 0]);
        assert_eq!(words(table.listed(&[])), ["gone 2", "gone 3"]);
    }
}
