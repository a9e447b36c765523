//! Containers that have no PID namespace for themselves: told from the rest by their cgroup.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use x_agent::scope::{By, Scope, Target, Verdict};

use crate::space::{Running, Space, is_root, owner, procfs_only, scope, wait_for};

/// A cgroup of version 2, removed with the value.
struct Cgroup {
    path: PathBuf,
    id: String,
}

impl Cgroup {
    /// A container's.
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:032x}{number:032x}", std::process::id());
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mount = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|words| words[2] == "cgroup2")
            .expect("cgroup v2 is mounted");
        Self::at(Path::new(mount[1]).join(&id), id)
    }

    /// One that a container has made in its own.
    fn inside(&self, name: &str) -> Self {
        Self::at(self.path.join(name), name.to_owned())
    }

    fn at(path: PathBuf, id: String) -> Self {
        fs::create_dir(&path).expect("a cgroup needs root");
        Self { path, id }
    }

    fn take(&self, pid: u32) {
        fs::write(self.path.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    /// A shell script of a process that is in it.
    fn script(&self, then: &str) -> String {
        format!("echo $$ > {}/cgroup.procs; {then}", self.path.display())
    }

    /// A process that is in it and stays.
    fn resident(&self) -> Running {
        let running = stay(&self.script("exec sleep infinity"));
        let procs = self.path.join("cgroup.procs");
        let pid = running.id().to_string();
        wait_for(|| {
            let inside = fs::read_to_string(&procs).unwrap();
            inside.lines().any(|line| line == pid).then_some(())
        });
        running
    }

    /// A process that is born and dies in it, gone when this returns.
    fn passer_by(&self) -> u32 {
        let mut shell = Command::new("sh")
            .args(["-c", &self.script("sleep 0.001 & echo $!; wait")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        let mut stdout = shell.stdout.take().unwrap();
        stdout.read_to_string(&mut pid).unwrap();
        assert!(shell.wait().unwrap().success());
        pid.trim().parse().unwrap()
    }

    /// Traces it.
    fn add(&self, scope: &Scope, key: &str) -> usize {
        let target: Target = format!("{key}:{}", self.id).parse().unwrap();
        let added = scope.add(target).unwrap();
        assert_eq!(added.warnings, []);
        added.id
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The kernel lets it go once its last process has been reaped, by whoever is its parent.
        wait_for(|| fs::remove_dir(&self.path).ok());
    }
}

fn stay(script: &str) -> Running {
    Running(Command::new("sh").args(["-c", script]).spawn().unwrap())
}

#[test]
fn in_the_hosts_pid_namespace_the_cgroup_alone_decides() {
    if !is_root("containers in the host's PID namespace") {
        return;
    }
    let (own, neighbours) = (Cgroup::new(), Cgroup::new());
    let (older, other) = (own.resident(), neighbours.resident());
    let scope = scope();
    let target = own.add(&scope, "cgroup");
    let kernel = Some((target, By::Kernel));

    assert_eq!(
        scope.verdict(older.id()),
        Verdict::In {
            target,
            pid_ns: Some(older.id()),
            by: By::Procfs
        }
    );
    assert_eq!(scope.verdict(other.id()), Verdict::Out);
    assert_eq!(scope.verdict(std::process::id()), Verdict::Out);
    for _ in 0..20 {
        assert_eq!(owner(scope.verdict(own.passer_by())), kernel);
        assert_eq!(scope.verdict(neighbours.passer_by()), Verdict::Out);
    }

    // A cgroup that is made later, inside; and one that only pretends to be.
    let inside = own.inside("below");
    assert_eq!(owner(scope.verdict(inside.passer_by())), kernel);
    let pretender = neighbours.inside(&own.id);
    assert_eq!(scope.verdict(pretender.passer_by()), Verdict::Out);

    // A process that is moved in and out.
    let stray = stay("exec sleep infinity");
    assert_eq!(scope.verdict(stray.id()), Verdict::Out);
    own.take(stray.id());
    assert_eq!(owner(scope.verdict(stray.id())), kernel);
    neighbours.take(stray.id());
    assert_eq!(scope.verdict(stray.id()), Verdict::Out);

    scope.remove(target);
    assert_eq!(scope.verdict(older.id()), Verdict::Out);
}

#[test]
fn in_a_pids_namespace_of_the_pod_each_container_has_its_own() {
    if !is_root("containers that share a PID namespace") {
        return;
    }
    let (space, one, two) = (Space::new(), Cgroup::new(), Cgroup::new());
    let member = |cgroup: &Cgroup| {
        let script = cgroup.script("exec sleep infinity");
        space.run(move || stay(&script))
    };
    let (first, second) = (member(&one), member(&two));
    for (cgroup, process) in [(&one, &first), (&two, &second)] {
        let pid = process.id().to_string();
        let procs = cgroup.path.join("cgroup.procs");
        wait_for(|| {
            fs::read_to_string(&procs)
                .unwrap()
                .contains(&pid)
                .then_some(())
        });
    }
    let scope = scope();
    let target = one.add(&scope, "container");
    assert_eq!(owner(scope.verdict(first.id())), Some((target, By::Procfs)));
    // The pod's own process and the other container are in the same namespace, and are not it.
    assert_eq!(scope.verdict(space.init), Verdict::Out);
    assert_eq!(scope.verdict(second.id()), Verdict::Out);
    let other = two.add(&scope, "container");
    assert_eq!(owner(scope.verdict(second.id())), Some((other, By::Procfs)));
    for (cgroup, target) in [(&one, target), (&two, other)] {
        let script = cgroup.script("exec true");
        let pid = space.run(move || {
            let mut process = Command::new("sh").args(["-c", &script]).spawn().unwrap();
            assert!(process.wait().unwrap().success());
            process.id()
        });
        assert_eq!(owner(scope.verdict(pid)), Some((target, By::Kernel)));
    }
}

#[test]
fn without_the_table_the_living_are_known_by_their_cgroup() {
    if !is_root("cgroups by /proc alone") {
        return;
    }
    let (own, neighbours) = (Cgroup::new(), Cgroup::new());
    let (resident, other) = (own.resident(), neighbours.resident());
    let scope = procfs_only();
    let target = own.add(&scope, "cgroup");
    let verdict = owner(scope.verdict(resident.id()));
    assert_eq!(verdict, Some((target, By::Procfs)));
    assert_eq!(scope.verdict(other.id()), Verdict::Out);
    assert_eq!(scope.verdict(own.passer_by()), Verdict::Unknown);
}
