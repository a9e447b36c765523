//! A real kube-apiserver with a real etcd, on random loopback ports and in a folder of their own.
//!
//! There is no kubelet and no controller: a test is both. Pods are made, bound and given a status, and
//! nothing else moves. `tests/k8s/tools` builds the two programs.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A quiet machine needs 3 s; the tests of a whole workspace may run beside it.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// The API server closes its connections before it ends.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// The token of a user in `system:masters`.
pub(crate) const ADMIN: &str = "admin-token";

/// A running API server. Dropping it ends both programs and waits for their end.
pub(crate) struct ApiServer {
    folder: TempDir,
    port: u16,
    etcd: Option<Child>,
    server: Option<Child>,
}

impl ApiServer {
    /// The server that the tests of this process have in common: it ends with the last one that holds it.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<ApiServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// A server of one's own, to be stopped and started.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let key = folder.path().join("sa.key");
        run(Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-out"])
            .arg(&key));
        run(Command::new("openssl")
            .args(["pkey", "-pubout", "-in"])
            .arg(&key)
            .arg("-out")
            .arg(folder.path().join("sa.pub")));
        let (client, peer) = (free_port(), free_port());
        let etcd = spawn(
            &etcd_program(),
            folder.path(),
            &[
                "--unsafe-no-fsync".to_owned(),
                format!("--data-dir={}", folder.path().join("etcd").display()),
                format!("--listen-client-urls=http://127.0.0.1:{client}"),
                format!("--advertise-client-urls=http://127.0.0.1:{client}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
                format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
                format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
            ],
        );
        fs::write(folder.path().join("etcd-port"), client.to_string()).expect("etcd-port");
        let mut this = Self {
            port: free_port(),
            folder,
            etcd: Some(etcd),
            server: None,
        };
        this.accept(&[ADMIN]);
        this.resume();
        this
    }

    /// Starts the API server again on its old port, with all that etcd kept.
    pub(crate) fn resume(&mut self) {
        assert!(self.server.is_none(), "it runs");
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let etcd = fs::read_to_string(self.folder.path().join("etcd-port")).expect("etcd-port");
        let server = spawn(
            &tool("kube-apiserver"),
            self.folder.path(),
            &[
                format!("--etcd-servers=http://127.0.0.1:{etcd}"),
                "--bind-address=127.0.0.1".to_owned(),
                format!("--secure-port={}", self.port),
                format!("--cert-dir={}", path("certs")),
                "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
                format!("--service-account-key-file={}", path("sa.pub")),
                format!("--service-account-signing-key-file={}", path("sa.key")),
                "--service-account-issuer=https://x-tracer.test".to_owned(),
                format!("--token-auth-file={}", path("tokens.csv")),
                "--authorization-mode=RBAC".to_owned(),
                "--allow-privileged=true".to_owned(),
                // Without a controller there are no service accounts to admit.
                "--disable-admission-plugins=ServiceAccount".to_owned(),
                "--kubelet-preferred-address-types=InternalIP".to_owned(),
                "--shutdown-delay-duration=0s".to_owned(),
            ],
        );
        self.server = Some(server);
        self.wait_until_ready();
    }

