//! Whatever NATS delivers as a status: no panic, and it is written and read again unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probeparser::wire::Status;

fuzz_target!(|payload: &[u8]| {
    if let Ok(status) = Status::decode(payload) {
        assert_eq!(
            Status::decode(&status.encode()).expect("our own encoding is read"),
            status
        );
    }
});
