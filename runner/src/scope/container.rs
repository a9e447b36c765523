//! Container IDs in the lines of `/proc/PID/cgroup`. No I/O.
//!
//! Shapes, with `ID` for 64 hex digits:
//!
//! | who | path |
//! |---|---|
//! | docker | `/docker/ID`, `/system.slice/docker-ID.scope` |
//! | containerd, cgroupfs driver | `/kubepods/burstable/podUID/ID` |
//! | containerd, systemd driver | `/kubepods.slice/…/cri-containerd-ID.scope` |
//! | containerd, drivers that disagree | `/system.slice/containerd.service/kubepods-podUID.slice:cri-containerd:ID` |
//! | CRI-O | `/kubepods/podUID/crio-ID`, `…/crio-ID.scope`, `…/crio-ID.scope/container` |
//! | podman | `/machine.slice/libpod-ID.scope/container`, `/libpod_parent/libpod-ID`, `…/libpod-payload-ID` |
//! | seen from another cgroup namespace | `/../../podUID/ID` |
//!
//! `crio-conmon-ID.scope` and `libpod-conmon-ID.scope` hold the runtime's watchman, not the container.

use std::sync::LazyLock;

use regex::Regex;

/// Digits of a full container ID.
const FULL: usize = 64;
/// Digits that runtimes print as the short form; fewer are not asked for on purpose.
pub(crate) const SHORTEST_PREFIX: usize = 12;

/// The container IDs on the way from the top to a process' cgroup, in one line of
/// `/proc/PID/cgroup`. The last one is the container that the process is in; more than one says
/// that this container runs inside another.
pub(crate) fn ids_in_line(line: &str) -> impl DoubleEndedIterator<Item = &str> {
    // hierarchy:controllers:path, and the path may hold colons of its own.
    let path = line.splitn(3, ':').nth(2).unwrap_or_default();
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    path.split('/').filter_map(id_of_component)
}

/// One component of a cgroup path that ends in a container ID: who put it there, and the ID.
static COMPONENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:(?<runtime>.*)[-:])?(?<id>[0-9a-f]{64})(?:\.scope)?$")
        .expect("a valid pattern")
});

/// `cri-containerd-ID.scope` → `ID`.
pub(crate) fn id_of_component(component: &str) -> Option<&str> {
    let found = COMPONENT.captures(component)?;
    let conmon = found.name("runtime").is_some_and(|runtime| {
        let runtime = runtime.as_str();
        runtime == "conmon" || runtime.ends_with("-conmon")
    });
    if conmon {
        return None;
    }
    found.name("id").map(|id| id.as_str())
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What a user may type for a container: the whole ID or a prefix, with or without the
/// `containerd://` that Kubernetes puts before it. The result is lower-case hex.
pub(crate) fn normalize(typed: &str) -> Option<String> {
    let id = typed
        .split_once("://")
        .map_or(typed, |(_, id)| id)
        .to_ascii_lowercase();
    ((SHORTEST_PREFIX..=FULL).contains(&id.len()) && is_lower_hex(&id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

    fn ids(line: &str) -> Vec<String> {
        let line = line.replace("OTHER", OTHER).replace("ID", ID);
        ids_in_line(&line).map(str::to_owned).collect()
    }

    #[test]
    fn every_runtime_and_driver() {
        for line in [
            "9:pids:/docker/ID",
            "0::/system.slice/docker-ID.scope",
            "0::/system.slice/docker-ID.scope/init.scope",
            "4:memory:/kubepods/burstable/pod6f1a2b3c-0d4e-4f5a-8b6c-7d8e9f0a1b2c/ID",
            "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod6f1a_2b.slice/cri-containerd-ID.scope",
            "1:name=systemd:/system.slice/containerd.service/kubepods-burstable-pod6f1a.slice:cri-containerd:ID",
            "0::/../../pod6f1a2b3c-0d4e-4f5a-8b6c-7d8e9f0a1b2c/ID",
            "0::/../cri-containerd-ID.scope",
            "0::/kubepods.slice/kubepods-pod6f1a.slice/crio-ID.scope",
            "0::/kubepods.slice/kubepods-pod6f1a.slice/crio-ID.scope/container",
            "0::/kubepods/pod6f1a/crio-ID",
            "0::/machine.slice/libpod-ID.scope/container",
            "0::/machine.slice/machine-libpod_pod_OTHER.slice/libpod-ID.scope/container",
            "0::/libpod_parent/libpod-ID",
            "0::/user.slice/user-1000.slice/run.service/libpod-payload-ID",
            "12:cpu,cpuacct:/docker/ID (deleted)",
        ] {
            assert_eq!(ids(line), [ID], "{line}");
        }
    }

    #[test]
    fn what_is_no_container() {
        for line in [
            "",
            "0::/",
            "0::/init.scope",
            "not a cgroup line",
            "0::/kubepods.slice/kubepods-pod6f1a.slice/crio-conmon-ID.scope",
            "0::/machine.slice/libpod-conmon-ID.scope",
            "0::/machine.slice/machine-libpod_pod_ID.slice",
            "0::/libpod_parent/conmon",
            "0::/user.slice/session-3.scope",
            "0::/docker/ID0",
            "0::/docker/é-ID.scopé",
        ] {
            assert!(ids(line).is_empty(), "{line}");
        }
    }

    #[test]
    fn a_container_inside_a_container_shows_both() {
        assert_eq!(ids("5:devices:/docker/OTHER/docker/ID"), [OTHER, ID]);
        let kind = "0::/docker/OTHER/kubelet/kubepods.slice/cri-containerd-ID.scope";
        assert_eq!(ids(kind), [OTHER, ID]);
        assert_eq!(ids("0::/docker/OTHER/crio-conmon-ID.scope"), [OTHER]);
    }

    #[test]
    fn typed_ids() {
        assert_eq!(
            normalize(&format!("containerd://{ID}")).as_deref(),
            Some(ID)
        );
        assert_eq!(
            normalize("cri-o://0123456789AB").as_deref(),
            Some("0123456789ab")
        );
        assert_eq!(normalize("0123456789a"), None, "11 digits");
        assert_eq!(normalize(&format!("{ID}0")), None, "65 digits");
        assert_eq!(normalize("docker://"), None);
        assert_eq!(normalize("web-frontend-1"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_yields_ids_or_nothing(line in ".{0,300}", id in "[0-9a-f]{64}", at in "[^/\n]{0,9}") {
            for id in ids_in_line(&line) {
                assert!(id.len() == FULL && is_lower_hex(id));
            }
            let known = format!("0::/{at}/cri-containerd-{id}.scope");
            assert_eq!(ids_in_line(&known).next_back(), Some(id.as_str()));
        }
    }
}
