//! What holds for every line: a formatted record reads back as itself or is an error, the filter's
//! PID is the record's, and no bytes make the parser panic.

#[path = "../support/tools/tools.rs"]
mod tools;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use probeparser::record::{
    Biosnoop, Cachestat, Cachetop, Direction, Execsnoop, TcpEvent, Tcpaccept, Tcpconnect, Tcplife,
    Tcptracer,
};
use probeparser::{Clock, Line, Parsed, Parser, Probe, Record, Recorded, Text};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use tools::Options;

fn options() -> impl Strategy<Value = Options> {
    let flags = any::<[bool; 12]>();
    let wide = option::of(select(vec![26, 39]));
    (flags, wide).prop_map(|(flags, wide)| {
        let [
            clock,
            time,
            verbose,
            uid,
            lport,
            query,
            narrow,
            oldest,
            csv,
            parent,
            cpu,
            pattern,
        ] = flags;
        Options {
            clock,
            time,
            verbose,
            uid,
            lport,
            query: query && !oldest,
            narrow,
            oldest,
            wide,
            csv,
            parent,
            cpu,
            pattern: pattern && !oldest,
            queue: verbose && !oldest,
        }
    })
}

/// Bytes of a name, most of them such as look like something else.
fn name_bytes(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => select(b" 04612.,:?[]-%\n\tCXRWS".to_vec()),
        1 => 1_u8..,
    ];
    prop_oneof![
        3 => vec(byte, 0..=longest),
        1 => "[a-zäß日 ]{0,15}".prop_map(move |text| text.into_bytes().into_iter().take(longest).collect()),
        1 => select(vec!["4  127.0.0.1", "1       2     0", "x\n1 C 666 root", "  led ", "PID", ""])
            .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

/// A name as a tool that counts bytes prints it.
fn byte_name(width: usize) -> impl Strategy<Value = Text> {
    name_bytes(15).prop_map(move |mut name| {
        name.truncate(width);
        without_padding(name)
    })
}

/// A name as a tool that counts characters prints it.
fn char_name(width: usize) -> impl Strategy<Value = Text> {
    name_bytes(15).prop_map(move |name| {
        let name = String::from_utf8_lossy(&name);
        without_padding(name.chars().take(width).collect::<String>().into_bytes())
    })
}

/// A tool's padding hides blanks at a name's end.
fn without_padding(mut name: Vec<u8>) -> Text {
    while name.last() == Some(&b' ') {
        name.pop();
    }
    name.into()
}

fn pid() -> impl Strategy<Value = u32> {
    prop_oneof![0..=9_u32, 0..=99_999_u32, 0..4_194_304_u32]
}

fn uid() -> impl Strategy<Value = u32> {
    prop_oneof![0..=9_u32, 0..=99_999_u32, any::<u32>()]
}

/// A number that prints with this many decimals and reads back as itself.
fn decimal(decimals: usize, most: f64) -> impl Strategy<Value = f64> {
    prop_oneof![0.0..10.0, 0.0..most, Just(0.0)]
        .prop_map(move |value| format!("{value:.decimals$}").parse().expect("a number"))
}

fn seconds(decimals: usize) -> impl Strategy<Value = f64> {
    (decimal(decimals, 99_999.0), prop::bool::weighted(0.1))
        .prop_map(|(value, negative)| if negative { -value } else { value })
}

fn addresses() -> impl Strategy<Value = (u8, IpAddr, IpAddr)> {
    let four =
        any::<[u32; 2]>().prop_map(|pair| pair.map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))));
    let six = prop_oneof![
        any::<u128>(),
        any::<u32>().prop_map(|low| 0xffff << 32 | u128::from(low)),
        0..2_u128
    ];
    let six = vec(six, 2)
        .prop_map(|pair| [pair[0], pair[1]].map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))));
    prop_oneof![
        four.prop_map(|[a, b]| (4, a, b)),
        six.prop_map(|[a, b]| (6, a, b)),
    ]
}

fn clock() -> impl Strategy<Value = Option<Clock>> {
    (0..24_u8, 0..60_u8, 0..=60_u8)
        .prop_map(|(hour, minute, second)| Clock::new(hour, minute, second))
}

/// A line with what its options show.
fn line(probe: Probe, o: Options) -> BoxedStrategy<Line> {
    let with_clock = o.clock
        && match probe {
            Probe::Tcpaccept | Probe::Tcplife | Probe::Execsnoop | Probe::Cachestat => true,
            Probe::Tcptracer | Probe::Tcpconnect | Probe::Biosnoop | Probe::Cachetop => false,
        };
    (record(probe, o), clock())
        .prop_map(move |(record, clock)| Line {
            sys_time: clock.filter(|_| with_clock),
            record,
        })
        .boxed()
}

