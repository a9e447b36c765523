//! What real tools printed (`tests/golden/TOOL/*.out`) and what it was read as (`*.jsonl`).
//!
//! `UPDATE_GOLDEN=1 cargo test -p probeparser --test golden` writes the second kind anew; the
//! difference is then to be read beside the first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use probeparser::{Line, ParseError, Parsed, Probe, Recorded};
use serde_json::{Value, json};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

/// The files in a tool's folder whose names end so, without that end.
fn stems(folder: &Path, end: &str) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder can be listed").file_name())
        .filter_map(|name| Some(name.to_str()?.strip_suffix(end)?.to_owned()))
        .collect()
}

/// A file's records, one JSON object a line, in the order of the output; errors are objects with
/// the line's number.
fn read(probe: Probe, output: &[u8]) -> String {
    let mut objects = String::new();
    let mut tell = |number: u64, read: Result<Parsed, ParseError>| {
        objects += &match read {
            Ok(Parsed::Banner | Parsed::Header) => return,
            Ok(Parsed::Record { record, clock }) => {
                let line = Line {
                    sys_time: clock,
                    record,
                };
                serde_json::to_string(&line).expect("a record is JSON")
            }
            Err(error) => json!({"line": number, "error": error.to_string()}).to_string(),
        };
        objects.push('\n');
    };
    let mut recorded = Recorded::new(probe);
    for line in output.split_inclusive(|byte| *byte == b'\n') {
        recorded.line(line, &mut tell);
    }
    recorded.end(&mut tell);
    objects
}

#[test]
fn every_output_reads_as_it_always_did() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for probe in Probe::ALL {
        let folder = golden().join(probe.name());
        let outputs = stems(&folder, ".out");
        assert!(!outputs.is_empty(), "{} has no output", folder.display());
        for stem in &outputs {
            let output = fs::read(folder.join(format!("{stem}.out"))).unwrap();
            let read = read(probe, &output);
            let partner = folder.join(format!("{stem}.jsonl"));
            if update {
                fs::write(&partner, read).unwrap();
            } else if fs::read_to_string(&partner).ok() != Some(read) {
                wrong.push(partner);
            }
        }
        for orphan in stems(&folder, ".jsonl").difference(&outputs) {
            wrong.push(folder.join(format!("{orphan}.jsonl")));
        }
    }
    assert!(
        wrong.is_empty(),
        "missing, another reading, or without an output: {wrong:#?}\n\
         UPDATE_GOLDEN=1 cargo test -p probeparser --test golden writes them"
    );
}

/// The values that a record of an act has, whatever the release and options; texts as the tools
/// that cut to `width` characters or bytes leave them.
fn check_act(name: &str, act: &Value, record: &Value) {
    let given = |field: &str, default: Value| act.get(field).cloned().unwrap_or(default);
    let expect = |column: &str, value: Value| {
        if let Some(read) = record.get(column) {
            assert_eq!(*read, value, "{name}: {column} of {record}");
        }
    };
    let number = |field: &str| given(field, json!(0)).as_u64().expect("a number");
    for (column, field, default) in [
        ("uid", "uid", json!(0)),
        ("sport", "sport", json!(1)),
        ("dport", "dport", json!(1)),
        ("ip", "family", json!(4)),
        ("saddr", "saddr", json!("127.0.0.1")),
        ("daddr", "daddr", json!("127.0.0.1")),
        ("type", "type", json!("connect")),
        ("rw", "rw", json!("R")),
        ("bytes", "bytes", json!(0)),
        ("ret", "retval", json!(0)),
        ("cpu", "cpu", json!(0)),
    ] {
        expect(column, given(field, default));
    }
    let sector = number("sector");
    expect(
        "sector",
        if sector == u64::MAX {
            json!(-1)
        } else {
            json!(sector)
        },
    );
    expect("tx_kb", json!(number("tx_b") / 1024));
    expect("rx_kb", json!(number("rx_b") / 1024));
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let ms = |ns: u64| json!((ns as f64 / 1e4).round() / 100.0);
    expect("lat_ms", ms(number("lat_ns")));
    expect("que_ms", ms(number("que_ns")));
    expect("duration_ms", ms(1000 * number("span_us")));
    let ppid = number("ppid");
    let ppid = if act.get("ppid").is_none() {
        json!(1)
    } else if ppid == 0 {
        Value::Null
    } else {
        json!(ppid)
    };
    expect("ppid", ppid);
}

