//! What becomes of a pod while it is traced.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;

use crate::container::Container;
use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::lab::{container, running};
use crate::replay::{TCPCONNECT_HEADER, Tools, tcpconnect};
use crate::scene::{leftovers, tools, with_web};

/// A tcpconnect that prints what it is fed, over and over.
struct Feed {
    pipe: PathBuf,
    tools: Tools,
}

/// A line on its way into a tool, until it is dropped.
struct Feeding(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Feed {
    fn new() -> Self {
        let tools = Tools::new();
        let pipe = tools.path().join("lines");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let python = format!(
            "print({TCPCONNECT_HEADER:?})\nwhile True:\n  for line in open('{}'):\n    print(line, end='')\n",
            pipe.display()
        );
        let tools = tools.script("tcpconnect", &python);
        Self { pipe, tools }
    }

    fn line(&self, line: String) -> Feeding {
        let (end, pipe) = (Arc::new(AtomicBool::new(false)), self.pipe.clone());
        let ended = Arc::clone(&end);
        let feeding = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                // There is no reader before the tool has begun, nor after it has ended.
                let pipe = std::fs::OpenOptions::new()
                    .write(true)
                    .custom_flags(OFlag::O_NONBLOCK.bits())
                    .open(&pipe);
                if let Ok(mut pipe) = pipe {
                    writeln!(pipe, "{line}").ok();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Feeding(end, Some(feeding))
    }
}

impl Drop for Feeding {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().map(JoinHandle::join);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_is_started_again_is_traced_again() {
    let (lab, first) = with_web().await;
    let feed = Feed::new();
    let _kubelet = Kubelet::start(&lab, feed.tools.path());
    let mut hub = Hub::start(trace(&lab, &["web", "--probes", "tcpconnect"]));
    let feeding = feed.line(tcpconnect(first.pid, "first", 80));
    hub.until("PNAME:first").await;
    drop(feeding);
    let second = Container::start();
    lab.set_status("web", running(&second.api_id())).await;
    let _feeding = feed.line(tcpconnect(second.pid, "second", 80));
    hub.until("PNAME:second").await;
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    for words in [
        format!(
            "the container app of {}/web has been restarted",
            lab.namespace
        ),
        format!("tracing container:{}", second.id),
        "complete: every record".to_owned(),
    ] {
        assert!(ended.said.contains(&words), "{words:?} in {}", ended.said);
    }
    assert_eq!(leftovers(&lab).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_finishes_ends_the_session_well() {
    let (lab, web) = with_web().await;
    let tools = tools(&[tcpconnect(web.pid, "curl", 80)]);
    let _kubelet = Kubelet::start(&lab, tools.path());
    let mut hub = Hub::start(trace(&lab, &["web", "--probes", "tcpconnect"]));
    hub.until("PNAME:curl").await;
    let state = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    let statuses = [container("app", Some(&web.api_id()), state)];
    lab.set_status(
        "web",
        json!({"phase": "Succeeded", "containerStatuses": statuses}),
    )
    .await;
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let words = format!("the pod {}/web has finished (Succeeded)", lab.namespace);
    assert!(ended.said.contains(&words), "{}", ended.said);
    assert_eq!(leftovers(&lab).await, [""; 0]);
}
