//! The tools' rows.

use std::net::IpAddr;

use probeparser::record::{
    Biosnoop, Cachestat, Cachetop, Execsnoop, TcpEvent, Tcpaccept, Tcpconnect, Tcplife, Tcptracer,
};
use probeparser::{Line, Record};

use super::{Options, Row};

/// The row that the tool prints for a record, without its newline.
pub(crate) fn row(o: Options, line: &Line) -> Vec<u8> {
    let mut row = Row::default();
    match &line.record {
        Record::Tcptracer(record) => tcptracer(&mut row, o, record),
        Record::Tcpconnect(record) => tcpconnect(&mut row, o, record),
        Record::Tcpaccept(record) => tcpaccept(&mut row, o, line, record),
        Record::Tcplife(record) if o.csv => tcplife_csv(&mut row, line, record),
        Record::Tcplife(record) => tcplife(&mut row, o, line, record),
        Record::Execsnoop(record) => execsnoop(&mut row, o, line, record),
        Record::Biosnoop(record) => biosnoop(&mut row, o, record),
        Record::Cachetop(record) => cachetop(&mut row, record),
        Record::Cachestat(record) => cachestat(&mut row, line, record),
    }
    row.0
}

fn tcptracer(row: &mut Row, o: Options, record: &Tcptracer) {
    let address = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    if let Some(time) = record.time_s {
        if o.verbose {
            row.left(14, format_args!("{:.0}", time * 1e9));
        } else {
            row.left(9, format_args!("{time:.3}"));
        }
    }
    let (letter, word) = match record.event {
        TcpEvent::Connect => ("C", "connect"),
        TcpEvent::Accept => ("A", "accept"),
        TcpEvent::Close => ("X", "close"),
        TcpEvent::Unknown => ("U", "unknown"),
    };
    if o.verbose {
        row.left(12, word);
    } else {
        row.left(2, letter);
    }
    row.put(" ")
        .left(6, record.pid)
        .put(" ")
        .name(16, false, &record.comm)
        .put(" ");
    row.left(2, record.ip)
        .put(" ")
        .left(16, address(record.saddr))
        .put(" ");
    row.left(16, address(record.daddr)).put(" ");
    row.left(6, record.sport).put(" ").left(6, record.dport);
    if let Some(netns) = record.netns {
        row.put(" ").left(8, netns);
    }
}

fn tcpconnect(row: &mut Row, o: Options, record: &Tcpconnect) {
    if let Some(time) = record.time_s {
        row.left(9, format_args!("{time:.3}"));
    }
    if let Some(uid) = record.uid {
        row.left(6, uid);
    }
    row.left(if o.narrow { 6 } else { 7 }, record.pid).put(" ");
    row.name(12, true, &record.comm)
        .put(" ")
        .left(2, record.ip)
        .put(" ");
    row.left(16, record.saddr).put(" ");
    if let Some(lport) = record.lport {
        row.left(6, lport).put(" ");
    }
    row.left(16, record.daddr).put(" ");
    if o.oldest {
        row.left(4, record.dport);
    } else {
        row.left(6, record.dport).put(" ");
    }
    if let Some(query) = &record.query {
        row.name(0, true, query);
    }
}

fn tcpaccept(row: &mut Row, o: Options, line: &Line, record: &Tcpaccept) {
    if let Some(clock) = line.sys_time {
        row.left(9, clock);
    }
    if let Some(time) = record.time_s {
        row.left(9, format_args!("{time:.3}"));
    }
    row.left(if o.oldest { 6 } else { 7 }, record.pid).put(" ");
    row.name(12, true, &record.comm)
        .put(" ")
        .left(2, record.ip)
        .put(" ");
    row.left(16, record.raddr).put(" ");
    if let Some(rport) = record.rport {
        row.left(5, rport).put(" ");
    }
    row.left(16, record.laddr)
        .put(" ")
        .left(if o.oldest { 4 } else { 5 }, record.lport);
}

fn tcplife(row: &mut Row, o: Options, line: &Line, record: &Tcplife) {
    if let Some(clock) = line.sys_time {
        row.left(8, clock).put(" ");
    }
    if let Some(time) = record.time_s {
        row.left(9, format_args!("{time:.6}")).put(" ");
    }
    let (name, address, kb) = o.wide.map_or((10, 15, 5), |address| (16, address, 6));
    row.left(5, record.pid)
        .put(" ")
        .name(name, false, &record.comm)
        .put(" ");
    if let Some(ip) = record.ip {
        row.left(2, ip).put(" ");
    }
    row.left(address, record.laddr)
        .put(" ")
        .left(5, record.lport)
        .put(" ");
    row.left(address, record.raddr)
        .put(" ")
        .left(5, record.rport)
        .put(" ");
    row.right(kb, record.tx_kb)
        .put(" ")
        .right(kb, record.rx_kb)
        .put(" ");
    row.left(0, format_args!("{:.2}", record.duration_ms));
}

