//! Bytes of strangers as text that moves no cursor, rings no bell and fits on one line.

use std::fmt::Write;

/// `bytes` with everything that a terminal would obey escaped: controls as `\n`, `\t` or `\xNN`,
/// invisible format characters as `\u{N}`, bytes that are no UTF-8 as `\xNN`, a backslash as `\\`.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push(&mut text, c);
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            write!(text, "\\x{byte:02x}").ok();
        }
    }
    text
}

fn push(text: &mut String, c: char) {
    match c {
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        c if c.is_control() => drop(write!(text, "\\x{:02x}", u32::from(c))),
        // Directions, joiners, separators, tags: invisible, but they reorder or hide what is visible.
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => drop(write!(text, "\\u{{{:x}}}", u32::from(c))),
        c => text.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_hostile_name_reaches_the_terminal() {
        let name = b"a\nb\x1b[2J\x07\x9b\xff caf\xc3\xa9 \xe2\x80\xae\\";
        assert_eq!(printable(name), r"a\nb\x1b[2J\x07\x9b\xff café \u{202e}\\");
        let c1 = "\u{9b}31m".as_bytes();
        assert_eq!(printable(c1), r"\x9b31m");
    }
}
