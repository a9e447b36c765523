//! `--wait`: what is to be traced need not be there yet.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::container::Container;
use crate::hub::{Hub, trace};
use crate::kubelet::Kubelet;
use crate::lab::running;
use crate::replay::tcpconnect;
use crate::scene::{leftovers, node, tools, with_web};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_comes_later_is_waited_for() {
    let (lab, _web) = with_web().await;
    let late = Container::start();
    let tools = tools(&[tcpconnect(late.pid, "curl", 80)]);
    let _kubelet = Kubelet::start(&lab, tools.path());
    let arguments = ["-l", "app=late", "--wait", "--probes", "tcpconnect"];
    let mut hub = Hub::start(trace(&lab, &arguments));
    hub.said_until("waiting: no pod matches -l app=late").await;
    let spec = json!({"nodeName": node(&lab)});
    lab.pod("late", json!({"app": "late"}), spec).await;
    lab.set_status("late", running(&late.api_id())).await;
    hub.until("PNAME:curl").await;
    hub.signal(Signal::SIGINT);
    let ended = hub.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(leftovers(&lab).await, [""; 0]);
}
