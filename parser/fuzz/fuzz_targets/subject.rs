//! Any subject, any name: one spelling each way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probeparser::wire::{StatusSubject, Subject, decode_token, encode_token};

fuzz_target!(|text: &str| {
    assert_eq!(decode_token(&encode_token(text)).as_deref(), Some(text));
    assert!(!encode_token(text).contains(['.', '*', '>', ' ']));
    if let Some(name) = decode_token(text) {
        assert_eq!(encode_token(&name), text);
    }
    if let Ok(subject) = text.parse::<Subject>() {
        assert_eq!(subject.to_string(), text);
    }
    if let Ok(subject) = text.parse::<StatusSubject>() {
        assert_eq!(subject.to_string(), text);
    }
});
