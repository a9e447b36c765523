//! `--durable`: agent, hub and server may be killed at any time; what was published is shown, once.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::chaos::number;
use crate::nats_server::NatsServer;
use crate::outage::{Ordered, Tool, numbers, numbers_of};
use crate::plain_nats::PlainNats;
use crate::process::{End, Hub, run};

/// Records of a test.
const LINES: u32 = 100_000;

/// A server that keeps its streams in a folder, so that it may come back.
pub(crate) struct KeepingServer {
    server: Option<NatsServer>,
    folder: TempDir,
}

impl KeepingServer {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let server = Some(Self::on_port(-1, folder.path()));
        Self { server, folder }
    }

    fn on_port(port: i32, folder: &Path) -> NatsServer {
        let streams = format!("jetstream: {{ store_dir: \"{}\" }}", folder.display());
        NatsServer::on_port(port, &streams)
    }

    /// Kills it and starts it again.
    pub(crate) fn again(&mut self) {
        let port = self.server.take().unwrap().port.into();
        self.server = Some(Self::on_port(port, self.folder.path()));
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.as_ref().unwrap().child.id()
    }

    fn port(&self) -> u16 {
        self.server.as_ref().unwrap().port
    }

    pub(crate) fn url(&self) -> String {
        self.server.as_ref().unwrap().url()
    }
}

/// An agent that no hub has started; killed when dropped.
pub(crate) struct Agent(pub(crate) Child);

impl Agent {
    /// One whose records a stream keeps. Its journal is beside its tool: it goes on after one before it.
    pub(crate) fn start(tool: &Tool, url: &str) -> Self {
        let journal = tool.folder().join("journal");
        let more = ["--durable", "--journal", journal.to_str().unwrap()];
        Self::run(Command::new(Self::program()), tool, url, &more)
    }

    pub(crate) fn program() -> PathBuf {
        Path::new(env!("CARGO_BIN_EXE_x-tracer")).with_file_name("x-agent")
    }

