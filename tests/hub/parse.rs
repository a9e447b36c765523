//! Recorded output of the tools to records.

use std::io::{Read, Write};
use std::process::{ChildStdin, Stdio};

use crate::process::{End, Hub, command};

fn parse(more: &[&str], input: &[u8]) -> End {
    let mut arguments = vec!["parse"];
    arguments.extend(more);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let hub = Hub::spawn(command(&arguments).stdin(reader).stdout(Stdio::piped()));
    let input = input.to_owned();
    // A hub that ends early breaks the pipe, which is its right.
    std::thread::spawn(move || writer.write_all(&input).ok());
    hub.end()
}

const TCPTRACER: &str = "\
Tracing TCP established connections. Ctrl-C to end.
TIME(s)  T  PID    COMM             IP SADDR            DADDR            SPORT  DPORT \n\
0.000    C  20656  iperf3           4  127.0.0.1        127.0.0.1        42334  6001  \n\
2.500    X  8592   tmux: server     6  [::ffff:127.0.0.1] [2001:db8::1234:5678:9abc:def0] 6001   42336 \n";

#[test]
fn json_lines_come_out() {
    let end = parse(&["--probe", "tcptracer"], TCPTRACER.as_bytes());
    assert_eq!(end.code, Some(0), "{end:#?}");
    assert!(end.stderr.is_empty(), "{end:#?}");
    let records: Vec<serde_json::Value> = end
        .stdout
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["probe"], "tcptracer");
    assert_eq!(records[0]["type"], "connect");
    assert_eq!(records[1]["comm"], "tmux: server");
    assert_eq!(records[1]["daddr"], "2001:db8::1234:5678:9abc:def0");
}

#[test]
fn the_classic_form_is_the_originals_line() {
    let end = parse(
        &["--probe", "tcptracer", "--format", "classic"],
        TCPTRACER.as_bytes(),
    );
    assert_eq!(
        end.stdout,
        [
            "{Probe:tcptracer |Sys_Time: - |T: 0.000 | PID:20656 | PNAME:iperf3 |IP->4 | SADDR:127.0.0.1 | DADDR:127.0.0.1 | SPORT:42334 | DPORT:6001 \n",
            "{Probe:tcptracer |Sys_Time: - |T: 2.500 | PID:8592 | PNAME:tmux: server |IP->6 | SADDR:[::ffff:127.0.0.1] | DADDR:[2001:db8::1234:5678:9abc:def0] | SPORT:6001 | DPORT:42336 \n",
        ]
    );
    let life = "TIME,TIME(s),PID,COMM,IP,LADDR,LPORT,RADDR,RPORT,TX_KB,RX_KB,MS\n\
                03:46:12,0.000000,5564,iperf3,4,127.0.0.1,45126,127.0.0.1,6001,3975294,0,2043.19\n";
    let end = parse(
        &["--probe", "tcplife", "--format", "classic"],
        life.as_bytes(),
    );
    assert_eq!(
        end.stdout,
        [
            "{Probe:tcplife |Sys_Time: 03:46:12 |PID:5564 | PNAME:iperf3 | LADDRR:127.0.0.1 | LPORT:45126 | RADDR:127.0.0.1 | RPORT:6001 | TX_KB:3975294 | RX_KB:0 | MS: 2043.19 \n"
        ]
    );
}

#[test]
fn a_bad_line_is_numbered_counted_and_does_not_stop_the_rest() {
    let lines: Vec<_> = TCPTRACER.lines().collect();
    let mut input = lines[..3].join("\n").into_bytes();
    input.extend_from_slice(b"\n\x1b[2Jrubbish\xff\n");
    input.extend_from_slice(lines[3].as_bytes());
    let end = parse(&["--probe", "tcptracer"], &input);
    assert_eq!(end.code, Some(1), "{end:#?}");
    assert_eq!(
        end.stdout.len(),
        2,
        "the last line needs no newline: {end:#?}"
    );
    let complaint = end.said("line 4: tcptracer: ");
    assert!(complaint.contains(r"\x1b[2Jrubbish\xff"), "{complaint}");
    end.said("1 of 5 lines are none of tcptracer's");
}

#[test]
fn an_endless_line_is_refused_and_the_next_is_read() {
    let mut input = TCPTRACER
        .lines()
        .take(2)
        .collect::<Vec<_>>()
        .join("\n")
        .into_bytes();
    input.push(b'\n');
    input.resize(input.len() + (40 << 20), b'a');
    input.push(b'\n');
    input.extend_from_slice(TCPTRACER.lines().nth(2).unwrap().as_bytes());
    let end = parse(&["--probe", "tcptracer"], &input);
    assert_eq!((end.code, end.stdout.len()), (Some(1), 1), "{end:#?}");
    end.said("line 3: longer than 16777216 bytes");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    let (mut records, output) = std::io::pipe().unwrap();
    let arguments = ["parse", "--probe", "tcptracer"];
    let hub = Hub::spawn(command(&arguments).stdin(reader).stdout(output));
    let row = TCPTRACER.lines().nth(2).unwrap().to_owned() + "\n";
    let feeder = std::thread::spawn(move || {
        let mut writer = writer;
        writer.write_all(TCPTRACER.as_bytes()).unwrap();
        // Until the hub ends.
        while writer.write_all(row.repeat(100).as_bytes()).is_ok() {}
    });
    let mut first = [0; 64];
    records.read_exact(&mut first).unwrap();
    drop(records);
    let end = hub.end();
    assert_eq!(end.code, Some(0), "{end:#?}");
    assert!(end.stderr.is_empty(), "{end:#?}");
    feeder.join().unwrap();
}

/// A record is printed when its line has come, not when a buffer is full.
#[test]
fn a_slow_source_is_followed_line_by_line() {
    let mut child = command(&["parse", "--probe", "tcptracer"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut source: ChildStdin = child.stdin.take().unwrap();
    source.write_all(TCPTRACER.as_bytes()).unwrap();
    let mut first = [0; 20];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"{\"probe\":\"tcptracer\"");
    drop(source);
    child.wait().unwrap();
}

/// Real recordings, whatever the release, hostile names included. A name with a newline in it is
/// two lines in a file, and neither is an event; what the parser makes of each is its own tests'.
#[test]
fn what_real_tools_printed_comes_out_line_by_line() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let mut files = 0;
    for probe in probeparser::Probe::ALL {
        let Ok(folder) = std::fs::read_dir(golden.join(probe.name())) else {
            continue;
        };
        for entry in folder {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "out") {
                continue;
            }
            files += 1;
            let input = std::fs::read(&path).unwrap();
            let end = parse(&["--probe", probe.name(), "--format", "classic"], &input);
            let start = format!("{{Probe:{probe} |Sys_Time: ");
            let hostile = |line: &String| line.trim_end_matches('\n').chars().any(char::is_control);
            for line in &end.stdout {
                assert!(
                    line.starts_with(&start) && !hostile(line),
                    "{}: {line}",
                    path.display()
                );
            }
            assert!(!end.stderr.iter().any(hostile), "{end:#?}");
            assert_eq!(
                end.code,
                Some(i32::from(!end.stderr.is_empty())),
                "{end:#?}"
            );
        }
    }
    assert!(files > 10, "{files} files");
}
