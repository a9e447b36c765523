//! Lines that are hard to read, one idea a test. The usual ones are the golden files' matter.

use probeparser::{Line, ParseError, Parsed, Parser, Probe, Recorded};
use serde_json::{Value, json};

/// A parser that has read a header line.
fn under(probe: Probe, header: &str) -> Parser {
    let mut parser = Parser::new(probe);
    assert_eq!(parser.line(header.as_bytes()), Ok(Parsed::Header));
    parser
}

/// The record of a line as JSON, or the error's words. On the way the filter's shortcut is held to it.
fn read(parser: &mut Parser, line: impl AsRef<[u8]>) -> Result<Value, String> {
    let pid = parser.pid(line.as_ref());
    match parser.line(line.as_ref()) {
        Ok(Parsed::Record { record, clock }) => {
            assert_eq!(pid, Ok(record.pid()));
            let sys_time = clock;
            Ok(serde_json::to_value(Line { sys_time, record }).expect("a record is JSON"))
        }
        Ok(other) => panic!("{other:?} is no record"),
        Err(error) => Err(error.to_string()),
    }
}

/// The values of some columns of a line that is a record.
fn columns<const N: usize>(
    parser: &mut Parser,
    line: impl AsRef<[u8]>,
    names: [&str; N],
) -> [Value; N] {
    let record = read(parser, line).expect("the line is a record");
    names.map(|name| record[name].clone())
}

const TCPTRACER: &str =
    "TIME(s)  T  PID    COMM             IP SADDR            DADDR            SPORT  DPORT ";
const TCPCONNECT: &str =
    "TIME(s)  PID     COMM         IP SADDR            DADDR            DPORT ";
const TCPCONNECT_UID: &str =
    "TIME(s)  UID   PID     COMM         IP SADDR            DADDR            DPORT ";
const TCPACCEPT: &str =
    "TIME     TIME(s)  PID     COMM         IP RADDR            RPORT LADDR            LPORT";
const TCPLIFE_CSV: &str = "TIME,TIME(s),PID,COMM,IP,LADDR,LPORT,RADDR,RPORT,TX_KB,RX_KB,MS";
const EXECSNOOP: &str = "TIME     TIME(s) PCOMM            PID     PPID    RET ARGS";
const BIOSNOOP: &str = "TIME(s)     COMM           PID     DISK      T SECTOR     BYTES  LAT(ms)";

#[test]
fn data_before_a_header_is_an_error_that_says_so() {
    for probe in Probe::ALL {
        let error = Parser::new(probe).line(b"1 2 3 4 5 6 7 8").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{probe}: column header, byte 0: expected the tool's header line before any data in \"1 2 3 4 5 6 7 8\""
            )
        );
    }
}

#[test]
fn a_later_header_decides_anew() {
    let parser = &mut under(Probe::Tcpconnect, TCPCONNECT);
    let old = "0.000    20656   iperf3       4  127.0.0.1        10.244.1.17      42336  ";
    assert_eq!(columns(parser, old, ["time_s"]), [json!(0.0)]);
    let header = "PID    COMM         IP SADDR            DADDR            DPORT";
    assert_eq!(parser.line(header.as_bytes()), Ok(Parsed::Header));
    let new = "1469   curl         4  10.201.219.236   54.245.105.25    80  ";
    assert_eq!(
        columns(parser, new, ["time_s", "pid"]),
        [Value::Null, json!(1469)]
    );
    read(parser, old).unwrap_err();
}

#[test]
fn a_header_with_an_unknown_title_stops_everything_until_a_known_one() {
    let parser = &mut under(Probe::Tcpconnect, TCPCONNECT);
    let unknown =
        "TIME(s)  PID     COMM         CGROUP IP SADDR            DADDR            DPORT ";
    assert_eq!(
        parser.line(unknown.as_bytes()).unwrap_err().to_string(),
        format!(
            "tcpconnect: column IP, byte 30: expected this title here in the header line in \"{unknown}\""
        )
    );
    let line = "0.000    20656   iperf3       4  127.0.0.1        10.244.1.17      42336  ";
    assert!(
        read(parser, line)
            .unwrap_err()
            .contains("header line before any data")
    );
}

#[test]
fn greetings_blank_lines_and_farewells_are_banners() {
    let parser = &mut Parser::new(Probe::Tcptracer);
    for line in [
        "Tracing TCP established connections. Ctrl-C to end.\n",
        "",
        "\n",
        "   ",
    ] {
        assert_eq!(parser.pid(line.as_bytes()), Ok(None));
        assert_eq!(parser.line(line.as_bytes()), Ok(Parsed::Banner), "{line:?}");
    }
    for probe in [Probe::Cachetop, Probe::Cachestat] {
        assert_eq!(Parser::new(probe).line(b"Detaching..."), Ok(Parsed::Banner));
    }
}

