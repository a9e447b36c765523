//! Records as JSON: an object a line, or over several.

use probeparser::wire::Envelope;
use serde::Serialize;

use super::sanitize;

/// Appends the record as one JSON object and a newline. It is encoded anew from what was
/// understood: a publisher's own bytes never come this far. For a terminal, what JSON leaves
/// unescaped but a terminal obeys is escaped too.
pub fn line(out: &mut Vec<u8>, envelope: &Envelope<'_>, for_terminal: bool) {
    if for_terminal {
        let object = String::from_utf8(envelope.encode()).expect("JSON is UTF-8");
        out.extend_from_slice(sanitize::json_for_terminal(object).as_bytes());
    } else {
        envelope.encode_to(out);
    }
    out.push(b'\n');
}

/// Appends a record as one JSON object with a line for each member.
pub fn pretty(out: &mut Vec<u8>, record: &impl Serialize, for_terminal: bool) {
    let object = serde_json::to_string_pretty(record)
        .expect("strings and numbers go into a string without fail");
    for line in object.lines() {
        if for_terminal {
            let line = sanitize::json_for_terminal(line.to_owned());
            out.extend_from_slice(line.as_bytes());
        } else {
            out.extend_from_slice(line.as_bytes());
        }
        out.push(b'\n');
    }
}