    /// What is said in place of the program's name, and with these arguments besides.
    pub(crate) fn run(mut program: Command, tool: &Tool, url: &str, more: &[&str]) -> Self {
        let child = program
            .args(["run", "--session", "s", "--node", "n"])
            .args(more)
            .args(["--probes", "tcpconnect", "--nats", url])
            .args(["--target", &format!("pid:{}", tool.target())])
            .arg("--tools-dir")
            .arg(tool.folder())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("x-agent"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What hubs show, one after the other, and how far that came.
pub(crate) struct Shown {
    folder: TempDir,
}

impl Shown {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("records")
    }

    fn file(&self) -> File {
        let mut append = OpenOptions::new();
        append.create(true).append(true).open(self.path()).unwrap()
    }

    /// A hub that goes on where the last one stopped.
    pub(crate) fn listen(&self, url: &str) -> Hub {
        let bookmark = self.folder.path().join("bookmark");
        let mut command = crate::process::command(&["listen", "--nats", url, "--durable"]);
        command.args(["-o", "json", "--session", "s", "--bookmark"]);
        Hub::spawn(command.arg(bookmark).stdout(self.file()))
    }

    /// Waits until so many lines are there.
    pub(crate) fn wait_for_lines(&self, count: usize) {
        let mut lines = BufReader::new(File::open(self.path()).unwrap());
        let (mut seen, mut line) = (0, String::new());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
        while seen < count {
            line.clear();
            if lines.read_line(&mut line).unwrap() == 0 {
                assert!(std::time::Instant::now() < deadline, "{seen} lines");
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            seen += usize::from(line.ends_with('\n'));
        }
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    fn numbers(&self) -> Vec<u64> {
        numbers_of(self.text().lines())
    }
}

#[test]
fn hubs_and_servers_that_are_killed_cost_nothing() {
    let mut server = KeepingServer::start();
    let mut tool = Tool::new();
    let shown = Shown::new();
    let mut hub = shown.listen(&server.url());
    hub.wait_for("listening on");
    let _agent = Agent::start(&tool, &server.url());
    let _done = tool.begun();
    tool.print(LINES.into());
    for (at, count) in [5_000, 20_000, 40_000, 60_000, 80_000]
        .into_iter()
        .enumerate()
    {
        shown.wait_for_lines(count);
        drop(hub);
        if at % 2 == 1 {
            server.again();
        }
        hub = shown.listen(&server.url());
    }
    shown.wait_for_lines(usize::try_from(LINES).unwrap());
    let end = hub.interrupt();
    assert_eq!(end.code, Some(0), "{:#?}", end.stderr);
    end.said("none missing among their numbers");
    assert!(shown.numbers().into_iter().eq(0..LINES.into()));
}

#[test]
fn a_hub_comes_when_all_is_over_and_the_past_can_be_seen_again() {
    let server = KeepingServer::start();
    let url = server.url();
    let replay = |more: &[&str]| {
        let mut arguments = vec!["replay", "--nats", &url, "-o", "json"];
        arguments.extend(more);
        run(&arguments)
    };
    let end = replay(&[]);
    assert_eq!(end.code, Some(1), "{:#?}", end.stderr);
    end.said("there is no stream `xtracer` on nats://127.0.0.1:");

    let mut tool = Tool::new();
    let mut agent = Agent::start(&tool, &url);
    let mut done = tool.begun();
    tool.print(5_000);
    assert_ne!(done.read_line(&mut String::new()).unwrap(), 0);
    // The agent ends with its tool, and then it has nothing left that is not kept.
    drop(tool);
    assert!(agent.0.wait().unwrap().success());

    for more in [&[][..], &["--since", "1h"], &["--session", "s"]] {
        let end = replay(more);
        assert_eq!(end.code, Some(0), "{:#?}", end.stderr);
        assert_eq!(numbers(&end), (0..5_000).collect::<Vec<_>>());
        end.said("5000 records shown, none missing among their numbers");
    }
    for more in [&["--session", "other"][..], &["--probes", "tcplife"]] {
        assert_eq!(replay(more).stdout.len(), 0);
    }
    let shown = Shown::new();
    let mut hub = shown.listen(&url);
    hub.wait_for("listening on");
    shown.wait_for_lines(5_000);
    // Whoever reads on with the same mark would take the other's records.
    let mut other = shown.listen(&url);
    other.wait_for("another x-tracer reads on with");
    hub.interrupt();
    assert!(shown.numbers().into_iter().eq(0..5_000));
    let mut hub = shown.listen(&url);
    hub.wait_for("listening on");
    assert_eq!(hub.interrupt().code, Some(0));
    assert_eq!(shown.numbers().len(), 5_000);
}

#[test]
fn a_hub_that_comes_too_late_is_told_what_the_stream_has_dropped() {
    let server = KeepingServer::start();
    let mut tool = Tool::new();
    let limits = [
        "--durable",
        "--durable-max-bytes",
        "100000",
        "--journal",
        "",
    ];
    let program = Command::new(Agent::program());
    let mut agent = Agent::run(program, &tool, &server.url(), &limits);
    let _done = tool.begun();
    tool.print(100);
    let shown = Shown::new();
    // A hub that came before the agent would make a larger stream.
    while run(&["replay", "--nats", &server.url()]).code != Some(0) {}
    let hub = shown.listen(&server.url());
    shown.wait_for_lines(100);
    hub.interrupt();
    tool.print(10_000);
    drop(tool);
    assert!(agent.0.wait().unwrap().success());

    let mut hub = shown.listen(&server.url());
    hub.wait_for("messages of the stream, of all sessions, were gone by its limits");
    let end = hub.interrupt();
    end.said("incomplete: ");
    let numbers = shown.numbers();
    assert!(numbers.len() < 10_100, "{} records", numbers.len());
    assert!(numbers[..100].iter().copied().eq(0..100));
}

/// The numbers of an account: lines printed, dropped and published.
pub(crate) fn account(end: &End) -> [u64; 3] {
    let account = end
        .stderr
        .iter()
        .find(|line| line.contains("tcpconnect: printed "));
    let account = account.unwrap_or_else(|| panic!("no account: {:#?}", end.stderr));
    ["printed ", "dropped ", "published "].map(|words| number(account, words))
}

/// Records by their own numbers, each of them higher than the one before, and how many are missing.
pub(crate) fn in_order<'a>(lines: impl Iterator<Item = &'a str>) -> (u64, u64) {
    let (mut shown, mut last) = (0, 0);
    for line in lines {
        let record: Value = serde_json::from_str(line).unwrap();
        let seq = record["seq"].as_u64().unwrap();
        assert!(seq > last, "{seq} after {last}");
        (shown, last) = (shown + 1, seq);
    }
    (shown, last - shown)
}

/// The last lines are shown, and of all the records that were: what was printed beyond them is counted as dropped, and
/// that is what their numbers lack. A line that was read and had no number yet is the only one that has none: at
/// most one for each kill.
fn is_accounted_for(text: &str, end: &End, kills: u64) {
    let (shown, missing) = in_order(text.lines());
    assert!(numbers_of(text.lines()).ends_with(&[998, 999]));
    let [printed, dropped, published] = account(end);
    assert_eq!(
        (shown, printed),
        (published, published + dropped),
        "{:#?}",
        end.stderr
    );
    assert!(
        (missing..=missing + kills).contains(&dropped),
        "{missing} {:#?}",
        end.stderr
    );
}

/// What the agent had read is shown, but for what had not come from its queue into its journal: that is
/// counted to the line.
#[test]
fn an_agent_that_is_killed_goes_on_where_it_was() {
    let server = KeepingServer::start();
    let mut tool = Tool::new();
    let shown = Shown::new();
    let mut hub = shown.listen(&server.url());
    hub.wait_for("listening on");
    let mut agent = Agent::start(&tool, &server.url());
    let mut done = tool.begun();
    for count in [20_000, 60_000, 100_000] {
        tool.print(LINES.into());
        shown.wait_for_lines(count);
        drop(agent);
        // The end of its tool is the end of what that says.
        std::io::copy(&mut done, &mut std::io::sink()).unwrap();
        agent = Agent::start(&tool, &server.url());
        done = tool.begun();
    }
    tool.print(1_000);
    drop(tool);
    assert!(agent.0.wait().unwrap().success());
    let kept = run(&["replay", "--nats", &server.url(), "-o", "json"]).stdout;
    shown.wait_for_lines(kept.len());
    let end = hub.interrupt();
    let text = shown.text();
    is_accounted_for(&text, &end, 3);
    let follows = "goes on after an agent that did not come to its end";
    let times = end.stderr.iter().filter(|line| line.contains(follows));
    assert_eq!(times.count(), 3, "{:#?}", end.stderr);
    end.said("failed 3 times and saw nothing until it was back");
    assert!(
        !end.stderr.concat().contains("numbered anew"),
        "{:#?}",
        end.stderr
    );
}

#[test]
fn without_a_journal_it_is_told_that_the_next_agent_begins_anew() {
    let server = KeepingServer::start();
    let mut tool = Tool::new();
    let shown = Shown::new();
    let mut hub = shown.listen(&server.url());
    hub.wait_for("listening on");
    let start = |tool: &Tool| {
        let program = Command::new(Agent::program());
        Agent::run(
            program,
            tool,
            &server.url(),
            &["--durable", "--journal", ""],
        )
    };
    let agent = start(&tool);
    let mut done = tool.begun();
    tool.print(1_000);
    shown.wait_for_lines(1_000);
    drop(agent);
    std::io::copy(&mut done, &mut std::io::sink()).unwrap();
    let _agent = start(&tool);
    let _done = tool.begun();
    tool.print(1_000);
    shown.wait_for_lines(2_000);
    let end = hub.interrupt();
    end.said("its agent was started again 1 times without having ended");
    end.said("numbered anew 1");
}

#[test]
fn an_agent_without_a_hub_ends_after_a_while() {
    let server = KeepingServer::start();
    let url = server.url();
    let mut tool = Tool::new();
    let mut plain = PlainNats::connect(server.port(), None);
    plain.subscribe("_INBOX.x-agent.s.n.hub");
    let shown = Shown::new();
    let mut hub = shown.listen(&url);
    hub.wait_for("listening on");
    let program = Command::new(Agent::program());
    let limits = ["--durable", "--journal", "", "--end-alone", "4"];
    let mut agent = Agent::run(program, &tool, &url, &limits);
    let _done = tool.begun();
    tool.print(10);
    shown.wait_for_lines(10);
    // What it says at its start is answered, and more than that only where it has asked.
    for _ in 0..8 {
        assert_eq!(plain.next().payload, b"");
    }
    drop(hub);
    assert_eq!(agent.0.wait().unwrap().code(), Some(1));
    // Its last account is kept for who comes later.
    let end = run(&["replay", "--nats", &url, "-o", "json"]);
    assert_eq!(account(&end), [10, 0, 10]);
}

#[test]
fn a_server_of_our_own_keeps_what_nobody_has_shown() {
    let folder = TempDir::new().unwrap();
    let records = folder.path().join("records");
    let file = || {
        let mut append = OpenOptions::new();
        append.create(true).append(true).open(&records).unwrap()
    };
    let streams = folder.path().join("kept");
    let arguments = ["--durable", "--durable-dir", streams.to_str().unwrap()];
    let mut session = Ordered::start_with(&arguments, &[], file());
    session.print(20_000);
    session.printed();
    session.hub.signal(Signal::SIGKILL);
    let mut session = session.start_again(&arguments, file());
    session.print(1_000);
    let end = session.end();
    let text = std::fs::read_to_string(&records).unwrap();
    is_accounted_for(&text, &end, 1);
    end.said("goes on after an agent that did not come to its end");
}

#[test]
fn a_session_may_have_a_stream_of_its_own() {
    let mut session = Ordered::start_with(&["--durable"], &[], Stdio::piped());
    session.print(20_000);
    let end = session.end();
    assert_eq!(end.code, Some(0), "{:#?}", end.stderr);
    assert!(numbers(&end).into_iter().eq(0..20_000));
    end.said("complete: every record that was published is shown, 20000 in all");
}
