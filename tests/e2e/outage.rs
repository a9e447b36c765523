//! What a server's end costs: nothing, or a gap that is told.

use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use crate::nats_server::NatsServer;
use crate::pid_namespace::Contained;
use crate::process::{End, Hub};
use crate::replay::{TCPCONNECT_HEADER, Tools};
use crate::session::local;

/// A tool that prints as many numbered lines of a target as it is told.
pub(crate) struct Tool {
    orders: File,
    target: Contained,
    tools: Tools,
}

impl Tool {
    pub(crate) fn new() -> Self {
        let target = Contained::start();
        let folder = Tools::new();
        let [orders, done] = ["orders", "done"].map(|name| folder.path().join(name));
        for pipe in [&orders, &done] {
            mkfifo(pipe, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        }
        let tools = folder.script("tcpconnect", &ordered(target.pid, &orders, &done));
        // Read and write: an order waits for a tool that is being started again.
        let orders = File::options().read(true).write(true).open(orders).unwrap();
        Self {
            orders,
            target,
            tools,
        }
    }

    /// The process that its lines are about.
    pub(crate) fn target(&self) -> u32 {
        self.target.pid
    }

    /// The folder that it is in.
    pub(crate) fn folder(&self) -> &Path {
        self.tools.path()
    }

    /// Waits until it runs; where it says what it has done.
    pub(crate) fn begun(&self) -> BufReader<File> {
        // It opens once the tool has opened the other end.
        BufReader::new(File::open(self.folder().join("done")).unwrap())
    }

    /// The process that runs it: it alone reads the orders.
    pub(crate) fn process(&self) -> Option<u32> {
        let orders = self.folder().join("orders");
        let reads = |pid: &u32| {
            let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter();
            let mut open = open.flatten().flatten();
            open.any(|file| std::fs::read_link(file.path()).is_ok_and(|file| file == orders))
        };
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.find(|pid| *pid != std::process::id() && reads(pid))
    }

    /// Lets it print so many lines more.
    pub(crate) fn print(&mut self, lines: u64) {
        writeln!(self.orders, "{lines}").unwrap();
    }
}

/// A session of such a tool.
pub(crate) struct Ordered {
    pub(crate) hub: Hub,
    done: BufReader<File>,
    pub(crate) tool: Tool,
}

impl Ordered {
    pub(crate) fn start(url: &str, agent: &[(&str, &str)]) -> Self {
        Self::start_with(&["--nats", url], agent, Stdio::piped())
    }

    /// With these arguments, and its records to this place.
    pub(crate) fn start_with(
        arguments: &[&str],
        agent: &[(&str, &str)],
        records: impl Into<Stdio>,
    ) -> Self {
        let tool = Tool::new();
        let hub = start(&tool, arguments, agent, records);
        let done = tool.begun();
        Self { hub, done, tool }
    }

    /// Another hub for the tool of one that was killed.
    pub(crate) fn start_again(self, arguments: &[&str], records: impl Into<Stdio>) -> Self {
        let Self {
            hub,
            mut done,
            tool,
        } = self;
        drop(hub);
        // The end of its tool is the end of what that says.
        std::io::copy(&mut done, &mut std::io::sink()).unwrap();
        let hub = start(&tool, arguments, &[], records);
        let done = tool.begun();
        Self { hub, done, tool }
    }

    /// Lets the tool print so many lines more.
    pub(crate) fn print(&mut self, lines: u64) {
        self.tool.print(lines);
    }

    /// Waits until it has printed what one `print` told it to.
    pub(crate) fn printed(&mut self) {
        let read = self.done.read_line(&mut String::new()).unwrap();
        assert_ne!(read, 0, "the tool has ended");
    }

    /// Waits for the end of a hub that was asked to end.
    pub(crate) fn interrupted(self) -> End {
        self.hub.end()
    }