#[test]
fn a_name_can_look_like_the_columns_behind_it() {
    let parser = &mut under(Probe::Tcpconnect, TCPCONNECT);
    let line = "0.000    20656   4  127.0.0.1 4  127.0.0.1        10.244.1.17      42336  ";
    assert_eq!(
        columns(parser, line, ["pid", "comm"]),
        [json!(20656), json!("4  127.0.0.1")]
    );

    let parser = &mut under(Probe::Execsnoop, EXECSNOOP);
    let line = "03:47:28 0.001   1       2     0  5564    406       0 /bin/x";
    assert_eq!(
        columns(parser, line, ["pid", "comm"]),
        [json!(5564), json!("1       2     0")]
    );

    let parser = &mut under(Probe::Biosnoop, BIOSNOOP);
    let line = "0.000000    1       sda  W 312     sda       W 12345678   4096      0.52";
    assert_eq!(
        columns(parser, line, ["pid", "comm"]),
        [json!(312), json!("1       sda  W")]
    );

    let parser = &mut under(Probe::Tcplife, TCPLIFE_CSV);
    let line =
        "03:46:12,0.000000,5564,7,x,4,1.2.3.4,5,4,127.0.0.1,45126,127.0.0.1,6001,3975294,0,2043.19";
    assert_eq!(
        columns(parser, line, ["pid", "comm"]),
        [json!(5564), json!("7,x,4,1.2.3.4,5")]
    );
}

#[test]
fn names_are_exact() {
    let parser = &mut under(Probe::Tcptracer, TCPTRACER);
    let tail = " 4  127.0.0.1        127.0.0.1        42334  6001  ";
    for name in [
        "",
        "a b",
        "  led",
        "7",
        "[kworker/0:1]",
        "exactly15bytes!",
        "new\nline",
        "größe",
        "\u{fffd}\u{fffd}",
        "日本語",
        "\u{1b}[2J",
    ] {
        let line = format!("0.000    C  20656  {name:<16}{tail}");
        assert_eq!(
            columns(parser, &line, ["pid", "comm"]),
            [json!(20656), json!(name)],
            "{name:?}"
        );
    }
}

#[test]
fn byte_tools_count_bytes_and_cut_characters_in_two() {
    let parser = &mut under(Probe::Tcpconnect, TCPCONNECT);
    let line = b"0.000    20656   abcdefghijk\xc3 4  127.0.0.1        10.244.1.17      42336  ";
    assert_eq!(
        columns(parser, line, ["comm", "hex"]),
        [
            json!("abcdefghijk\u{fffd}"),
            json!({"comm": "6162636465666768696a6bc3"})
        ]
    );
    let line = "0.000    20656   größe      4  127.0.0.1        10.244.1.17      42336  ";
    assert_eq!(columns(parser, line, ["comm"]), [json!("größe")]);
}

#[test]
fn a_time_that_fills_its_cell_touches_the_next() {
    let parser = &mut under(Probe::Tcpconnect, TCPCONNECT);
    let tail = "   iperf3       4  127.0.0.1        10.244.1.17      42336  ";
    for (start, time, pid) in [
        ("9999.999 20656", 9999.999, 20656),
        ("10000.00020656", 10000.0, 20656),
        ("-0.001   20656", -0.001, 20656),
    ] {
        let line = format!("{start}{tail}");
        assert_eq!(
            columns(parser, &line, ["time_s", "pid"]),
            [json!(time), json!(pid)]
        );
    }
    let parser = &mut under(Probe::Tcptracer, TCPTRACER);
    let line = "10000.000X  8592   tmux: server     6  [::1]            [2001:db8::1234:5678:9abc:def0] 6001   42336 ";
    assert_eq!(
        columns(parser, line, ["time_s", "type", "daddr"]),
        [
            json!(10000.0),
            json!("close"),
            json!("2001:db8::1234:5678:9abc:def0")
        ]
    );
    let parser = &mut under(Probe::Execsnoop, EXECSNOOP);
    let line = "03:47:28 1000.001123sh            5564    ?         0 /bin/123sh";
    assert_eq!(
        columns(parser, line, ["time_s", "comm", "ppid"]),
        [json!(1000.001), json!("123sh"), Value::Null]
    );
}

