//! Text of strangers, made fit to stand in a message of ours.
//!
//! Event messages, admission webhooks and container termination messages are written by whoever may
//! write to the cluster, and end up in errors that are printed on a terminal.

/// Longest text of a stranger that a message carries, in characters.
const LONGEST: usize = 1000;

/// `text` without anything that a terminal would obey: control characters and the marks that turn
/// the direction of writing are escaped, line ends become `; `, and an over-long text is cut.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(LONGEST));
    for (count, character) in text.trim().chars().enumerate() {
        if count == LONGEST {
            shown.push('…');
            break;
        }
        match character {
            '\n' => shown.push_str("; "),
            '\t' => shown.push(' '),
            _ if obeyed(character) => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    shown
}

fn obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `a, b, c and 4 more`: a list that stays readable however long it is.
pub(crate) fn list<S: AsRef<str>>(items: &[S]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<_> = items
        .iter()
        .take(SHOWN)
        .map(|item| visible(item.as_ref()))
        .collect();
    let shown = shown.join(", ");
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::{list, visible};

    #[test]
    fn a_terminal_finds_nothing_to_obey() {
        assert_eq!(
            visible("a\x1b[2Jb\r\u{202e}c\u{9b}1m"),
            "a\\u{1b}[2Jb\\u{d}\\u{202e}c\\u{9b}1m"
        );
        assert_eq!(visible(" one\ntwo\tthree \n"), "one; two three");
    }

    #[test]
    fn length_is_bounded() {
        let shown = visible(&"é".repeat(5000));
        assert_eq!(shown.chars().count(), super::LONGEST + 1);
        assert!(shown.ends_with('…'));
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(list(&["a", "b"]), "a, b");
        let many: Vec<_> = (0..12).map(|n| n.to_string()).collect();
        assert_eq!(list(&many), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
    }
}
