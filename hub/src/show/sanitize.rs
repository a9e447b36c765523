//! Strangers' bytes to visible text.
//!
//! A process chooses its own name and arguments. Printed raw they could move the cursor, recolour
//! the terminal, answer its queries as if typed, reverse what stands beside them, or end the line
//! and forge the next. So whatever doesn't show itself as a character of its own is shown as an
//! escape, in a pipe as well: a line stays a line. A backslash stays as it is, since tools print
//! backslashes of their own; whoever needs the exact bytes reads the JSON form.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Appends `bytes`, escaped: `\n`, `\r`, `\t`, `\x1b` for other control characters and bytes that
/// aren't UTF-8, `\u{202e}` for characters beyond ASCII that steer instead of show.
pub fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if steers(c) {
                push_escape(out, c);
            } else {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
}

/// `bytes`, escaped, as text.
pub fn visible<B: AsRef<[u8]> + ?Sized>(bytes: &B) -> Cow<'_, str> {
    let bytes = bytes.as_ref();
    let plain = is_plain(bytes);
    match str::from_utf8(bytes) {
        Ok(text) if plain || !text.chars().any(steers) => Cow::Borrowed(text),
        _ => {
            let mut out = Vec::with_capacity(bytes.len() + 16);
            push(&mut out, bytes);
            Cow::Owned(String::from_utf8(out).expect("what is not UTF-8 has been escaped"))
        }
    }
}

/// Whether it is ASCII that shows itself, as nearly all that tools print.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, 0x20..=0x7e))
}

fn push_escape(out: &mut Vec<u8>, c: char) {
    let escape = match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        c if c.is_ascii() => format!("\\x{:02x}", u32::from(c)),
        c => format!("\\u{{{:x}}}", u32::from(c)),
    };
    out.extend_from_slice(escape.as_bytes());
}

/// Escapes, in an encoded JSON object, what JSON itself lets through but a terminal obeys. Such
/// characters stand only inside its strings, so that it stays the same object.
#[must_use]
pub fn json_for_terminal(object: String) -> String {
    if is_plain(object.as_bytes()) {
        return object;
    }
    let mut escaped = String::with_capacity(object.len() + 16);
    for c in object.chars() {
        if steers(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("a string takes every write");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Escapes, in a part of a YAML string in double quotes, what acts instead of showing itself.
pub(super) fn yaml(fragment: &str) -> Cow<'_, str> {
    if !fragment.chars().any(steers) {
        return Cow::Borrowed(fragment);
    }
    let mut escaped = String::with_capacity(fragment.len() + 16);
    for c in fragment.chars() {
        if steers(c) {
            write!(escaped, "\\U{:08x}", u32::from(c)).expect("a string takes every write");
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Whether a character acts on what is around it, or hides, instead of showing itself.
pub(super) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Invisible: soft hyphen, fillers, zero-width characters, the byte order mark.
            '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}'
            // Direction of writing.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{206f}'
            // Ends of lines and paragraphs, interlinear annotation.
            | '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}'
            // Tags: a second text, invisible.
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_stays() {
        for text in [
            "",
            "iperf3",
            "tmux: server",
            r"C:\dir\n",
            "größe",
            "日本語",
            "a|b}{%",
            "🦀",
        ] {
            assert_eq!(visible(text), text);
        }
    }

    #[test]
    fn attacks_become_visible() {
        for (attack, shown) in [
            (&b"\x1b[2J\x1b[H"[..], r"\x1b[2J\x1b[H"),
            (b"\x1b]0;title\x07", r"\x1b]0;title\x07"),
            (b"\x1b]52;c;cm0gLXJm\x1b\\", r"\x1b]52;c;cm0gLXJm\x1b\"),
            (b"a\nx-tracer: complete", r"a\nx-tracer: complete"),
            (b"100%\rdone", r"100%\rdone"),
            (b"a\tb\x0b\x0cc\x08\x08", r"a\tb\x0b\x0cc\x08\x08"),
            (b"\0\x7f", r"\x00\x7f"),
            // C1 as the character U+009B and as the bare byte of an eight-bit terminal.
            (b"\xc2\x9b2J", r"\u{9b}2J"),
            (b"\x9b2J", r"\x9b2J"),
            (b"\xff\xc3(", r"\xff\xc3("),
            // An overlong slash, a surrogate, a character beyond Unicode.
            (b"\xc0\xaf", r"\xc0\xaf"),
            (b"\xed\xa0\x80", r"\xed\xa0\x80"),
            (b"\xf4\x90\x80\x80", r"\xf4\x90\x80\x80"),
            ("exe\u{202e}txt.sh".as_bytes(), r"exe\u{202e}txt.sh"),
            ("a\u{2066}b\u{2069}".as_bytes(), r"a\u{2066}b\u{2069}"),
            ("one\u{2028}two\u{85}".as_bytes(), r"one\u{2028}two\u{85}"),
            ("ro\u{200b}ot\u{feff}".as_bytes(), r"ro\u{200b}ot\u{feff}"),
            ("\u{e0041}".as_bytes(), r"\u{e0041}"),
        ] {
            assert_eq!(visible(attack), shown);
        }
    }

    #[test]
    fn json_stays_the_same_object() {
        let hostile = "\u{9b}2J\u{7f}\u{202e}\u{e0041}\"\\é";
        let object = serde_json::to_string(&serde_json::json!({ "comm": hostile })).unwrap();
        let escaped = json_for_terminal(object);
        assert_eq!(
            escaped,
            "{\"comm\":\"\\u009b2J\\u007f\\u202e\\udb40\\udc41\\\"\\\\é\"}"
        );
        let read: serde_json::Value = serde_json::from_str(&escaped).unwrap();
        assert_eq!(read["comm"], hostile);
    }

    proptest! {
        #[test]
        fn nothing_that_steers_comes_through(bytes: Vec<u8>) {
            let shown = visible(&bytes);
            prop_assert!(!shown.chars().any(steers), "{shown:?}");
        }

        #[test]
        fn any_json_string_survives(text: String) {
            let escaped = json_for_terminal(serde_json::to_string(&text).unwrap());
            prop_assert!(!escaped.chars().any(steers), "{escaped:?}");
            prop_assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
        }
    }
}
