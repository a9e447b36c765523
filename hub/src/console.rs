//! What the hub itself has to say: whole lines on standard error.
//!
//! Every line is escaped here, so that no caller can forget it: host names, paths, the words of
//! servers, tools and agents all come from elsewhere.

use std::io::Write;

use crate::show::sanitize;

/// Says a line in the hub's name.
pub(crate) fn say(line: impl AsRef<[u8]>) {
    say_as("x-tracer", line);
}

/// Says a line in the name of a program that the hub has started.
pub(crate) fn say_as(speaker: &str, line: impl AsRef<[u8]>) {
    let mut text = Vec::with_capacity(line.as_ref().len() + speaker.len() + 3);
    text.extend_from_slice(speaker.as_bytes());
    text.extend_from_slice(b": ");
    sanitize::push(&mut text, line.as_ref());
    text.push(b'\n');
    print(&text);
}

/// Writes to standard error what is already fit for it. With standard error gone there is nobody
/// left to tell, so that is no error.
pub(crate) fn print(text: &[u8]) {
    drop(std::io::stderr().lock().write_all(text));
}