/// COMM as bytes: what JSON shows, or the exact ones of `hex`.
fn comm_bytes(record: &Value) -> Vec<u8> {
    match record["hex"]["comm"].as_str() {
        Some(hex) => unhex(hex),
        None => record["comm"].as_str().expect("a name").as_bytes().to_vec(),
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect()
}

/// The name that a tool prints for an act's: cut, and for most tools decoded first.
fn printed_comm(probe: Probe, wide: bool, act: &Value) -> Vec<u8> {
    let name = match act["comm_hex"].as_str() {
        Some(hex) => unhex(hex),
        None => act["comm"].as_str().expect("a name").as_bytes().to_vec(),
    };
    let name = &name[..name.len().min(15)];
    let bytes = match probe {
        Probe::Tcpconnect | Probe::Tcpaccept => name[..name.len().min(12)].to_vec(),
        Probe::Execsnoop => name.to_vec(),
        _ => {
            let cut = match probe {
                Probe::Tcplife if !wide => 10,
                Probe::Biosnoop => 14,
                _ => 15,
            };
            let name = String::from_utf8_lossy(name);
            name.chars().take(cut).collect::<String>().into_bytes()
        }
    };
    if probe == Probe::Tcplife && wide {
        return bytes;
    }
    bytes
        .strip_suffix(b" ")
        .map(<[u8]>::to_vec)
        .unwrap_or(bytes)
}

#[test]
fn records_say_what_the_acts_did() {
    let acts = fs::read_to_string(golden().join("acts.json")).unwrap();
    let acts: Vec<Value> = serde_json::from_str(&acts).unwrap();
    for probe in Probe::SEVEN {
        let folder = golden().join(probe.name());
        for name in stems(&folder, ".out") {
            if !name.starts_with("bcc-") {
                continue;
            }
            let output = fs::read(folder.join(format!("{name}.out"))).unwrap();
            let records: Vec<Value> = read(probe, &output)
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            // The wide form pads, the CSV does not; neither cuts to ten.
            let csv = name.ends_with("-s") || name.ends_with("-sTt");
            for act in &acts {
                let failed = act.get("retval").is_some() && !name.contains('x');
                let idle = act.get("pages_accessed").is_none();
                let found: Vec<&Value> = records
                    .iter()
                    .filter(|record| record["pid"] == act["pid"])
                    .collect();
                match probe {
                    Probe::Execsnoop if failed => assert!(found.is_empty(), "{name}"),
                    Probe::Cachetop if idle => assert!(found.is_empty(), "{name}"),
                    Probe::Biosnoop if found.is_empty() => {
                        // The one whose digits no rule parts; with -P a letter does.
                        assert_eq!(act["comm"], "unclear", "{name}");
                        let error = records.iter().find(|object| object.get("error").is_some());
                        let error = error.expect("an error instead of the record")["error"]
                            .as_str()
                            .unwrap();
                        assert!(
                            error.contains("column BYTES") && error.contains("unclear"),
                            "{error}"
                        );
                    }
                    _ => {
                        let [record] = found[..] else {
                            panic!("{name}: {} records of {act}", found.len())
                        };
                        check_act(&name, act, record);
                        let comm = match probe {
                            Probe::Biosnoop if act["pid"] == 0 => b"?".to_vec(),
                            Probe::Tcplife if csv => printed_comm(probe, true, act),
                            Probe::Tcplife if name.ends_with("-wTt") => {
                                printed_comm(Probe::Tcptracer, true, act)
                            }
                            _ => printed_comm(probe, false, act),
                        };
                        assert_eq!(comm_bytes(record), comm, "{name}: {record}");
                    }
                }
            }
        }
    }
}