fn tcplife_csv(row: &mut Row, line: &Line, record: &Tcplife) {
    if let Some(clock) = line.sys_time {
        row.left(0, clock).put(",");
    }
    if let Some(time) = record.time_s {
        row.left(0, format_args!("{time:.6},"));
    }
    row.left(0, record.pid)
        .put(",")
        .name(0, false, &record.comm);
    let ip = record.ip.expect("the CSV has the column IP");
    row.left(
        0,
        format_args!(
            ",{ip},{},{},{},{}",
            record.laddr, record.lport, record.raddr, record.rport
        ),
    );
    row.left(
        0,
        format_args!(
            ",{},{},{:.2}",
            record.tx_kb, record.rx_kb, record.duration_ms
        ),
    );
}

fn execsnoop(row: &mut Row, o: Options, line: &Line, record: &Execsnoop) {
    if let Some(clock) = line.sys_time {
        row.left(9, clock);
    }
    if let Some(time) = record.time_s {
        row.left(8, format_args!("{time:.3}"));
    }
    if let Some(uid) = record.uid {
        row.left(6, uid);
    }
    let pid = if o.narrow { 6 } else { 7 };
    row.name(16, true, &record.comm)
        .put(" ")
        .left(pid, record.pid)
        .put(" ");
    if let Some(parent) = &record.parent_comm {
        row.name(16, true, parent).put(" ");
    }
    match record.ppid {
        Some(parent) => row.left(pid, parent),
        None => row.left(pid, "?"),
    };
    row.put(" ");
    if let Some(cpu) = record.cpu {
        row.left(4, cpu).put(" ");
    }
    row.right(3, record.ret)
        .put(" ")
        .name(0, true, &record.args);
}

fn biosnoop(row: &mut Row, o: Options, record: &Biosnoop) {
    let pid = if o.narrow || o.oldest { 6 } else { 7 };
    let disk = if o.narrow || o.oldest { 7 } else { 9 };
    if o.oldest {
        row.left(14, format_args!("{:.9}", record.time_s));
    } else {
        row.left(11, format_args!("{:.6}", record.time_s));
    }
    row.put(" ")
        .name(14, false, &record.comm)
        .put(" ")
        .left(pid, record.pid)
        .put(" ");
    row.name(disk, false, &record.disk).put(" ");
    row.left(
        if o.oldest { 2 } else { 1 },
        format_args!("{:?}", record.rw),
    )
    .put(" ");
    row.left(if o.oldest { 9 } else { 10 }, record.sector)
        .put(" ")
        .left(7, record.bytes);
    row.put(if o.oldest { " " } else { "" });
    if let Some(pattern) = record.pattern {
        row.left(1, pattern).put(" ");
    }
    if let Some(que_ms) = record.que_ms {
        row.left(0, format_args!("{que_ms:7.2} "));
    }
    row.left(0, format_args!("{:7.2}", record.lat_ms));
}

fn cachetop(row: &mut Row, record: &Cachetop) {
    row.right(8, record.pid)
        .put(" ")
        .name(8, false, &record.user)
        .put(" ");
    row.name(16, false, &record.comm)
        .put(" ")
        .right(8, record.hits)
        .put(" ");
    row.right(8, record.misses)
        .put(" ")
        .right(8, record.dirties)
        .put(" ");
    row.left(
        0,
        format_args!("{:9.1}% {:9.1}%", record.read_hit_pct, record.write_hit_pct),
    );
}

fn cachestat(row: &mut Row, line: &Line, record: &Cachestat) {
    if let Some(clock) = line.sys_time {
        row.left(8, clock).put(" ");
    }
    if let Some(total) = record.total {
        row.right(8, total)
            .put(" ")
            .right(8, record.misses)
            .put(" ")
            .right(8, record.hits);
        row.put(" ").right(8, record.dirties).put(" ");
    } else {
        row.right(8, record.hits)
            .put(" ")
            .right(8, record.misses)
            .put(" ")
            .right(8, record.dirties);
        let ratio = record.hit_ratio_pct.expect("the column HITRATIO");
        row.left(0, format_args!(" {ratio:7.2}% "));
    }
    row.right(12, record.buffers_mb)
        .put(" ")
        .right(10, record.cached_mb);
}
