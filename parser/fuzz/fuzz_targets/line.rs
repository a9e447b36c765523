//! Whatever a tool prints: no panic, and the filter's PID is the record's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probeparser::{Parsed, Parser, Probe};

fuzz_target!(|input: &[u8]| {
    // The first byte chooses the tool; the rest is its output, from which the header emerges.
    let Some((&first, output)) = input.split_first() else {
        return;
    };
    let mut parser = Parser::new(Probe::ALL[usize::from(first) % Probe::ALL.len()]);
    for line in output.split(|&byte| byte == b'\n') {
        let pid = parser.pid(line);
        match parser.line(line) {
            Ok(Parsed::Record { record, .. }) => {
                assert_eq!(
                    pid.ok(),
                    Some(record.pid()),
                    "another PID than the filter's"
                );
            }
            Ok(Parsed::Banner | Parsed::Header) => {
                assert!(
                    !matches!(pid, Ok(Some(_))),
                    "the filter saw a PID where there is none"
                );
            }
            Err(_) => {}
        }
    }
});
