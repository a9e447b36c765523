//! Containers found over a `/proc` made by the test, whose `ns/pid` links lead to real namespaces.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use x_agent::scope::{Options, Scope, ScopeError, Target, TargetError, Verdict, Warning};

use crate::space::{Space, is_root, sleeper};

const A: &str = "aaaaaaaaaaaa00000000000000000000000000000000000000000000000000aa";
const B: &str = "bbbbbbbbbbbb00000000000000000000000000000000000000000000000000bb";
/// Its first 12 digits are those of `A`.
const A2: &str = "aaaaaaaaaaaaffffffffffffffffffffffffffffffffffffffffffffffffffff";

/// A folder that looks like `/proc`.
struct FakeProc(TempDir);

/// One process in it.
struct Process<'a> {
    pid: u32,
    cgroup: &'a str,
    started: u64,
    inner_pid: u32,
    /// The real process whose namespace it shows.
    real: u32,
}

impl FakeProc {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("self/ns")).unwrap();
        symlink("/proc/self/ns/pid", root.path().join("self/ns/pid")).unwrap();
        Self(root)
    }

    fn with(self, process: &Process<'_>) -> Self {
        let Process {
            pid,
            cgroup,
            started,
            inner_pid,
            real,
        } = process;
        let folder = self.0.path().join(pid.to_string());
        fs::create_dir_all(folder.join("ns")).unwrap();
        symlink(format!("/proc/{real}/ns/pid"), folder.join("ns/pid")).unwrap();
        let cgroup = cgroup.replace("A2", A2).replace('A', A).replace('B', B);
        fs::write(folder.join("cgroup"), cgroup).unwrap();
        fs::write(
            folder.join("status"),
            format!("Name:\tx\nNSpid:\t{pid}\t{inner_pid}\n"),
        )
        .unwrap();
        let zeros = "0 ".repeat(18);
        fs::write(
            folder.join("stat"),
            format!("{pid} (a) S b) S {zeros}{started} 0\n"),
        )
        .unwrap();
        self
    }

    fn scope(&self) -> Scope {
        let options = Options {
            procfs: self.0.path().to_owned(),
            table: false,
            ..Options::default()
        };
        let (scope, warnings) = Scope::open(&options).unwrap();
        assert_eq!(warnings, Vec::<Warning>::new());
        scope
    }
}

fn container(scope: &Scope, id: &str) -> Result<(u32, Vec<Warning>), TargetError> {
    let target: Target = format!("container:{id}").parse().unwrap();
    scope.add(target).map(|added| (added.inode, added.warnings))
}

/// Writes digits for the letters, so that messages can be compared.
fn message(error: &TargetError) -> String {
    error
        .to_string()
        .replace(A2, "A2")
        .replace(A, "A")
        .replace(B, "B")
}

#[test]
fn by_full_id_prefix_or_with_the_runtimes_name() {
    if !is_root("containers by ID") {
        return;
    }
    let (one, two) = (Space::new(), Space::new());
    let first = Process {
        pid: 70,
        cgroup: "",
        started: 500,
        inner_pid: 1,
        real: one.init,
    };
    for cgroup in [
        "12:pids:/docker/A\n11:cpu:/docker/A\n0::/system.slice/containerd.service\n",
        "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-A.scope\n",
        "0::/../../pod6f1a2b3c-0d4e-4f5a-8b6c-7d8e9f0a1b2c/A\n",
        "0::/kubepods.slice/kubepods-pod1.slice/crio-A.scope/container\n",
    ] {
        let other = Process {
            pid: 71,
            cgroup: "0::/docker/B\n",
            real: two.init,
            ..first
        };
        let procfs = FakeProc::new()
            .with(&Process { cgroup, ..first })
            .with(&other);
        let scope = procfs.scope();
        for id in [A, &A[..12], &format!("containerd://{A}")] {
            let (inode, _) = container(&scope, id).unwrap();
            assert_eq!(inode, one.inode, "{cgroup}");
        }
        let (inode, warnings) = container(&scope, B).unwrap();
        assert_eq!((inode, warnings), (two.inode, vec![]), "{cgroup}");
        assert!(matches!(
            scope.verdict(71),
            Verdict::In {
                target: 3,
                pid_ns: Some(1),
                ..
            }
        ));
    }
}

#[test]
fn the_containers_first_process_decides() {
    if !is_root("containers' first processes") {
        return;
    }
    let space = Space::new();
    let (inner, keeper) = space.nested();
    let first = Process {
        pid: 90,
        cgroup: "0::/docker/A\n",
        started: 500,
        inner_pid: 1,
        real: space.init,
    };
    let procfs = FakeProc::new()
        // Numbers have wrapped: a child in a namespace of its own comes first in the folder.
        .with(&Process {
            pid: 10,
            real: inner,
            ..first
        })
        // The runtime's helper for `exec`, still in the host's namespace.
        .with(&Process {
            pid: 11,
            started: 900,
            inner_pid: 11,
            real: std::process::id(),
            ..first
        })
        // The watchman is older, but not in the container.
        .with(&Process {
            pid: 12,
            cgroup: "0::/machine.slice/libpod-conmon-A.scope\n",
            started: 400,
            inner_pid: 12,
            real: std::process::id(),
        })
        .with(&first);
    assert_eq!(
        container(&procfs.scope(), A).unwrap(),
        (space.inode, vec![])
    );
    drop(keeper);
}

