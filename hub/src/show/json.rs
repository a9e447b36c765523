//! One envelope a line.

use probeparser::wire::Envelope;

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
