//! The tools' header lines.

use probeparser::Probe;

use super::{Options, Row};

/// The tool's header line.
pub(crate) fn header(probe: Probe, o: Options) -> String {
    let mut row = Row::default();
    match probe {
        Probe::Tcptracer if o.verbose => tcptracer_verbose(&mut row, o),
        Probe::Tcptracer => tcptracer(&mut row, o),
        Probe::Tcpconnect => tcpconnect(&mut row, o),
        Probe::Tcpaccept => tcpaccept(&mut row, o),
        Probe::Tcplife if o.csv => tcplife_csv(&mut row, o),
        Probe::Tcplife => tcplife(&mut row, o),
        Probe::Execsnoop => execsnoop(&mut row, o),
        Probe::Biosnoop => biosnoop(&mut row, o),
        Probe::Cachetop => cachetop(&mut row),
        Probe::Cachestat => cachestat(&mut row, o),
    }
    String::from_utf8(row.0).expect("titles are ASCII")
}

fn tcptracer_verbose(row: &mut Row, o: Options) {
    if o.time {
        row.left(14, "TIME(ns)");
    }
    row.left(12, "TYPE")
        .put(" ")
        .left(6, "PID")
        .put(" ")
        .left(16, "COMM");
    row.put(" IP ")
        .left(16, "SADDR")
        .put(" ")
        .left(16, "DADDR")
        .put(" ");
    row.left(6, "SPORT")
        .put(" ")
        .left(7, "DPORT")
        .left(8, "NETNS");
}

fn tcptracer(row: &mut Row, o: Options) {
    if o.time {
        row.left(9, "TIME(s)");
    }
    row.left(2, "T")
        .put(" ")
        .left(6, "PID")
        .put(" ")
        .left(16, "COMM");
    row.put(" IP ")
        .left(16, "SADDR")
        .put(" ")
        .left(16, "DADDR")
        .put(" ");
    row.left(6, "SPORT").put(" ").left(6, "DPORT");
}

fn tcpconnect(row: &mut Row, o: Options) {
    let pid = if o.narrow { 6 } else { 7 };
    if o.time {
        row.left(9, "TIME(s)");
    }
    if o.uid {
        row.left(6, "UID");
    }
    row.left(pid, "PID")
        .put(" ")
        .left(12, "COMM")
        .put(" IP ")
        .left(16, "SADDR")
        .put(" ");
    if o.lport {
        row.left(6, "LPORT").put(" ");
    }
    row.left(16, "DADDR")
        .put(" ")
        .left(if o.oldest { 4 } else { 6 }, "DPORT");
    if o.query {
        row.put(" QUERY");
    }
}

fn tcpaccept(row: &mut Row, o: Options) {
    if o.clock {
        row.left(9, "TIME");
    }
    if o.time {
        row.left(9, "TIME(s)");
    }
    row.left(if o.oldest { 6 } else { 7 }, "PID")
        .put(" ")
        .left(12, "COMM")
        .put(" IP ");
    row.left(16, "RADDR").put(" ");
    if o.oldest {
        row.left(16, "LADDR").put(" ").left(4, "LPORT");
    } else {
        row.left(5, "RPORT")
            .put(" ")
            .left(16, "LADDR")
            .put(" ")
            .left(5, "LPORT");
    }
}

fn tcplife_csv(row: &mut Row, o: Options) {
    row.put(if o.clock { "TIME," } else { "" });
    row.put(if o.time { "TIME(s)," } else { "" });
    row.put("PID,COMM,IP,LADDR,LPORT,RADDR,RPORT,TX_KB,RX_KB,MS");
}

fn tcplife(row: &mut Row, o: Options) {
    if o.clock {
        row.left(8, "TIME").put(" ");
    }
    if o.time {
        row.left(9, "TIME(s)").put(" ");
    }
    row.left(5, "PID").put(" ");
    let (name, address, kb) = o.wide.map_or((10, 15, 5), |address| (16, address, 6));
    row.left(name, "COMM").put(" ");
    row.put(if o.wide.is_some() { "IP " } else { "" });
    row.left(address, "LADDR")
        .put(" ")
        .left(5, "LPORT")
        .put(" ");
    row.left(address, "RADDR")
        .put(" ")
        .left(5, "RPORT")
        .put(" ");
    row.right(kb, "TX_KB")
        .put(" ")
        .right(kb, "RX_KB")
        .put(" MS");
}

fn execsnoop(row: &mut Row, o: Options) {
    let pid = if o.narrow { 6 } else { 7 };
    if o.clock {
        row.left(9, "TIME");
    }
    if o.time {
        row.left(8, "TIME(s)");
    }
    if o.uid {
        row.left(6, "UID");
    }
    row.left(16, if o.parent { "COMM" } else { "PCOMM" })
        .put(" ")
        .left(pid, "PID")
        .put(" ");
    if o.parent {
        row.left(16, "PCOMM").put(" ");
    }
    row.left(pid, "PPID").put(" ");
    if o.cpu {
        row.left(4, "CPU").put(" ");
    }
    row.put("RET ARGS");
}

fn biosnoop(row: &mut Row, o: Options) {
    let pid = if o.narrow { 6 } else { 7 };
    let disk = if o.narrow { 7 } else { 9 };
    if o.oldest {
        row.left(14, "TIME(s)")
            .put(" ")
            .left(14, "COMM")
            .put(" ")
            .left(6, "PID")
            .put(" ");
        row.left(7, "DISK")
            .put(" T  ")
            .left(9, "SECTOR")
            .put(" ")
            .left(7, "BYTES")
            .put(" ");
    } else {
        row.left(11, "TIME(s)")
            .put(" ")
            .left(14, "COMM")
            .put(" ")
            .left(pid, "PID")
            .put(" ");
        row.left(disk, "DISK")
            .put(" T ")
            .left(10, "SECTOR")
            .put(" ")
            .left(7, "BYTES");
    }
    row.put(if o.pattern { "P " } else { "" });
    if o.queue {
        row.right(7, "QUE(ms)").put(" ");
    }
    row.right(7, "LAT(ms)");
}

fn cachetop(row: &mut Row) {
    for (title, width) in [
        ("PID", 8),
        ("UID", 8),
        ("CMD", 16),
        ("HITS", 8),
        ("MISSES", 8),
        ("DIRTIES", 8),
        ("READ_HIT%", 10),
    ] {
        row.left(width, title).put(" ");
    }
    row.left(10, "WRITE_HIT%");
}

fn cachestat(row: &mut Row, o: Options) {
    if o.clock {
        row.left(8, "TIME").put(" ");
    }
    let titles = if o.oldest {
        ["TOTAL", "MISSES", "HITS", "DIRTIES"]
    } else {
        ["HITS", "MISSES", "DIRTIES", "HITRATIO"]
    };
    for title in titles {
        row.right(8, title).put(" ");
    }
    row.right(12, "BUFFERS_MB").put(" ").right(10, "CACHED_MB");
}