#[test]
fn a_prefix_of_two_containers_names_both() {
    if !is_root("ambiguous containers") {
        return;
    }
    let space = Space::new();
    let first = Process {
        pid: 7,
        cgroup: "0::/docker/A\n",
        started: 5,
        inner_pid: 1,
        real: space.init,
    };
    let procfs = FakeProc::new()
        .with(&first)
        .with(&Process {
            pid: 8,
            cgroup: "0::/docker/A2\n",
            ..first
        })
        .with(&Process {
            pid: 9,
            cgroup: "0::/docker/A2\n",
            ..first
        });
    let scope = procfs.scope();
    let error = container(&scope, &A[..12]).unwrap_err();
    assert_eq!(
        message(&error),
        "container:aaaaaaaaaaaa: that could be any of A, A2: give more digits"
    );
    assert_eq!(container(&scope, &A[..13]).unwrap().0, space.inode);
}

#[test]
fn a_cgroup_made_up_inside_another_container_is_refused() {
    if !is_root("made-up cgroups") {
        return;
    }
    let (genuine, impostor) = (Space::new(), Space::new());
    let forged = Process {
        pid: 5,
        cgroup: "0::/kubepods/pod1/B/cri-containerd-A.scope\n",
        started: 1,
        inner_pid: 1,
        real: impostor.init,
    };
    let error = container(&FakeProc::new().with(&forged).scope(), A).unwrap_err();
    assert!(
        matches!(&error, TargetError::Nested { outer, .. } if outer == B),
        "{error}"
    );
    assert!(message(&error).contains("pid:N"), "{error}");

    let first = Process {
        pid: 6,
        cgroup: "0::/docker/A\n",
        started: 9,
        real: genuine.init,
        ..forged
    };
    let procfs = FakeProc::new().with(&forged).with(&first);
    assert_eq!(container(&procfs.scope(), A).unwrap().0, genuine.inode);
}

#[test]
fn a_shared_pid_namespace_is_said() {
    if !is_root("shared PID namespaces") {
        return;
    }
    let space = Space::new();
    let member = space.run(sleeper);
    let first = Process {
        pid: 50,
        cgroup: "0::/kubepods/pod1/A\n",
        started: 5,
        inner_pid: 2,
        real: member.id(),
    };
    let procfs = FakeProc::new().with(&first);
    let (inode, warnings) = container(&procfs.scope(), A).unwrap();
    assert_eq!(inode, space.inode);
    assert!(
        matches!(&warnings[..], [Warning::Shared { .. }]),
        "{warnings:?}"
    );
    drop(member);
}

#[test]
fn the_hosts_namespace_and_absent_containers_are_refused() {
    if !is_root("host namespace") {
        return;
    }
    let host = Process {
        pid: 7,
        cgroup: "0::/docker/A\n",
        started: 5,
        inner_pid: 7,
        real: std::process::id(),
    };
    let procfs = FakeProc::new().with(&host);
    let scope = procfs.scope();
    let error = container(&scope, A).unwrap_err();
    assert!(matches!(error, TargetError::HostNamespace(_)), "{error}");
    assert!(error.to_string().contains("hostPID: true"), "{error}");
    let error = container(&scope, B).unwrap_err();
    assert!(matches!(error, TargetError::NoContainer(_)), "{error}");
    // By its cgroup it can be told apart; without version 2 of it, only while its processes live.
    let target: Target = format!("cgroup:{A}").parse().unwrap();
    let added = scope.add(target).unwrap();
    assert!(
        matches!(&added.warnings[..], [Warning::NoCgroupNumber { .. }]),
        "{:?}",
        added.warnings
    );
    assert!(matches!(
        scope.verdict(7),
        Verdict::In {
            pid_ns: Some(7),
            ..
        }
    ));
}

#[test]
fn a_launcher_in_the_hosts_namespace_is_not_the_container() {
    if !is_root("launcher") {
        return;
    }
    let (space, inside) = (Space::new(), |real| Process {
        pid: 8,
        cgroup: "0::/docker/A\n",
        started: 6,
        inner_pid: 1,
        real,
    });
    let launcher = Process {
        pid: 7,
        started: 5,
        inner_pid: 7,
        ..inside(std::process::id())
    };
    let procfs = FakeProc::new().with(&launcher).with(&inside(space.init));
    let (inode, warnings) = container(&procfs.scope(), A).unwrap();
    assert_eq!(inode, space.inode);
    assert!(
        matches!(&warnings[..], [Warning::PartlyOnHost { processes: 1, .. }]),
        "{warnings:?}"
    );
}

#[test]
fn an_agent_outside_the_hosts_pid_namespace_is_told_so() {
    if !is_root("agent in a container") {
        return;
    }
    let space = Space::new();
    let root = tempfile::tempdir().unwrap();
    let options = Options {
        procfs: root.path().to_owned(),
        ..Options::default()
    };
    let error = Scope::open(&options).unwrap_err();
    assert!(matches!(error, ScopeError::NotOurProcfs(_)), "{error}");

    fs::create_dir_all(root.path().join("self/ns")).unwrap();
    symlink(
        format!("/proc/{}/ns/pid", space.init),
        root.path().join("self/ns/pid"),
    )
    .unwrap();
    let error = Scope::open(&options).unwrap_err();
    assert!(
        matches!(error, ScopeError::NotOnHost(inode) if inode == space.inode),
        "{error}"
    );
    assert!(error.to_string().contains("hostPID: true"), "{error}");

    let options = Options {
        procfs: root.path().join("nowhere"),
        ..Options::default()
    };
    assert!(matches!(
        Scope::open(&options).unwrap_err(),
        ScopeError::NoProcfs(..)
    ));
}