    /// Kills the API server, as a node that dies does; etcd stays.
    pub(crate) fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            end(server);
        }
    }

    /// Stops the API server's process (`SIGSTOP`): it keeps its connections and says nothing.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    /// Lets those in who have one of these tokens, as administrators, from its next start on.
    pub(crate) fn accept(&self, tokens: &[&str]) {
        let lines = tokens
            .iter()
            .map(|token| format!("{token},{token},{token},\"system:masters\"\n"));
        let path = self.folder.path().join("tokens.csv");
        fs::write(path, lines.collect::<String>()).expect("tokens.csv");
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Its folder: `certs/apiserver.{crt,key}`, `sa.key`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a kubeconfig whose only user has these lines (`token: …`), and returns its path.
    pub(crate) fn kubeconfig(&self, name: &str, user: &str) -> PathBuf {
        // A file of its own each time: tests that run side by side ask for the same user.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = self
            .folder
            .path()
            .join(format!("{name}-{number}.kubeconfig"));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {name}\n\
             clusters: [{{name: test, cluster: {{server: '{}', certificate-authority: certs/apiserver.crt}}}}]\n\
             contexts: [{{name: {name}, context: {{cluster: test, user: {name}}}}}]\n\
             users:\n- name: {name}\n  user:\n    {}\n",
            self.url(),
            user.replace('\n', "\n    ")
        );
        fs::write(&path, text).expect("kubeconfig");
        path
    }

    /// The kubeconfig of a user who may do everything.
    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.kubeconfig("admin", &format!("token: {ADMIN}"))
    }

    fn signal(&self, name: &str) {
        let pid = self.server.as_ref().expect("it runs").id();
        run(Command::new("kill")
            .arg(format!("-{name}"))
            .arg(pid.to_string()));
    }

    fn wait_until_ready(&mut self) {
        let started = Instant::now();
        while !self.is_ready() {
            let server = self.server.as_mut().expect("it was started");
            if let Some(status) = server.try_wait().expect("its status") {
                panic!(
                    "kube-apiserver ended with {status}:\n{}",
                    self.log("kube-apiserver")
                );
            }
            assert!(
                started.elapsed() < READY_WITHIN,
                "kube-apiserver is not ready:\n{}",
                self.log("kube-apiserver")
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn is_ready(&self) -> bool {
        let request = format!("GET /readyz HTTP/1.0\r\nAuthorization: Bearer {ADMIN}\r\n\r\n");
        let mut probe = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                "-connect",
                &format!("127.0.0.1:{}", self.port),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        // A server that does not listen yet closes the pipe.
        probe
            .stdin
            .as_mut()
            .expect("a pipe")
            .write_all(request.as_bytes())
            .ok();
        let answer = probe.wait_with_output().expect("openssl's answer");
        answer.stdout.starts_with(b"HTTP/1.0 200") || answer.stdout.starts_with(b"HTTP/1.1 200")
    }

    fn log(&self, name: &str) -> String {
        let text =
            fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.kill();
        if let Some(etcd) = self.etcd.take() {
            end(etcd);
        }
    }
}

fn end(mut child: Child) {
    // SIGKILL also ends a process that is stopped; nothing in these folders is worth an orderly end.
    child.kill().ok();
    let started = Instant::now();
    while child.try_wait().expect("its status").is_none() {
        assert!(
            started.elapsed() < ENDS_WITHIN,
            "process {} does not end",
            child.id()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its number").port()
}

/// Where `tests/k8s/tools` puts the programs of the version that is asked for (`XTRACER_KUBERNETES`).
fn tools() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/k8s/tools");
        let output = Command::new(&script).arg("--where").output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        let folder = String::from_utf8(output.stdout).expect("a path");
        PathBuf::from(folder.trim_end())
    })
}

/// The version of the API server.
pub(crate) fn version() -> &'static str {
    let folder = tools().file_name().and_then(OsStr::to_str);
    folder
        .and_then(|folder| folder.strip_prefix("kubernetes-"))
        .expect("the folder is called after the version")
}

/// A program that `tests/k8s/tools` built.
pub(crate) fn tool(name: &str) -> PathBuf {
    let path = tools().join(name);
    assert!(
        path.is_file(),
        "{} is missing: build it once with: tests/k8s/tools",
        path.display()
    );
    path
}

fn etcd_program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("etcd"))
        .find(|program| program.is_file())
        .or_else(|| Some(tools().join("../etcd/usr/bin/etcd")).filter(|program| program.is_file()))
        .expect("etcd is missing: fetch it once with: tests/k8s/tools")
}

/// Starts a program that does not outlive this process, however that ends: the kernel kills it when the
/// *thread* that started it does, so that all are started by one thread which never ends.
fn spawn(program: &Path, folder: &Path, arguments: &[String]) -> Child {
    type Order = (Command, mpsc::SyncSender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<mpsc::SyncSender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (send, orders) = mpsc::sync_channel::<Order>(1);
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                for (mut command, reply) in orders {
                    reply.send(command.spawn()).ok();
                }
            })
            .expect("a thread");
        Mutex::new(send)
    });
    let name = program
        .file_name()
        .and_then(OsStr::to_str)
        .expect("a program's name");
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(format!("{name}.log")))
        .expect("a log");
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL"])
        .arg(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log);
    let (reply, answer) = mpsc::sync_channel(1);
    let spawner = spawner.lock().unwrap_or_else(PoisonError::into_inner);
    spawner.send((command, reply)).expect("the spawner");
    answer
        .recv()
        .expect("the spawner's answer")
        .unwrap_or_else(|error| panic!("setpriv {}: {error}", program.display()))
}