fn record(probe: Probe, o: Options) -> BoxedStrategy<Record> {
    match probe {
        Probe::Tcptracer => tcptracer(o).boxed(),
        Probe::Tcpconnect => tcpconnect(o).boxed(),
        Probe::Tcpaccept => tcpaccept(o).boxed(),
        Probe::Tcplife => tcplife(o).boxed(),
        Probe::Execsnoop => execsnoop(o).boxed(),
        Probe::Biosnoop => biosnoop(o).boxed(),
        Probe::Cachetop => cachetop().boxed(),
        Probe::Cachestat => cachestat(o).boxed(),
    }
}

fn tcptracer(o: Options) -> impl Strategy<Value = Record> {
    let events = [
        TcpEvent::Connect,
        TcpEvent::Accept,
        TcpEvent::Close,
        TcpEvent::Unknown,
    ];
    let time = if o.verbose {
        (-1_000_000..20_000_000_000_000_i64)
            .prop_map(|ns| {
                #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
                let ns = ns as f64;
                ns / 1e9
            })
            .boxed()
    } else {
        seconds(3).boxed()
    };
    let numbers = (any::<u16>(), any::<u16>(), any::<u32>());
    (
        time,
        select(events.to_vec()),
        pid(),
        char_name(15),
        addresses(),
        numbers,
    )
        .prop_map(
            move |(time, event, pid, comm, (ip, saddr, daddr), (sport, dport, netns))| {
                Record::Tcptracer(Tcptracer {
                    time_s: o.time.then_some(time),
                    event,
                    pid,
                    comm,
                    ip,
                    saddr,
                    daddr,
                    sport,
                    dport,
                    netns: o.verbose.then_some(netns.into()),
                })
            },
        )
}

fn tcpconnect(o: Options) -> impl Strategy<Value = Record> {
    let query = name_bytes(30).prop_map(Text::from);
    let ports = (any::<u16>(), any::<u16>());
    (
        seconds(3),
        uid(),
        pid(),
        byte_name(12),
        addresses(),
        ports,
        query,
    )
        .prop_map(
            move |(time, uid, pid, comm, (ip, saddr, daddr), (lport, dport), query)| {
                Record::Tcpconnect(Tcpconnect {
                    time_s: o.time.then_some(time),
                    uid: o.uid.then_some(uid),
                    pid,
                    comm,
                    ip,
                    saddr,
                    lport: o.lport.then_some(lport),
                    daddr,
                    dport,
                    query: o.query.then_some(query),
                })
            },
        )
}

fn tcpaccept(o: Options) -> impl Strategy<Value = Record> {
    (
        seconds(3),
        pid(),
        byte_name(12),
        addresses(),
        any::<u16>(),
        any::<u16>(),
    )
        .prop_map(move |(time, pid, comm, (ip, raddr, laddr), rport, lport)| {
            Record::Tcpaccept(Tcpaccept {
                time_s: o.time.then_some(time),
                pid,
                comm,
                ip,
                raddr,
                rport: (!o.oldest).then_some(rport),
                laddr,
                lport,
            })
        })
}

fn tcplife(o: Options) -> impl Strategy<Value = Record> {
    let comm = if o.csv {
        // Nothing is padded here.
        name_bytes(15)
            .prop_map(|name| {
                String::from_utf8_lossy(&name)
                    .into_owned()
                    .into_bytes()
                    .into()
            })
            .boxed()
    } else {
        char_name(if o.wide.is_some() { 15 } else { 10 }).boxed()
    };
    let numbers = (any::<u16>(), any::<u16>(), 0..u64::MAX, 0..99_999_u64);
    (
        seconds(6),
        pid(),
        comm,
        addresses(),
        numbers,
        decimal(2, 1e9),
    )
        .prop_map(
            move |(
                time,
                pid,
                comm,
                (ip, laddr, raddr),
                (lport, rport, tx_kb, rx_kb),
                duration_ms,
            )| {
                Record::Tcplife(Tcplife {
                    time_s: o.time.then_some(time),
                    pid,
                    comm,
                    ip: (o.csv || o.wide.is_some()).then_some(ip),
                    laddr,
                    lport,
                    raddr,
                    rport,
                    tx_kb,
                    rx_kb,
                    duration_ms,
                })
            },
        )
}

fn execsnoop(o: Options) -> impl Strategy<Value = Record> {
    let names = (
        byte_name(15),
        byte_name(15),
        name_bytes(60).prop_map(Text::from),
    );
    let numbers = (option::weighted(0.8, pid()), 0..10_000_u32, -4095..=0_i32);
    (seconds(3), uid(), pid(), names, numbers).prop_map(
        move |(time, uid, pid, (comm, parent, args), (parent_pid, cpu, ret))| {
            Record::Execsnoop(Execsnoop {
                time_s: o.time.then_some(time),
                uid: o.uid.then_some(uid),
                comm,
                pid,
                parent_comm: o.parent.then_some(parent),
                ppid: parent_pid,
                cpu: o.cpu.then_some(cpu),
                ret,
                args,
            })
        },
    )
}

