//! The classic line, from the record alone.

use probeparser::Record;
use probeparser::record::{Execsnoop, Tcpaccept, Tcpconnect};
use x_tracer::show::classic;

use crate::envelopes::golden;

fn line(record: &Record) -> String {
    let mut line = Vec::new();
    classic::line(&mut line, None, record);
    String::from_utf8(line).unwrap()
}

#[test]
fn is_the_originals_byte_for_byte() {
    for (envelope, expected) in golden() {
        let mut line = Vec::new();
        classic::line(&mut line, Some(envelope.sys_time), &envelope.record);
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }
}

#[test]
fn shows_a_dash_for_what_recorded_output_lacks() {
    let accept = Record::Tcpaccept(Tcpaccept {
        time_s: None,
        pid: 1,
        comm: "".into(),
        ip: 4,
        raddr: [10, 0, 0, 1].into(),
        rport: None,
        laddr: [10, 0, 0, 2].into(),
        lport: 80,
    });
    assert_eq!(
        line(&accept),
        "{Probe:tcpaccept |Sys_Time: - |T: - | PID:1 | PNAME: | IP:4 | RADDR:10.0.0.1 | RPORT:- | LADDR:10.0.0.2 | LPORT:80 \n"
    );
}

#[test]
fn shows_an_unknown_parent_and_no_arguments_as_the_tool_does() {
    let exec = Record::Execsnoop(Execsnoop {
        time_s: Some(-0.0004),
        uid: Some(0),
        comm: "tmux: server".into(),
        pid: u32::MAX,
        parent_comm: None,
        ppid: None,
        cpu: None,
        ret: -2,
        args: "".into(),
    });
    assert_eq!(
        line(&exec),
        "{Probe:execsnoop |Sys_Time: - | T:-0.000 | PNAME: tmux: server | PID:4294967295 | PPID:? | RET:-2 | ARGS: \n"
    );
}

/// The tools print addresses with the C library's `inet_ntop(3)`; Rust's own form differs.
#[test]
fn prints_ipv6_as_inet_ntop_does() {
    for (address, shown) in [
        ("::", "::"),
        ("::1", "::1"),
        ("::2:1", "::0.2.0.1"),
        ("::ffff", "::ffff"),
        ("::1:0", "::0.1.0.0"),
        ("::102:304", "::1.2.3.4"),
        ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
        ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
        ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
    ] {
        let connect = Record::Tcpconnect(Tcpconnect {
            time_s: None,
            uid: None,
            pid: 1,
            comm: "c".into(),
            ip: 6,
            saddr: address.parse().unwrap(),
            lport: None,
            daddr: address.parse().unwrap(),
            dport: 1,
            query: None,
        });
        let line = line(&connect);
        assert!(
            line.contains(&format!("| SADDR:{shown} | DADDR:{shown} |")),
            "{line}"
        );
    }
}
