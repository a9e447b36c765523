//! What the hub itself has to say: whole lines on standard error.
//!
//! Every line is escaped here, so that no caller can forget it: host names, paths, the words of
//! servers, tools and agents all come from elsewhere.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::show::sanitize;

/// Bytes of a line that are said: a stranger's may be a megabyte long.
const MAX_LINE: usize = 8 << 10;

/// Whether only what went wrong is to be said.
static QUIET: AtomicBool = AtomicBool::new(false);

/// From here on, says only what went wrong.
pub(crate) fn hush() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Says a line about what goes as it should, unless that is not wanted.
pub(crate) fn mention(line: impl AsRef<[u8]>) {
    if !QUIET.load(Ordering::Relaxed) {
        say(line);
    }
}

/// Says a line in the hub's name.
pub(crate) fn say(line: impl AsRef<[u8]>) {
    say_as("x-tracer", line);
}

/// Says a line in the name of a program that the hub has started.
pub(crate) fn say_as(speaker: &str, line: impl AsRef<[u8]>) {
    print(&spoken(speaker, line.as_ref()));
}

fn spoken(speaker: &str, line: &[u8]) -> Vec<u8> {
    let said = &line[..line.len().min(MAX_LINE)];
    let mut text = Vec::with_capacity(said.len() + speaker.len() + 32);
    text.extend_from_slice(speaker.as_bytes());
    text.extend_from_slice(b": ");
    sanitize::push(&mut text, said);
    if said.len() < line.len() {
        text.extend_from_slice(format!("… ({} bytes)", line.len()).as_bytes());
    }
    text.push(b'\n');
    text
}

/// Writes to standard error what is already fit for it. With standard error gone there is nobody
/// left to tell, so that is no error.
pub(crate) fn print(text: &[u8]) {
    drop(std::io::stderr().lock().write_all(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_of_a_bounded_length() {
        let text = String::from_utf8(spoken("x-agent", b"a\n\x1b[2Jb\xff")).unwrap();
        assert_eq!(text, "x-agent: a\\n\\x1b[2Jb\\xff\n");
        let text = String::from_utf8(spoken("x-agent", "é".repeat(1 << 20).as_bytes())).unwrap();
        assert!(
            text.ends_with("é… (2097152 bytes)\n"),
            "{}",
            &text[text.len() - 40..]
        );
        assert!(text.len() < MAX_LINE + 40);
    }
}
