//! Lines a second, the filter's shortcut and the full record apart:
//! `cargo bench -p probeparser`. What one line allocates: the test `allocations`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use probeparser::{Parser, Probe};

/// A header and lines of ordinary life, as the agent's options give them.
fn sample(probe: Probe) -> (&'static str, [&'static str; 4]) {
    match probe {
        Probe::Tcptracer => (
            "TIME(s)  T  PID    COMM             IP SADDR            DADDR            SPORT  DPORT ",
            [
                "0.000    C  20656  iperf3           4  127.0.0.1        127.0.0.1        42334  6001  ",
                "0.001    A  20640  iperf3           4  127.0.0.1        127.0.0.1        6001   42334 ",
                "12.500   X  8592   tmux: server     6  [::ffff:127.0.0.1] [2001:db8::1234:5678:9abc:def0] 6001   42336 ",
                "1234.567 X  312    nginx            4  10.244.101.17    192.168.100.200  443    55555 ",
            ],
        ),
        Probe::Tcpconnect => (
            "TIME(s)  PID     COMM         IP SADDR            DADDR            DPORT ",
            [
                "0.000    20656   iperf3       4  127.0.0.1        10.244.1.17      42336  ",
                "0.001    20656   curl         4  10.244.101.17    192.168.100.200  443    ",
                "12.500   8592    averylongcom 6  ::ffff:127.0.0.1 ::ffff:127.0.0.1 42338  ",
                "1234.567 312     tmux: server 4  10.244.101.17    10.96.0.10       53     ",
            ],
        ),
        Probe::Tcpaccept => (
            "TIME     TIME(s)  PID     COMM         IP RADDR            RPORT LADDR            LPORT",
            [
                "03:47:28 0.000    20656   iperf3       4  10.244.1.17      42336 127.0.0.1        6001 ",
                "03:47:28 0.001    312     nginx        4  192.168.100.200  55555 10.244.101.17    443  ",
                "03:47:30 12.500   8592    averylongcom 6  ::ffff:127.0.0.1 42338 ::ffff:127.0.0.1 8080 ",
                "03:58:03 1234.567 312     nginx        4  192.168.100.201  55556 10.244.101.17    443  ",
            ],
        ),
        Probe::Tcplife => (
            "TIME,TIME(s),PID,COMM,IP,LADDR,LPORT,RADDR,RPORT,TX_KB,RX_KB,MS",
            [
                "03:46:12,0.000000,5564,iperf3,4,127.0.0.1,45126,127.0.0.1,6001,3975294,0,2043.19",
                "03:46:12,0.001234,312,nginx,4,10.244.101.17,443,192.168.100.200,55555,12,3,0.52",
                "03:46:13,12.500000,8592,tmux: server,6,::ffff:127.0.0.1,6001,2001:db8::1234:5678:9abc:def0,42336,0,3975550,1234.57",
                "03:58:03,1234.567890,0,swapper/3,4,10.244.101.17,443,192.168.100.201,55556,0,0,15.01",
            ],
        ),
        Probe::Execsnoop => (
            "TIME     TIME(s) PCOMM            PID     PPID    RET ARGS",
            [
                "03:47:28 0.001   iperf3           5564    406       0 /usr/bin/iperf3 -c localhost -p 6001",
                "03:47:28 0.002   sh               5565    406       0 /bin/sh -c a\\nb",
                "03:47:28 12.345  ls               5566    406       0 ",
                "03:47:28 999.999 tmux: server     5567    ?       -13 /usr/bin/tmux new-session -d -s main",
            ],
        ),
        Probe::Biosnoop => (
            "TIME(s)     COMM           PID     DISK      T SECTOR     BYTES  LAT(ms)",
            [
                "0.000000    jbd2/sda1-8    312     sda       W 12345678   4096      0.52",
                "2.500000    kworker/u8:1 x 5564    nvme0n1   R 1953525160 10485761234.57",
                "2.500001    dd             8592    vda       R 2048       131072    1.14",
                "2.500002    ?              0       <unknown> R 0          0         0.00",
            ],
        ),
        Probe::Cachetop => (
            "PID      UID      CMD              HITS     MISSES   DIRTIES  READ_HIT%  WRITE_HIT%",
            [
                "    5439 root     tmux: server           38       32        7      44.3%      45.7%",
                "   20656 develope iperf3                411        0        0     100.0%       0.0%",
                "     312 www-data nginx                   1        0        0     100.0%       0.0%",
                "       1 root     systemd             12345        5      100      98.3%       0.1%",
            ],
        ),
        Probe::Cachestat => (
            "    HITS   MISSES  DIRTIES HITRATIO   BUFFERS_MB  CACHED_MB",
            [
                "     372       32        7   92.08%            7        551",
                "       0        0        0    0.00%            7        551",
                "   12345        1       12   99.99%            7        551",
                "     123      123        0   50.00%            7        551",
            ],
        ),
    }
}

fn lines(criterion: &mut Criterion) {
    for probe in Probe::ALL {
        let (header, lines) = sample(probe);
        let mut parser = Parser::new(probe);
        parser.line(header.as_bytes()).expect("a header");
        let mut group = criterion.benchmark_group(probe.name());
        group.throughput(Throughput::Elements(lines.len() as u64));
        group.bench_function("pid", |bencher| {
            bencher.iter(|| {
                for line in lines {
                    black_box(parser.pid(black_box(line.as_bytes()))).expect("a line");
                }
            });
        });
        group.bench_function("line", |bencher| {
            bencher.iter(|| {
                for line in lines {
                    black_box(parser.line(black_box(line.as_bytes()))).expect("a line");
                }
            });
        });
        group.finish();
    }
}

criterion_group!(benches, lines);
criterion_main!(benches);