#[test]
fn a_uid_that_fills_its_cell_is_parted_where_the_line_fits() {
    let parser = &mut under(Probe::Tcpconnect, TCPCONNECT_UID);
    let tail = " curl         4  127.0.0.1        10.244.1.17      42336  ";
    for (uid, pid) in [
        (99_999, 1),
        (100_000, 1),
        (1_000_660_000, 20656),
        (u32::MAX, 4_194_303),
    ] {
        let line = format!("0.000    {uid:<6}{pid:<7}{tail}");
        assert_eq!(
            columns(parser, &line, ["uid", "pid"]),
            [json!(uid), json!(pid)]
        );
    }
    let header = "UID   PCOMM            PID    PPID   RET ARGS";
    let parser = &mut under(Probe::Execsnoop, header);
    let line = "10006600001 2              5564   406      0 /bin/x";
    assert_eq!(
        columns(parser, line, ["uid", "comm", "pid"]),
        [json!(1_000_660_000), json!("1 2"), json!(5564)]
    );
}

#[test]
fn digits_that_could_be_parted_twice_are_an_error() {
    // BCC 0.24 and older: PID is 6 wide, so 100066123|4123456 and 1000661234|123456 fill the same cells.
    let header = "UID   PID    COMM         IP SADDR            DADDR            DPORT ";
    let parser = &mut under(Probe::Tcpconnect, header);
    let line = "1000661234123456 curl         4  127.0.0.1        10.244.1.17      42336  ";
    let error = read(parser, line).unwrap_err();
    assert!(
        error.starts_with("tcpconnect: column UID, byte 0: expected digits that can be parted"),
        "{error}"
    );
    assert!(parser.pid(line.as_bytes()).is_err());
}

#[test]
fn bytes_and_latency_are_parted_where_the_widths_tell() {
    let parser = &mut under(Probe::Biosnoop, BIOSNOOP);
    let line = |sector: u64, end: &str| {
        format!("2.500000    dd             5564    nvme0n1   R {sector:<10} {end}")
    };
    for (end, bytes, ms) in [
        ("4096      0.52", 4096, 0.52),
        ("1048576   0.52", 1_048_576, 0.52),
        ("1048576 999.99", 1_048_576, 999.99),
        ("10485761000.00", 1_048_576, 1000.0),
        // 10485761 bytes would leave 0000.00, which nobody prints.
        ("104857610000.00", 1_048_576, 10000.0),
        // 10485761 is no number of sectors.
        ("104857612345.67", 1_048_576, 12345.67),
        ("21474836481234.56", 2_147_483_648_u64, 1234.56),
    ] {
        assert_eq!(
            columns(parser, line(8, end), ["bytes", "lat_ms"]),
            [json!(bytes), json!(ms)],
            "{end}"
        );
    }
    // Without a place on the disk it may be a command, whose length is no number of sectors.
    for sector in [0, u64::MAX] {
        let error = read(parser, line(sector, "104857612345.67")).unwrap_err();
        assert!(
            error.starts_with("biosnoop: column BYTES, byte "),
            "{error}"
        );
    }
    // 15360512|1234.00 and 1536051|21234.00: only the first is a number of sectors.
    assert_eq!(
        columns(parser, line(8, "153605121234.00"), ["bytes"]),
        [json!(15_360_512)]
    );
}

#[test]
fn an_empty_disk_is_a_cell_of_blanks() {
    let header = "TIME(s)     COMM           PID    DISK    T SECTOR     BYTES   LAT(ms)";
    let parser = &mut under(Probe::Biosnoop, header);
    let line = "2.500000    ?              0              R 0          0         0.00";
    assert_eq!(
        columns(parser, line, ["comm", "pid", "disk", "rw", "sector"]),
        [json!("?"), json!(0), json!(""), json!("R"), json!(0)]
    );
}

#[test]
fn the_address_family_must_be_what_ip_says() {
    let parser = &mut under(Probe::Tcpaccept, TCPACCEPT);
    for (ip, raddr) in [
        ("6", "10.0.0.1"),
        ("4", "::1"),
        ("5", "10.0.0.1"),
        ("4", "[::1]"),
    ] {
        let line = format!(
            "03:47:28 0.000    20656   iperf3       {ip}  {raddr:<16} 42336 127.0.0.1        6001 "
        );
        read(parser, line).unwrap_err();
    }
    let parser = &mut under(Probe::Tcptracer, TCPTRACER);
    read(
        parser,
        "0.000    C  20656  iperf3           6  ::1              ::1              42334  6001  ",
    )
    .unwrap_err();
}

