//! Canned records, one of every probe, the values those of the original's own sample session.

use probeparser::Record;
use probeparser::record::Execsnoop;
use probeparser::wire::{By, Envelope, Subject};

/// Probe, number, clock, columns; and the line that the original shows for it.
#[rustfmt::skip]
const GOLDEN: [(&str, u64, &str, &str, &str); 9] = [
    (
        "tcptracer", 1, "04:03:39",
        r#""time_s":25.724,"type":"connect","pid":20656,"comm":"iperf3","ip":4,"saddr":"127.0.0.1","daddr":"127.0.0.1","sport":42334,"dport":6001"#,
        "{Probe:tcptracer |Sys_Time: 04:03:39 |T: 25.724 | PID:20656 | PNAME:iperf3 |IP->4 | SADDR:127.0.0.1 | DADDR:127.0.0.1 | SPORT:42334 | DPORT:6001 \n",
    ),
    (
        "tcptracer", 2, "04:03:39",
        r#""time_s":25.724,"type":"close","pid":8592,"comm":"iperf3","ip":6,"saddr":"::","daddr":"2001:db8::1234:5678:9abc:def0","sport":0,"dport":65535"#,
        "{Probe:tcptracer |Sys_Time: 04:03:39 |T: 25.724 | PID:8592 | PNAME:iperf3 |IP->6 | SADDR:[::] | DADDR:[2001:db8::1234:5678:9abc:def0] | SPORT:0 | DPORT:65535 \n",
    ),
    (
        "tcpconnect", 1, "04:03:40",
        r#""time_s":28.857,"pid":20656,"comm":"iperf3","ip":4,"saddr":"127.0.0.1","daddr":"127.0.0.1","dport":6001"#,
        "{Probe:tcpconnect |Sys_Time: 04:03:40 |T: 28.857 | PID:20656 | PNAME:iperf3 | IP:4 | SADDR:127.0.0.1 | DADDR:127.0.0.1 | DPORT:6001 \n",
    ),
    (
        "tcpaccept", 1, "04:03:40",
        r#""time_s":28.863,"pid":8592,"comm":"iperf3","ip":6,"raddr":"::ffff:127.0.0.1","rport":42336,"laddr":"::ffff:127.0.0.1","lport":6001"#,
        "{Probe:tcpaccept |Sys_Time: 04:03:40 |T: 28.863 | PID:8592 | PNAME:iperf3 | IP:6 | RADDR:::ffff:127.0.0.1 | RPORT:42336 | LADDR:::ffff:127.0.0.1 | LPORT:6001 \n",
    ),
    (
        "tcplife", 1, "15:27:24",
        r#""time_s":0.0,"pid":5564,"comm":"iperf3","ip":4,"laddr":"127.0.0.1","lport":45126,"raddr":"127.0.0.1","rport":6001,"tx_kb":3975294,"rx_kb":0,"duration_ms":2043.19"#,
        "{Probe:tcplife |Sys_Time: 15:27:24 |PID:5564 | PNAME:iperf3 | LADDRR:127.0.0.1 | LPORT:45126 | RADDR:127.0.0.1 | RPORT:6001 | TX_KB:3975294 | RX_KB:0 | MS: 2043.19 \n",
    ),
    (
        "execsnoop", 1, "15:27:22",
        r#""time_s":1.804,"comm":"iperf3","pid":5564,"ppid":406,"ret":0,"args":"/usr/bin/iperf3 -c localhost -p 6001 -t 2""#,
        "{Probe:execsnoop |Sys_Time: 15:27:22 | T:1.804 | PNAME: iperf3 | PID:5564 | PPID:406 | RET:0 | ARGS:/usr/bin/iperf3 -c localhost -p 6001 -t 2 \n",
    ),
    (
        "biosnoop", 1, "15:27:22",
        r#""time_s":0.0,"comm":"jbd2/sda1-8","pid":312,"disk":"sda","rw":"W","sector":12345678,"bytes":4096,"lat_ms":0.52"#,
        "{Probe:biosnoop |Sys_Time: 15:27:22 |T: 0.000000 |PNAME: jbd2/sda1-8 | PID:312 | DISK:sda | R/W:W | SECTOR:12345678 |BYTES: 4096 | Lat(ms): 0.52 | \n",
    ),
    (
        "cachetop", 1, "15:27:16",
        r#""pid":5373,"user":"root","comm":"iperf3","hits":411,"misses":0,"dirties":0,"read_hit_pct":100.0,"write_hit_pct":0.0"#,
        "{Probe:cachetop |Sys_Time: 15:27:16 | PID:5373 | UID:root | CMD:iperf3 | HITS:411 | MISS:0 | DIRTIES: 0| READ_HIT%:100.0% | W_HIT%: 0.0% | \n",
    ),
    (
        "cachestat", 1, "03:47:29",
        r#""hits":372,"misses":32,"dirties":7,"hit_ratio_pct":92.08,"buffers_mb":7,"cached_mb":551"#,
        "{Probe:cachestat |Sys_Time: 03:47:29 | HITS:372 | MISS:32 | DIRTIES: 7| HIT_RATIO%:92.08% | BUFFERS_MB:7 | CACHED_MB:551 | \n",
    ),
];

/// A record of every probe with its line.
pub(crate) fn golden() -> Vec<(Envelope<'static>, &'static str)> {
    GOLDEN
        .into_iter()
        .map(|(probe, seq, clock, columns, line)| {
            let payload = format!(
                r#"{{"v":1,"session":"s1","seq":{seq},"time":"2026-11-23T18:00:00.{seq:09}Z","node":"node.1","namespace":"default","pod":"testpod","container":"app","probe":"{probe}","sys_time":"{clock}",{columns},"pid_ns":7,"by":"kernel","raw":"…"}}"#
            );
            (
                Envelope::decode(payload.as_bytes()).unwrap().into_owned(),
                line,
            )
        })
        .collect()
}

/// Where a record is published.
pub(crate) fn subject(envelope: &Envelope<'_>) -> String {
    let subject = Subject {
        session: envelope.session.to_string(),
        node: envelope.node.to_string(),
        namespace: envelope.namespace.to_string(),
        pod: envelope.pod.to_string(),
        container: envelope.container.to_string(),
        probe: envelope.record.probe(),
    };
    subject.to_string()
}

/// One program executed, by a process of this name.
pub(crate) fn exec(seq: u64, comm: &[u8], args: &[u8]) -> Envelope<'static> {
    let record = Record::Execsnoop(Execsnoop {
        time_s: Some(1.804),
        uid: None,
        comm: comm.into(),
        pid: 5564,
        parent_comm: None,
        ppid: Some(406),
        cpu: None,
        ret: 0,
        args: args.into(),
    });
    Envelope {
        session: "s1".into(),
        seq,
        time: format!("2026-11-23T18:00:00.{seq:09}Z").into(),
        node: "node.1".into(),
        namespace: "default".into(),
        pod: "testpod".into(),
        container: "app".into(),
        sys_time: "15:27:22".parse().unwrap(),
        record,
        pid_ns: Some(7),
        by: By::Kernel,
        raw: "…".into(),
        cut: false,
    }
}
