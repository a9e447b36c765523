//! What a line costs the allocator: nothing for the filter, one piece a text for a record.
//!
//! `cargo test -p probeparser --test allocations -- --nocapture` prints the table.

#[path = "../support/counting.rs"]
mod counting;

use std::fs;
use std::path::Path;

use probeparser::{Parsed, Parser, Probe};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// The texts of a tool's record.
fn texts(probe: Probe) -> u64 {
    match probe {
        Probe::Tcptracer | Probe::Tcpconnect | Probe::Tcpaccept | Probe::Tcplife => 1,
        // COMM and DISK, user and CMD.
        Probe::Biosnoop | Probe::Cachetop => 2,
        // COMM, PCOMM and ARGS.
        Probe::Execsnoop => 3,
        Probe::Cachestat => 0,
    }
}

#[test]
fn the_filter_allocates_nothing_and_a_record_its_texts() {
    println!(
        "{:<12} {:>8} {:>8} {:>8}",
        "allocations", "lines", "pid()", "line()"
    );
    for probe in Probe::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/golden")
            .join(probe.name());
        let (mut lines, mut most_by_pid, mut most_by_line) = (0, 0, 0);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "out") {
                continue;
            }
            let mut parser = Parser::new(probe);
            for line in fs::read(path).unwrap().split(|byte| *byte == b'\n') {
                let (by_pid, pid) = counting::allocations(|| parser.pid(line));
                let (by_line, parsed) = counting::allocations(|| parser.line(line));
                if pid.is_ok() {
                    most_by_pid = by_pid.max(most_by_pid);
                }
                if matches!(parsed, Ok(Parsed::Record { .. })) {
                    lines += 1;
                    most_by_line = by_line.max(most_by_line);
                }
            }
        }
        println!("{probe:<12} {lines:>8} {most_by_pid:>8} {most_by_line:>8}");
        assert!(lines > 0, "{probe}");
        assert_eq!(most_by_pid, 0, "{probe}");
        assert!(most_by_line <= texts(probe), "{probe}");
    }
}
