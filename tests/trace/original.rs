//! Without a command: the original's session, typed at a terminal or piped.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use k8s_openapi::api::core::v1::Service;
use nix::sys::signal::Signal;

use crate::hub::{Hub, blocking, x_tracer};
use crate::kubelet::Kubelet;
use crate::lab::Lab;
use crate::replay::{Tools, tcpconnect};
use crate::scene::{leftovers, names, tools, with_web};
use crate::terminal::Terminal;

const RULE: &str = "---------------------------------------------";

/// All seven tools: tcpconnect shows a line, the others wait.
fn seven(line: String) -> Tools {
    let mut all = tools(&[line]);
    for name in [
        "tcptracer",
        "tcpaccept",
        "tcplife",
        "execsnoop",
        "biosnoop",
        "cachetop",
    ] {
        all = all.script(name, "import signal\nsignal.pause()\n");
    }
    all
}

/// The list before a prompt, and the number of an entry in it.
fn list(screen: &str, entry: &str) -> (String, usize) {
    let entries: Vec<_> = screen
        .lines()
        .filter_map(|line| line.split_once(" : "))
        .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    let mut text = String::new();
    for (index, (number, name)) in entries.iter().enumerate() {
        assert_eq!(*number, index.to_string());
        writeln!(text, "{number} : {name}").unwrap();
    }
    let chosen = entries.iter().position(|(_, name)| *name == entry).unwrap();
    (text, chosen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transcript_of_a_terminal_is_the_originals() {
    let (lab, container) = with_web().await;
    let tools = seven(tcpconnect(container.pid, "curl", 80));
    let _kubelet = Kubelet::start(&lab, tools.path());
    let (command, namespace) = (x_tracer(&lab), lab.namespace.clone());
    let typed = blocking(move || {
        let mut terminal = Terminal::start(command);
        terminal.until("Choose namespace : ");
        let (namespaces, number) = list(&terminal.shown, &namespace);
        terminal.type_in("first\n");
        terminal.until("Choose namespace : ");
        terminal.type_in(&format!("{number}\n"));
        terminal.until("Choose pod : ");
        terminal.type_in("0\n");
        terminal.until("DPORT:80 \n");
        let expected = format!(
            "\n{RULE}\n{namespaces}Choose namespace : first\nexpected integer\nChoose namespace : {number}\n\
             {RULE}\nThe namespace you chose is {namespace}\n\
             \n{RULE}\n0 : web\nChoose pod : 0\n{RULE}\nThe pod you chose is web\n\
             Container ID is ...\n{}\nStart Agent Pod\nStart Agent Service\n{{Probe:tcpconnect |Sys_Time: ",
            container.id
        );
        assert!(
            terminal.shown.starts_with(&expected),
            "{}\n-- is not --\n{expected}",
            terminal.shown
        );
        (terminal, container)
    });
    let (terminal, _container) = typed.await;
    let services = names::<Service>(&lab).await;
    assert!(
        matches!(&services[..], [one] if one.starts_with("agent-service-")),
        "{services:?}"
    );
    terminal.signal(Signal::SIGINT);
    let (code, said) = blocking(move || terminal.end()).await;
    assert_eq!(code, Some(0), "{said}");
    let mut lines = said.lines();
    // 2020/04/01 12:45:25, then the text.
    assert_eq!(&lines.next().unwrap()[19..], " Start x-tracer");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(
        &lines.next().unwrap()[19..],
        format!(" Hostname :  {}", host.trim())
    );
    assert_eq!(leftovers(&lab).await, [""; 0], "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_answer_from_a_pipe_is_refused_and_nothing_is_made() {
    let lab = Lab::new().await;
    for (typed, why) in [
        ("first\n", "no namespace was chosen (expected integer)"),
        ("", "no namespace was chosen: standard input has ended"),
        ("9999\n", "no namespace was chosen (there is no 9999"),
    ] {
        let mut command = x_tracer(&lab);
        let (input, mut keyboard) = std::io::pipe().unwrap();
        command.stdin(Stdio::from(input)).arg("-kind");
        let hub = Hub::start(command);
        keyboard.write_all(typed.as_bytes()).unwrap();
        drop(keyboard);
        let ended = hub.end().await;
        assert_eq!(ended.code, Some(2), "{typed:?}: {}", ended.said);
        assert!(ended.said.contains(why), "{typed:?}: {}", ended.said);
        assert!(ended.said.contains("x-tracer trace -n NAMESPACE POD"));
    }
    assert_eq!(leftovers(&lab).await, [""; 0]);
}