fn biosnoop(o: Options) -> impl Strategy<Value = Record> {
    let disk = select(vec![
        "",
        "sda",
        "nvme0n1",
        "<unknown>",
        "mmcblk0boot0",
        "dm-0",
    ]);
    let bytes = prop_oneof![
        (0..8_388_608_u64).prop_map(|sectors| 512 * sectors),
        any::<u32>().prop_map(u64::from),
    ];
    let place = (any::<bool>(), prop_oneof![-1..2_i64, 0..i64::MAX], bytes);
    let rest = (
        select(vec!['S', 'R', '?']),
        decimal(2, 99_999.0),
        decimal(2, 99_999.0),
    );
    (
        seconds(if o.oldest { 9 } else { 6 }),
        char_name(14),
        pid(),
        disk,
        place,
        rest,
    )
        .prop_map(
            move |(time_s, comm, pid, disk, (write, sector, bytes), (pattern, que_ms, lat_ms))| {
                Record::Biosnoop(Biosnoop {
                    time_s,
                    comm,
                    pid,
                    disk: disk.into(),
                    rw: if write { Direction::W } else { Direction::R },
                    sector,
                    // A request with a place on its disk moves whole sectors.
                    bytes: if sector > 0 { bytes / 512 * 512 } else { bytes },
                    pattern: o.pattern.then_some(pattern),
                    que_ms: o.queue.then_some(que_ms),
                    lat_ms,
                })
            },
        )
}

fn cachetop() -> impl Strategy<Value = Record> {
    let counts = (0..1_000_000_000_000_u64, -9..1_000_000_000_i64, 0..99_u64);
    let shares = (decimal(1, 100.0), decimal(1, 100.0));
    (pid(), char_name(8), char_name(15), counts, shares).prop_map(
        |(pid, user, comm, (hits, misses, dirties), (read_hit_pct, write_hit_pct))| {
            Record::Cachetop(Cachetop {
                pid,
                user,
                comm,
                hits,
                misses,
                dirties,
                read_hit_pct,
                write_hit_pct,
            })
        },
    )
}

fn cachestat(o: Options) -> impl Strategy<Value = Record> {
    let counts = (any::<i32>(), -99..1_000_000_000_000_i64, any::<u32>());
    (counts, decimal(2, 100.0), any::<[u32; 2]>()).prop_map(
        move |((hits, misses, dirties), ratio, [buffers_mb, cached_mb])| {
            Record::Cachestat(Cachestat {
                total: o.oldest.then_some(misses + 1),
                hits: hits.into(),
                misses,
                dirties: dirties.into(),
                hit_ratio_pct: (!o.oldest).then_some(ratio),
                buffers_mb: buffers_mb.into(),
                cached_mb: cached_mb.into(),
            })
        },
    )
}

/// A tool, its options and a line.
fn printed() -> impl Strategy<Value = (Probe, Options, Line)> {
    (select(Probe::ALL.to_vec()), options())
        .prop_flat_map(|(probe, o)| (Just(probe), Just(o), line(probe, o)))
}

fn under_header(probe: Probe, o: Options) -> Parser {
    let mut parser = Parser::new(probe);
    let header = tools::header(probe, o);
    assert_eq!(
        parser.line(header.as_bytes()),
        Ok(Parsed::Header),
        "{header}"
    );
    parser
}

/// Reads a line with the newline that the tool prints after it, and holds the filter to it.
fn read(parser: &mut Parser, line: &[u8]) -> Option<Line> {
    let line = &[line, b"\n"].concat();
    let pid = parser.pid(line);
    match parser.line(line) {
        Ok(Parsed::Record { record, clock }) => {
            assert_eq!(pid, Ok(record.pid()), "{}", line.escape_ascii());
            Some(Line {
                sys_time: clock,
                record,
            })
        }
        Ok(Parsed::Banner | Parsed::Header) => {
            assert_eq!(pid, Ok(None), "{}", line.escape_ascii());
            None
        }
        Err(error) => {
            // The message can be shown whatever the line was.
            assert!(error.to_string().chars().all(|char| !char.is_control()));
            None
        }
    }
}

/// Whether digits of two numbers stand together and more than one parting may fit.
fn touches(o: Options, record: &Record) -> bool {
    match record {
        Record::Tcpconnect(record) => o.narrow && record.uid.is_some_and(|uid| uid > 99_999),
        Record::Biosnoop(record) => {
            let next = record.que_ms.unwrap_or(record.lat_ms);
            !o.pattern && !o.oldest && record.bytes > 999_999 && next >= 1000.0
        }
        _ => false,
    }
}

