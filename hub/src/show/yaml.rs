//! Records as YAML: a document each.
//!
//! A string is written as JSON writes it, which YAML reads as the same string: always quoted, always on
//! one line. So a stranger's `no`, `0x10` or `---` stays a string, and none can begin a line.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::sanitize;

/// Appends a record as one document.
pub fn document(out: &mut Vec<u8>, record: &impl Serialize) {
    out.extend_from_slice(b"---");
    let mut serializer = Serializer::with_formatter(&mut *out, Block::default());
    record
        .serialize(&mut serializer)
        .expect("strings and numbers go into a vector without fail");
    out.push(b'\n');
}

/// Objects as block mappings: a line for each member, two blanks for each level.
#[derive(Default)]
struct Block {
    level: usize,
    /// Whether a key is being written: ours, and plain words all of them.
    key: bool,
}

impl Block {
    fn quote<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(if self.key { b"" } else { b"\"" })
    }
}

impl Formatter for Block {
    fn begin_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.level += 1;
        Ok(())
    }

    fn end_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.level -= 1;
        Ok(())
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, _: bool) -> io::Result<()> {
        self.key = true;
        let indent = 2 * (self.level - 1);
        write!(writer, "\n{:indent$}", "")
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.key = false;
        writer.write_all(b":")
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" ")
    }

    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.quote(writer)
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.quote(writer)
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        writer.write_all(sanitize::yaml(fragment).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn written(record: &impl Serialize) -> String {
        let mut out = Vec::new();
        document(&mut out, record);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_object_is_a_block_with_a_line_for_each_member() {
        let record = json!({"args": "no", "hex": {"raw": "ff"}, "ppid": null, "time_s": 0.5});
        let text = written(&record);
        assert_eq!(
            text,
            "---\nargs: \"no\"\nhex: \n  raw: \"ff\"\nppid: null\ntime_s: 0.5\n"
        );
    }

    proptest! {
        #[test]
        fn any_string_stays_one_line_and_the_same(text: String) {
            let record = BTreeMap::from([("args", &text)]);
            let document = written(&record);
            prop_assert_eq!(document.lines().count(), 2);
            prop_assert!(document.lines().all(|line| !line.chars().any(sanitize::steers)));
            let read: Value = serde_saphyr::from_str(&document).unwrap();
            prop_assert_eq!(&read["args"], &text);
        }
    }
}