#[test]
fn execsnoop_keeps_args_to_the_byte() {
    let parser = &mut under(Probe::Execsnoop, EXECSNOOP);
    let long = "x".repeat(100_000);
    for args in ["", " ", "  two  blanks ", "\"a b\" \\n \u{1b}[2J\r", &long] {
        let line = format!("03:47:28 0.001   sh               5564    406     -13 {args}");
        assert_eq!(
            columns(parser, &line, ["args", "ret", "sys_time"]),
            [json!(args), json!(-13), json!("03:47:28")]
        );
    }
    let trimmed = "03:47:28 0.001   ls               5566    406       0";
    assert_eq!(columns(parser, trimmed, ["args"]), [json!("")]);
}

#[test]
fn a_piece_of_a_line_is_no_record() {
    // A file cut at newlines: the name "a\nC  1      x" gives two pieces, and neither is whole.
    let parser = &mut under(
        Probe::Tcptracer,
        "T  PID    COMM             IP SADDR            DADDR            SPORT  DPORT ",
    );
    read(parser, "C  20656  a").unwrap_err();
    read(
        parser,
        "C  1      x     4  127.0.0.1        127.0.0.1        42334  6001  ",
    )
    .unwrap_err();
}

#[test]
fn a_name_that_begins_with_a_newline_is_joined_with_the_blank_line_before_it() {
    let plain = "PCOMM            PID     PPID    RET ARGS";
    let file = [
        plain,
        "",
        "true             1       2         0 /bin/true",
        "",
        "x               3       2         0 /x",
        "",
    ];
    let mut recorded = Recorded::new(Probe::Execsnoop);
    let mut names = Vec::new();
    let mut tell = |number, read: Result<Parsed, ParseError>| {
        if let Parsed::Record { record, .. } = read.unwrap() {
            names.push((number, record.comm().unwrap().as_bytes().to_vec()));
        }
    };
    for line in file {
        recorded.line(line.as_bytes(), &mut tell);
    }
    recorded.end(&mut tell);
    assert_eq!(names, [(3, b"true".to_vec()), (4, b"\nx".to_vec())]);
}

#[test]
fn what_a_terminal_recorded_has_carriage_returns() {
    let parser = &mut Parser::new(Probe::Execsnoop);
    assert_eq!(
        parser.line(format!("{EXECSNOOP}\r\n").as_bytes()),
        Ok(Parsed::Header)
    );
    let line = "03:47:28 0.001   sh               5564    406       0 /bin/sh a\r\r\n";
    assert_eq!(columns(parser, line, ["args"]), [json!("/bin/sh a\r")]);
}

#[test]
fn the_first_event_of_a_tool_with_buffered_output_is_put_together() {
    // As Debian 12's tools write into a pipe without PYTHONUNBUFFERED.
    let parser = &mut Parser::new(Probe::Tcpconnect);
    let early = b"0.000    Tracing connect ... Hit Ctrl-C to end\n";
    assert_eq!(parser.pid(early), Ok(None));
    assert_eq!(parser.line(early), Ok(Parsed::Banner));
    assert_eq!(parser.line(TCPCONNECT.as_bytes()), Ok(Parsed::Header));
    let tail = "20656   iperf3       4  127.0.0.1        10.244.1.17      42336  ";
    assert_eq!(
        columns(parser, tail, ["time_s", "pid"]),
        [json!(0.0), json!(20656)]
    );
    assert_eq!(
        columns(parser, format!("1.000    {tail}"), ["time_s"]),
        [json!(1.0)]
    );

    let parser = &mut Parser::new(Probe::Execsnoop);
    let early = "03:47:28 TIME     TIME(s) PCOMM            PID     PPID    RET ARGS";
    assert_eq!(parser.line(early.as_bytes()), Ok(Parsed::Header));
    let tail = "0.001   iperf3           5564    406       0 /usr/bin/iperf3";
    assert_eq!(
        columns(parser, tail, ["sys_time", "pid"]),
        [json!("03:47:28"), json!(5564)]
    );
}

#[test]
fn cachetop_rows_have_the_clock_of_their_screen() {
    let parser = &mut Parser::new(Probe::Cachetop);
    let row = "    5439 root     tmux: server           38       32        7      44.3%      45.7%";
    for clock in ["03:47:29", "03:47:30"] {
        let title =
            format!("{clock} Buffers MB: 7 / Cached MB: 551 / Sort: HITS / Order: descending");
        assert_eq!(parser.line(title.as_bytes()), Ok(Parsed::Banner));
        let header =
            "PID      UID      CMD              HITS     MISSES   DIRTIES  READ_HIT%  WRITE_HIT%";
        assert_eq!(parser.line(header.as_bytes()), Ok(Parsed::Header));
        assert_eq!(
            columns(parser, row, ["sys_time", "pid", "comm"]),
            [json!(clock), json!(5439), json!("tmux: server")]
        );
    }
}
