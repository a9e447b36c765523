//! What is lost is counted where everybody looks: in the status messages on NATS, in the account at
//! the end, in the exit status of `--strict`. Each way to lose something is forced here; that of the
//! agent's spool is in [`crate::outage`], that of the way to the hub in the hub's own tests.

use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::durable::Agent;
use crate::nats_server::NatsServer;
use crate::pid_namespace::Contained;
use crate::plain_nats::PlainNats;
use crate::process::Hub;
use crate::replay::{TCPCONNECT_HEADER, Tools, tcpconnect};
use crate::session::local;
use crate::sight::tracer;

/// A session on a server of the test's, with a plain reader of the status messages beside the hub.
fn observed(mut command: Command) -> (Hub, PlainNats, NatsServer) {
    let server = NatsServer::start();
    let mut reader = PlainNats::connect(server.port, None);
    reader.subscribe("xtracer.v1.*.*.status");
    command
        .args(["--strict", "--nats", &server.url()])
        .stdout(Stdio::piped());
    (Hub::spawn(&mut command), reader, server)
}

/// Reads on until an account of a probe has this in it.
fn until_counted(reader: &mut PlainNats, column: &str, count: u64) {
    loop {
        let status: Value = serde_json::from_slice(&reader.next().payload).unwrap();
        if status["ledger"][column] == count {
            assert_eq!(status["probe"], "tcpconnect", "{status}");
            return;
        }
    }
}

#[test]
fn samples_that_the_kernel_lost() {
    let target = Contained::start();
    let acts = tempfile::NamedTempFile::new().unwrap();
    let lost = r#"[{"control": "lost", "count": 5}, {"control": "lost", "count": 7}]"#;
    std::fs::write(acts.path(), lost).unwrap();
    let mut command = tracer(&target, "tcpconnect", "connect,accept,close,ipv6");
    command.env("XTRACER_STANDIN_EVENTS", acts.path());
    let (mut hub, mut reader, _server) = observed(command);
    hub.wait_for("probes proven to see 1/1");
    until_counted(&mut reader, "lost_samples", 12);
    let end = hub.interrupt();
    assert_eq!(end.code, Some(6), "{:#?}", end.stderr);
    end.said("incomplete: tcpconnect: 12 lost in the kernel's buffer");
}

#[test]
fn lines_that_nobody_understands() {
    let target = Contained::start();
    let whole = tcpconnect(target.pid, "curl", 80);
    let torn = whole.replace("127.0.0.1 ", "127.0.0.? ");
    let tools = Tools::new().lines("tcpconnect", &[TCPCONNECT_HEADER.into(), whole, torn]);
    let command = local(target.pid, tools.path(), &["--probes", "tcpconnect"]);
    let (hub, mut reader, _server) = observed(command);
    let end = hub.end();
    until_counted(&mut reader, "unparsed", 1);
    assert_eq!(end.code, Some(6), "{:#?}", end.stderr);
    end.said("incomplete: tcpconnect: 1 not understood by the agent");
}

/// A tool whose program the kernel has to skip: it runs for each page fault of the kernel in this
/// process, and makes one. x86-64.
const SKIPPED: &str = "
import ctypes, mmap, os, signal, struct
UNMAPPED = 8
def instruction(code, dst=0, src=0, off=0, imm=0):
    return struct.pack('<BBhi', code, dst | src << 4, off, imm)
program = b''.join((
    instruction(0x79, 6, 1),                       # r6 = the faulting address
    instruction(0x15, 6, off=8, imm=UNMAPPED),     # its own fault: end
    instruction(0x85, imm=14),                     # r0 = bpf_get_current_pid_tgid()
    instruction(0x77, imm=32),                     # r0 >>= 32
    instruction(0x55, off=5, imm=os.getpid()),     # another process: end
    instruction(0xbf, 1, 10),                      # r1 = the stack
    instruction(0x07, 1, imm=-8),                  # with room
    instruction(0xb7, 2, imm=8),                   # for so much
    instruction(0xb7, 3, imm=UNMAPPED),            # from where nothing is
    instruction(0x85, imm=112),                    # bpf_probe_read_user()
    instruction(0xb7),                             # r0 = 0
    instruction(0x95),                             # end
))
text = lambda value: ctypes.addressof(value)
code, licence, name = (ctypes.create_string_buffer(value) for value in (program, b'GPL', b'page_fault_kernel'))
bpf = ctypes.CDLL(None, use_errno=True).syscall
def call(command, attributes):
    fd = bpf(321, command, ctypes.create_string_buffer(attributes, 128), 128)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    return fd
