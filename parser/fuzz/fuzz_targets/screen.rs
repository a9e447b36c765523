//! Whatever NATS delivers, as the hub shows it: one line, nothing in it that steers a terminal, and in
//! the JSON form all that was received.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probeparser::wire::Envelope;

// The hub's own files: its crate would bring a Kubernetes client along.
#[path = "../../../hub/src/show/classic.rs"]
mod classic;
#[path = "../../../hub/src/show/json.rs"]
mod json;
#[path = "../../../hub/src/show/sanitize.rs"]
mod sanitize;

fuzz_target!(|payload: &[u8]| {
    let Ok(envelope) = Envelope::decode(payload) else {
        return;
    };
    let mut shown = Vec::new();
    classic::line(&mut shown, Some(envelope.sys_time), &envelope.record);
    is_one_harmless_line(&shown);
    shown.clear();
    json::line(&mut shown, &envelope, true);
    is_one_harmless_line(&shown);
    assert_eq!(
        Envelope::decode(&shown).expect("the hub's JSON is read"),
        envelope
    );
});

fn is_one_harmless_line(shown: &[u8]) {
    let shown = std::str::from_utf8(shown).expect("the hub writes UTF-8");
    let line = shown.strip_suffix('\n').expect("a whole line");
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!line.contains(steers), "{line:?}");
}
