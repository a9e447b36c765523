//! Whatever NATS delivers: no panic, and what was read is written and read again unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probeparser::wire::Envelope;

fuzz_target!(|payload: &[u8]| {
    if let Ok(envelope) = Envelope::decode(payload) {
        let again = Envelope::decode(&envelope.encode()).expect("our own encoding is read");
        assert_eq!(again, envelope);
    }
});