/// Without newlines where a tool prints none of its own: execsnoop escapes them in ARGS, and no DNS
/// name has one.
fn without_free_newlines(mut line: Line) -> Line {
    let blanked = |text: &Text| -> Text {
        let bytes = text.as_bytes().iter();
        let bytes: Vec<_> = bytes
            .map(|&byte| if byte == b'\n' { b' ' } else { byte })
            .collect();
        bytes.into()
    };
    match &mut line.record {
        Record::Tcpconnect(record) => record.query = record.query.as_ref().map(blanked),
        Record::Execsnoop(record) => record.args = blanked(&record.args),
        _ => {}
    }
    line
}

/// The words of a line, addresses in one spelling.
fn words(line: &[u8]) -> Vec<Vec<u8>> {
    let spelt = |word: &[u8]| {
        let text = std::str::from_utf8(word).ok()?;
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        Some(bare.parse::<IpAddr>().ok()?.to_string().into_bytes())
    };
    line.split(|byte| matches!(byte, b' ' | b','))
        .filter(|word| !word.is_empty())
        .map(|word| spelt(word).unwrap_or_else(|| word.to_vec()))
        .collect()
}

proptest! {
    // PROPTEST_CASES=100000 is a longer look.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_record_reads_back_as_itself((probe, o, line) in printed()) {
        let row = tools::row(o, &line);
        let read = read(&mut under_header(probe, o), &row);
        match read {
            Some(read) => prop_assert_eq!(read, line, "{}", row.escape_ascii()),
            None => prop_assert!(touches(o, &line.record), "unread: {}", row.escape_ascii()),
        }
    }

    #[test]
    fn a_line_with_a_wrong_byte_loses_nothing_silently(
        (probe, o, line) in printed(),
        place in any::<prop::sample::Index>(),
        change in prop_oneof![Just(None), option::of(select(b" 019.:,-RS[]?x\n\xff".to_vec()))],
        insert in any::<bool>(),
    ) {
        let mut row = tools::row(o, &line);
        let at = place.index(row.len());
        match change {
            Some(byte) if insert => row.insert(at, byte),
            Some(byte) => row[at] = byte,
            None => { row.remove(at); }
        }
        if let Some(read) = read(&mut under_header(probe, o), &row) {
            // Whatever was read accounts for every word of the line.
            prop_assert_eq!(words(&tools::row(o, &read)), words(&row), "{}", row.escape_ascii());
        }
    }

    #[test]
    fn newlines_in_names_do_not_cut_events(
        (probe, o, lines) in (select(Probe::ALL.to_vec()), options())
            .prop_flat_map(|(probe, o)| {
                let line = line(probe, o).prop_map(without_free_newlines);
                (Just(probe), Just(o), vec(line, 1..5))
            }),
    ) {
        let mut file = tools::header(probe, o).into_bytes();
        for line in &lines {
            file.push(b'\n');
            file.extend(tools::row(o, line));
        }
        let (mut read, mut errors) = (Vec::new(), 0);
        let mut tell = |_number, result| match result {
            Ok(Parsed::Record { record, clock }) => read.push(Line { sys_time: clock, record }),
            Ok(Parsed::Banner | Parsed::Header) => {}
            Err(_) => errors += 1,
        };
        let mut recorded = Recorded::new(probe);
        for line in file.split(|byte| *byte == b'\n') {
            recorded.line(line, &mut tell);
        }
        recorded.end(&mut tell);
        if errors == 0 {
            prop_assert_eq!(read, lines, "{}", file.escape_ascii());
        } else {
            // A CSV that begins with the PID can look whole in pieces.
            let open = o.csv && !o.clock && !o.time || lines.iter().any(|line| touches(o, &line.record));
            prop_assert!(open, "unread: {}", file.escape_ascii());
            let mut rest = lines.iter();
            prop_assert!(read.iter().all(|read| rest.any(|line| line == read)), "{}", file.escape_ascii());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        probe in select(Probe::ALL.to_vec()),
        o in options(),
        with_header in any::<bool>(),
        lines in vec(vec(prop_oneof![select(b" 0123456789.:,TPID\r\n".to_vec()), any::<u8>()], 0..120), 1..4),
    ) {
        let mut parser = if with_header { under_header(probe, o) } else { Parser::new(probe) };
        for line in lines {
            read(&mut parser, &line);
        }
    }

    #[test]
    fn no_header_makes_it_panic(
        (probe, o, line) in printed(),
        place in any::<prop::sample::Index>(),
        cut in 0..20_usize,
    ) {
        let header = tools::header(probe, o);
        let at = place.index(header.len());
        let header = [&header[..at], &header[(at + cut).min(header.len())..]].concat();
        let mut parser = Parser::new(probe);
        read(&mut parser, header.as_bytes());
        read(&mut parser, &tools::row(o, &line));
    }
}
