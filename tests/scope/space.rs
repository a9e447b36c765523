//! PID namespaces made for a test, and processes in them.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use x_agent::scope::{Added, By, Options, Scope, Target, TargetKey, Verdict, Warning};

type Job = Box<dyn FnOnce() + Send>;

/// Whether this test can run; says what it needs if not.
pub(crate) fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("{test}: skipped, needs root to make PID namespaces and load BPF programs");
    }
    root
}

/// A PID namespace with one process of its own, number 1 in it, until this is dropped.
///
/// A thread that has unshared its PID namespace stays where it is, and its children are born in
/// the new one; it still learns their numbers as the host gives them.
pub(crate) struct Space {
    jobs: Option<mpsc::Sender<Job>>,
    worker: Option<thread::JoinHandle<()>>,
    /// The first process; for a space that was entered, one that was there.
    pub(crate) init: u32,
    pub(crate) inode: u32,
}

impl Space {
    /// A new namespace below the test's own.
    pub(crate) fn new() -> Self {
        Self::with(|| {
            unshare(CloneFlags::CLONE_NEWPID).expect("unshare(CLONE_NEWPID)");
            let init = sleeper();
            (init.id(), Some(init))
        })
    }

    /// The namespace that a living process is in.
    pub(crate) fn of(pid: u32) -> Self {
        Self::with(move || {
            let namespace =
                std::fs::File::open(format!("/proc/{pid}/ns/pid")).expect("open ns/pid");
            setns(namespace, CloneFlags::CLONE_NEWPID).expect("setns(CLONE_NEWPID)");
            (pid, None)
        })
    }

    fn with(enter: impl FnOnce() -> (u32, Option<Running>) + Send + 'static) -> Self {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (entered, arrival) = mpsc::channel();
        let worker = thread::spawn(move || {
            let (init, owned) = enter();
            entered.send(init).expect("the test waits");
            for job in inbox {
                job();
            }
            drop(owned);
        });
        let init = arrival.recv().expect("the namespace could not be made");
        Self {
            jobs: Some(jobs),
            worker: Some(worker),
            init,
            inode: namespace_inode(init),
        }
    }

    /// Runs `job` on the thread whose children are born in the namespace.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        let job = Box::new(move || done.send(job()).expect("the test waits"));
        self.jobs
            .as_ref()
            .expect("open until dropped")
            .send(job)
            .expect("the worker lives");
        result.recv().expect("the job panicked")
    }

    /// Makes a namespace inside this one; gives its first process and the `unshare` that keeps it.
    pub(crate) fn nested(&self) -> (u32, Running) {
        let outer = self.run(|| {
            let command = Command::new("unshare")
                .args(["--pid", "--fork", "--kill-child", "sleep", "infinity"])
                .spawn();
            Running(command.expect("unshare (package util-linux)"))
        });
        let children = format!("/proc/{0}/task/{0}/children", outer.id());
        let inner = wait_for(|| std::fs::read_to_string(&children).ok()?.trim().parse().ok());
        (inner, outer)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(worker) = self.worker.take()
            && worker.join().is_err()
            && !thread::panicking()
        {
            panic!("the thread of a PID namespace panicked");
        }
    }
}

/// A process that is killed and reaped when this is dropped.
///
/// Declare it after the [`Space`] it is in: the kernel lets a PID namespace's first process go
/// only when all others have been reaped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().expect("kill");
        self.0.wait().expect("wait");
    }
}

/// A process that stays until it is ended, or until the thread that made it ends. It ignores
/// SIGCHLD: as the first of a namespace it thereby has the kernel reap the orphans.
pub(crate) fn sleeper() -> Running {
    let command = Command::new("setpriv")
        .args("--pdeathsig KILL env --ignore-signal=CHLD sleep infinity".split(' '))
        .spawn();
    Running(command.expect("setpriv (package util-linux)"))
}

/// Runs `count` processes of about a millisecond, one after another, to their end.
pub(crate) fn short_lived(count: usize) -> Vec<u32> {
    let run = |_| {
        let mut process = Command::new("sleep").arg("0.001").spawn().expect("sleep");
        assert!(process.wait().expect("wait").success());
        process.id()
    };
    (0..count).map(run).collect()
}

/// Asks again until there is an answer; fails after some seconds.
pub(crate) fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed().as_secs() < 20, "waited for 20 s in vain");
        thread::yield_now();
    }
}

/// The inode of a living process' PID namespace.
pub(crate) fn namespace_inode(pid: u32) -> u32 {
    let inode = Path::new("/proc")
        .join(pid.to_string())
        .join("ns/pid")
        .metadata()
        .unwrap()
        .ino();
    u32::try_from(inode).unwrap()
}

/// A scope with the kernel table; that it can't be loaded fails the test.
pub(crate) fn scope() -> Scope {
    let (scope, warnings) = Scope::open(&Options::default()).unwrap();
    assert_eq!(warnings, Vec::<Warning>::new());
    assert!(scope.has_table());
    scope
}

/// A scope without the table.
pub(crate) fn procfs_only() -> Scope {
    let (scope, warnings) = Scope::open(&Options {
        table: false,
        ..Options::default()
    })
    .unwrap();
    assert_eq!(warnings, Vec::<Warning>::new());
    assert!(!scope.has_table());
    scope
}

/// Traces a namespace.
pub(crate) fn trace(scope: &Scope, space: &Space) -> usize {
    let Added {
        id,
        inode,
        warnings,
    } = scope
        .add(Target::from(TargetKey::PidNamespace(space.inode)))
        .unwrap();
    assert_eq!((inode, warnings), (space.inode, vec![]));
    id
}

/// Whose it is and how that was found.
pub(crate) fn owner(verdict: Verdict) -> Option<(usize, By)> {
    match verdict {
        Verdict::In { target, by, .. } => Some((target, by)),
        Verdict::Out | Verdict::Canary | Verdict::Unknown => None,
    }
}