load = struct.pack('<IIQQ', 17, len(program) // 8, text(code), text(licence))
held = call(5, load)
link = call(17, struct.pack('<QI', text(name), held))
with open('/dev/zero', 'rb', buffering=0) as zero:
    zero.readinto(mmap.mmap(-1, 1 << 20))
os.close(link)
";

#[test]
fn runs_that_the_kernel_skipped() {
    let target = Contained::start();
    let line = tcpconnect(target.pid, "curl", 80);
    let tools = Tools::new().script(
        "tcpconnect",
        &format!("{SKIPPED}print({TCPCONNECT_HEADER:?})\nprint({line:?})\nsignal.pause()\n"),
    );
    let command = local(target.pid, tools.path(), &["--probes", "tcpconnect"]);
    let (mut hub, mut reader, _server) = observed(command);
    hub.wait_for_lines(1);
    let end = hub.interrupt();
    let skipped = loop {
        let status: Value = serde_json::from_slice(&reader.next().payload).unwrap();
        match status["ledger"]["skipped"].as_u64() {
            Some(skipped) if skipped > 0 => break skipped,
            _ => {}
        }
    };
    assert_eq!(end.code, Some(6), "{:#?}", end.stderr);
    end.said(&format!(
        "incomplete: tcpconnect: {skipped} times its program was skipped by the kernel"
    ));
}

/// A callback's event can't wait for room in the agent's queue: the kernel's ring would fill up behind it.
#[test]
fn events_that_find_the_queue_full() {
    const EVENTS: u64 = 20_000;
    let target = Contained::start();
    let acts = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(acts.path(), format!(r#"[{{"pid": {}}}]"#, target.pid)).unwrap();
    let server = NatsServer::start();
    let mut reader = PlainNats::connect(server.port, None);
    reader.subscribe("xtracer.v1.*.*.status");
    let url = server.url();
    let mut hub = Hub::start(&["listen", "--strict", "--nats", &url, "--session", "s"]);
    hub.wait_for("listening on");
    let standin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/standin");
    let mut agent = Command::new(Agent::program());
    agent
        .args(["--session", "s", "--node", "n", "--queue", "1"])
        .args(["--target", &format!("pid:{}", target.pid)])
        .args(["--probes", "tcpconnect", "--nats", &url])
        .env("XTRACER_BCC_PATH", standin)
        .env("XTRACER_STANDIN_EVENTS", acts.path())
        .env("XTRACER_STANDIN_REPEAT", EVENTS.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let mut agent = Agent(agent.spawn().unwrap());
    hub.wait_for(" records are missing before number ");
    let dropped = loop {
        let status: Value = serde_json::from_slice(&reader.next().payload).unwrap();
        if status["ledger"]["printed"] == EVENTS {
            break status["ledger"]["dropped"].as_u64().unwrap();
        }
    };
    assert!((1..EVENTS).contains(&dropped), "{dropped}");
    let pid = Pid::from_raw(agent.0.id().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    agent.0.wait().unwrap();
    let end = hub.interrupt();
    assert_eq!(end.code, Some(6), "{:#?}", end.stderr);
    end.said(&format!(
        "{dropped} dropped because the agent's queue was full"
    ));
}

/// What would have been lost is a matter of the ring's size: the user's choice reaches the tool.
#[test]
fn a_ring_is_as_large_as_the_user_says() {
    let target = Contained::start();
    let (acts, journal) = (
        tempfile::NamedTempFile::new().unwrap(),
        tempfile::NamedTempFile::new().unwrap(),
    );
    std::fs::write(acts.path(), "[]").unwrap();
    let mut command = tracer(&target, "tcpconnect", "connect,accept,close,ipv6");
    command
        .args(["--perf-pages", "biosnoop=512,tcpconnect=64"])
        .args(["--perf-pages", "tcpconnect=256"])
        .env("XTRACER_STANDIN_EVENTS", acts.path())
        .env("XTRACER_STANDIN_JOURNAL", journal.path());
    let mut hub = Hub::spawn(&mut command);
    hub.wait_for("probes proven to see 1/1");
    assert_eq!(hub.interrupt().code, Some(0));
    let journal = std::fs::read_to_string(journal.path()).unwrap();
    let opened: Vec<_> = journal
        .lines()
        .filter(|line| line.starts_with("open "))
        .collect();
    assert_eq!(opened.len(), 2, "{journal}");
    assert!(
        opened.iter().all(|line| line.contains(" page_cnt=256 ")),
        "{opened:?}"
    );
}