    /// Lets the tool, and with it the session, come to its end.
    pub(crate) fn end(self) -> End {
        drop(self.tool.orders);
        self.hub.end()
    }
}

fn start(
    tool: &Tool,
    arguments: &[&str],
    agent: &[(&str, &str)],
    records: impl Into<Stdio>,
) -> Hub {
    let mut command = local(tool.target(), tool.folder(), &["--probes", "tcpconnect"]);
    command
        .args(["-o", "json", "--strict"])
        .args(arguments)
        .envs(agent.iter().copied())
        .stdout(records);
    Hub::spawn(&mut command)
}

fn ordered(pid: u32, orders: &Path, done: &Path) -> String {
    format!(
        "print({TCPCONNECT_HEADER:?})\nnumber = 0\norders = open('{}')\ndone = open('{}', 'w')\n\
         for order in orders:\n    \
         for _ in range(int(order)):\n        \
         print('0.000    {pid:<7} %-12d 4  127.0.0.1        10.244.1.17      80     ' % number)\n        \
         number += 1\n    \
         print(number, file=done, flush=True)\n",
        orders.display(),
        done.display()
    )
}

/// The numbers that the tool has given to the lines that were shown.
pub(crate) fn numbers(end: &End) -> Vec<u64> {
    numbers_of(end.stdout.iter().map(String::as_str))
}

pub(crate) fn numbers_of<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<u64> {
    let number = |line| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["comm"].as_str().unwrap().parse().unwrap()
    };
    lines.map(number).collect()
}

#[test]
fn what_happens_while_the_server_is_away_arrives_in_order() {
    let server = NatsServer::start();
    let port = server.port;
    let mut session = Ordered::start(&server.url(), &[]);
    session.print(1_000);
    session.hub.wait_for_lines(1_000);
    drop(server);
    session
        .hub
        .wait_for("lost the connection to nats://127.0.0.1:");
    session.print(50_000);
    session.printed();
    session.printed();
    let _server = NatsServer::on_port(port.into(), "");
    session.hub.wait_for_lines(51_000);
    session.print(1_000);
    let end = session.end();
    assert_eq!(end.code, Some(0), "{:#?}", end.stderr);
    assert_eq!(numbers(&end), (0..52_000).collect::<Vec<_>>());
    end.said("complete: every record that was published is shown, 52000 in all");
}

#[test]
fn a_server_that_is_killed_in_mid_stream_costs_nothing() {
    const LINES: u64 = 100_000;
    let mut server = NatsServer::start();
    let port = server.port;
    let mut session = Ordered::start(&server.url(), &[]);
    session.print(LINES);
    for shown in [10_000, 40_000, 70_000] {
        session.hub.wait_for_lines(shown);
        drop(server);
        server = NatsServer::on_port(port.into(), "");
    }
    let end = session.end();
    assert_eq!(end.code, Some(0), "{:#?}", end.stderr);
    assert!(numbers(&end).into_iter().eq(0..LINES));
    end.said("complete: every record that was published is shown, 100000 in all");
}

#[test]
fn beyond_the_spool_the_oldest_are_dropped_and_the_gap_is_told() {
    const LINES: u64 = 200_100;
    let server = NatsServer::start();
    let port = server.port;
    let mut session = Ordered::start(&server.url(), &[("XTRACER_SPOOL", "1M")]);
    session.print(100);
    session.hub.wait_for_lines(100);
    drop(server);
    session
        .hub
        .wait_for("lost the connection to nats://127.0.0.1:");
    session.print(200_000);
    session.printed();
    session.printed();
    let _server = NatsServer::on_port(port.into(), "");
    let end = session.end();
    assert_eq!(end.code, Some(6), "{:#?}", end.stderr);
    let numbers = numbers(&end);
    let missing = LINES - numbers.len() as u64;
    assert!(missing > 100_000, "memory holds no more: {missing}");
    // The one that finds out whether the server is back is out of the spool's reach.
    assert!(numbers.is_sorted_by(|one, next| one < next), "in order");
    assert_eq!(numbers[..100], (0..100).collect::<Vec<_>>());
    assert!(numbers.ends_with(&(LINES - 20_000..LINES).collect::<Vec<_>>()));
    let gap = |line: &String| line.contains(" records are missing before number ");
    assert!(end.stderr.iter().any(gap), "{:#?}", end.stderr);
    end.said(&format!("tcpconnect: {missing} dropped because"));
}

/// What it can't take waits in the agent, not in the server, which would cut it off.
#[test]
fn a_hub_that_is_stopped_holds_up_nobody() {
    const LINES: usize = 200_000;
    let server = NatsServer::with_config("write_deadline: \"1s\"\nmax_pending: 8MB");
    let mut session = Ordered::start(&server.url(), &[]);
    session.print(100);
    session.hub.wait_for_lines(100);
    session.printed();
    session.hub.signal(Signal::SIGSTOP);
    session.print(LINES as u64 - 100);
    // The tool waits for the agent if that waits for anybody.
    session.printed();
    session.hub.signal(Signal::SIGCONT);
    let end = session.end();
    assert_eq!(end.code, Some(0), "{:#?}", end.stderr);
    assert!(numbers(&end).into_iter().eq(0..LINES as u64));
}
