//! Faults that last a minute: for `make chaos`.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::durable::Agent;
use crate::nats_server::NatsServer;
use crate::outage::{Ordered, Tool, numbers};
use crate::process::Hub;
use crate::processes::child;

/// How long a fault lasts.
const MINUTE: Duration = Duration::from_secs(60);

/// A network namespace at the end of a cable; both are gone when it is dropped.
struct Cable {
    name: String,
}

impl Cable {
    /// The end here has the address, the other one the next.
    fn lay() -> Self {
        let name = format!("xt{}", std::process::id());
        let cable = Self { name };
        let Self { name } = &cable;
        for command in [
            format!("netns add {name}"),
            format!("link add {name} type veth peer name eth0 netns {name}"),
            format!("addr add 10.231.7.1/30 dev {name}"),
            format!("link set {name} up"),
            format!("-n {name} addr add 10.231.7.2/30 dev eth0"),
            format!("-n {name} link set eth0 up"),
            format!("-n {name} link set lo up"),
        ] {
            ip(&command);
        }
        cable
    }

    fn set(&self, state: &str) {
        ip(&format!("link set {} {state}", self.name));
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        Command::new("ip")
            .args(["netns", "del", &self.name])
            .status()
            .ok();
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.expect("iproute2").success(), "ip {arguments}");
}

#[test]
#[ignore = "takes a minute and needs root and iproute2: make chaos"]
fn a_cable_that_is_cut_for_a_minute_costs_nothing() {
    let cable = Cable::lay();
    let server = NatsServer::with_config("host: \"10.231.7.1\"");
    let url = format!("nats://10.231.7.1:{}", server.port);
    let mut tool = Tool::new();
    let mut hub = Hub::start(&["listen", "--nats", &url, "-o", "json", "--session", "s"]);
    hub.wait_for("listening on");
    let mut there = Command::new("ip");
    there
        .args(["netns", "exec", &cable.name])
        .arg(Agent::program());
    let mut agent = Agent::run(there, &tool, &url, &[]);
    let _done = tool.begun();
    tool.print(1_000);
    hub.wait_for_lines(1_000);
    cable.set("down");
    for _ in 0..60 {
        tool.print(1_000);
        std::thread::sleep(MINUTE / 60);
    }
    cable.set("up");
    tool.print(1_000);
    hub.wait_for_lines(62_000);
    drop(tool);
    assert!(agent.0.wait().unwrap().success());
    let end = hub.interrupt();
    assert!(numbers(&end).into_iter().eq(0..62_000));
    end.said("62000 records shown, none missing among their numbers");
}

#[test]
#[ignore = "takes a minute: make chaos"]
fn a_hub_that_stands_still_for_a_minute_costs_nothing() {
    let server = NatsServer::start();
    let mut session = Ordered::start(&server.url(), &[]);
    session.print(1_000);
    session.hub.wait_for_lines(1_000);
    session.printed();
    let agent = child(session.hub.child.id(), "x-agent");
    session.hub.signal(Signal::SIGSTOP);
    for _ in 0..60 {
        // The tool would wait for the agent if that waited for anybody.
        session.print(2_000);
        session.printed();
        std::thread::sleep(MINUTE / 60);
        let memory = resident(agent);
        assert!(memory < 256 << 20, "the agent has {memory} bytes in memory");
    }
    session.hub.signal(Signal::SIGCONT);
    session.hub.wait_for_lines(121_000);
    let end = session.end();
    assert_eq!(end.code, Some(0), "{:#?}", end.stderr);
    assert!(numbers(&end).into_iter().eq(0..121_000));
    end.said("complete: every record that was published is shown, 121000 in all");
}

/// Bytes of a process in memory.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line.unwrap().trim_end_matches("kB").trim().parse().unwrap();
    kib << 10
}
