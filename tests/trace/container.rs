//! What a container is to an agent: processes in a PID namespace of their own, in a cgroup whose path ends in
//! the container's ID.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::pid_namespace::{Contained, IDLE};

/// An idle container, ended and removed with the value.
pub(crate) struct Container {
    process: Contained,
    cgroup: PathBuf,
    /// Its ID, 64 hexadecimal digits.
    pub(crate) id: String,
    /// Its first process's number on the host.
    pub(crate) pid: u32,
}

impl Container {
    pub(crate) fn start() -> Self {
        Self::with("exec unshare --pid --fork --kill-child sh -c \"$IDLE\"")
    }

    /// One that uses this machine's own PID namespace.
    pub(crate) fn start_with_host_pid() -> Self {
        Self::with("sh -c \"$IDLE\"; true")
    }

    /// One in the PID namespace of another, as in a pod with `shareProcessNamespace`.
    pub(crate) fn start_in(other: &Self) -> Self {
        let target = other.pid;
        Self::with(&format!(
            "exec nsenter --target {target} --pid sh -c \"$IDLE\""
        ))
    }

    /// `main` runs its process as a child.
    fn with(main: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:032x}{number:032x}", std::process::id());
        let cgroup = hierarchy()
            .join(format!("x-tracer-test-{}", &id[24..]))
            .join(&id);
        fs::create_dir_all(&cgroup).expect("a cgroup needs root");
        // The shell enters the cgroup first, so that all below it is born there.
        let script = format!("echo $$ > {}/cgroup.procs && {main}", cgroup.display());
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env("IDLE", IDLE);
        let process = Contained::below(shell);
        Self {
            pid: process.pid,
            process,
            cgroup,
            id,
        }
    }

    /// The ID as the API shows it.
    pub(crate) fn api_id(&self) -> String {
        format!("containerd://{}", self.id)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.process.end();
        // The kernel lets a cgroup go once its last process is reaped, by whoever has become its parent.
        for _ in 0..500 {
            if fs::remove_dir(&self.cgroup).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        self.cgroup.parent().map(fs::remove_dir);
    }
}

/// Where cgroup v2 is mounted.
fn hierarchy() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|words| words[2] == "cgroup2")
        .map(|words| PathBuf::from(words[1]))
        .expect("cgroup v2 is mounted")
}
