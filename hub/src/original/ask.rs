//! The original's menu: a numbered list, a prompt, a number.

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};

use super::RULE;
use crate::show::sanitize;

/// Where it is asked, and answered.
pub(super) struct Prompt<R, W> {
    input: R,
    output: W,
    /// Whether somebody is there to be asked again.
    terminal: bool,
    /// What was typed beyond the number that was asked for: `2 3` answers two prompts.
    ahead: VecDeque<String>,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// This entry.
    Chosen(usize),
    /// There is nothing to choose from.
    Empty,
    /// No entry, and nobody to ask again.
    Wrong(String),
    /// Standard input has ended.
    Ended,
}

impl<R: BufRead, W: Write> Prompt<R, W> {
    pub(super) fn new(input: R, output: W, terminal: bool) -> Self {
        Self {
            input,
            output,
            terminal,
            ahead: VecDeque::new(),
        }
    }

    /// Whether somebody is there to be asked again.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Says a line.
    pub(super) fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        writeln!(self.output, "{}", sanitize::visible(line))?;
        Ok(())
    }

    /// Shows the entries and asks until one is chosen.
    pub(super) fn choose(&mut self, what: &str, entries: &[String]) -> anyhow::Result<Asked> {
        write!(self.output, "\n{RULE}")?;
        for (index, entry) in entries.iter().enumerate() {
            writeln!(self.output, "{index} : {}", sanitize::visible(entry))?;
        }
        if entries.is_empty() {
            self.output.flush()?;
            return Ok(Asked::Empty);
        }
        loop {
            write!(self.output, "Choose {what} : ")?;
            self.output.flush()?;
            let Some(word) = self.word()? else {
                self.tell("EOF")?;
                return Ok(Asked::Ended);
            };
            match number(&word, entries.len()) {
                Ok(index) => {
                    let entry = sanitize::visible(&entries[index]);
                    writeln!(self.output, "{RULE}The {what} you chose is {entry}")?;
                    self.output.flush()?;
                    return Ok(Asked::Chosen(index));
                }
                Err(why) => {
                    // The rest of that line was typed for an answer that this was none of.
                    self.ahead.clear();
                    self.tell(&why)?;
                    if !self.terminal {
                        return Ok(Asked::Wrong(why));
                    }
                }
            }
        }
    }

    /// The next word that was typed; an empty one for an empty line, none at the end.
    fn word(&mut self) -> io::Result<Option<String>> {
        if let Some(word) = self.ahead.pop_front() {
            return Ok(Some(word));
        }
        let mut line = Vec::new();
        if self.input.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        self.ahead = line.split_whitespace().map(str::to_owned).collect();
        Ok(Some(self.ahead.pop_front().unwrap_or_default()))
    }
}

/// Reads a number as Go scans one, and says what is wrong in Go's words as far as it had any.
fn number(word: &str, entries: usize) -> Result<usize, String> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    if word.is_empty() {
        return Err("unexpected newline".to_owned());
    }
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("expected integer".to_owned());
    }
    let Ok(number) = digits.parse::<i64>() else {
        return Err(format!(
            "strconv.ParseInt: parsing {word:?}: value out of range"
        ));
    };
    usize::try_from(number)
        .ok()
        .filter(|index| *index < entries && !(negative && *index > 0))
        .ok_or_else(|| format!("there is no {word}: choose 0 to {}", entries - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(typed: &str, terminal: bool) -> (Vec<Asked>, String) {
        let mut output = Vec::new();
        let mut prompt = Prompt::new(typed.as_bytes(), &mut output, terminal);
        let answers = [
            ("namespace", ["default", "kube-system"]),
            ("pod", ["db", "web\x1b[2J"]),
        ];
        let asked = answers
            .map(|(what, entries)| prompt.choose(what, &entries.map(str::to_owned)).unwrap());
        (asked.into(), String::from_utf8(output).unwrap())
    }

    #[test]
    fn the_screen_is_the_originals() {
        let (asked, screen) = ask("1\n0\n", false);
        assert_eq!(asked, [Asked::Chosen(1), Asked::Chosen(0)]);
        assert_eq!(
            screen,
            "\n---------------------------------------------\n0 : default\n1 : kube-system\n\
             Choose namespace : ---------------------------------------------\n\
             The namespace you chose is kube-system\n\
             \n---------------------------------------------\n0 : db\n1 : web\\x1b[2J\n\
             Choose pod : ---------------------------------------------\n\
             The pod you chose is db\n"
        );
    }

    #[test]
    fn numbers_are_read_as_they_were_and_better() {
        for typed in [
            "1\n1\n",
            "+1\n 1\n",
            "1 1\n",
            "1 \n1\n",
            "1\r\n1\r\n",
            "1\n1",
        ] {
            let (asked, _) = ask(typed, false);
            assert_eq!(asked, [Asked::Chosen(1), Asked::Chosen(1)], "{typed:?}");
        }
        assert_eq!(number("-0", 1), Ok(0));
    }

    #[test]
    fn a_wrong_answer_is_told_and_asked_for_again_on_a_terminal() {
        let (asked, screen) = ask("\nabc\n7 0\n-1\n99999999999999999999\n1\n0\n", true);
        assert_eq!(asked, [Asked::Chosen(1), Asked::Chosen(0)]);
        for line in [
            "Choose namespace : unexpected newline\nChoose namespace : expected integer\n",
            "there is no 7: choose 0 to 1\nChoose namespace : there is no -1: choose 0 to 1\n",
            "strconv.ParseInt: parsing \"99999999999999999999\": value out of range\n",
        ] {
            assert!(screen.contains(line), "{line:?} in {screen}");
        }
    }

    #[test]
    fn a_wrong_answer_from_a_pipe_is_the_end() {
        let (asked, _) = ask("abc\n0\n", false);
        assert_eq!(asked[0], Asked::Wrong("expected integer".into()));
        let (asked, screen) = ask("", false);
        assert_eq!(asked[0], Asked::Ended);
        assert!(screen.contains("Choose namespace : EOF\n"), "{screen}");
    }

    #[test]
    fn an_empty_list_is_no_choice() {
        let mut output = Vec::new();
        let mut prompt = Prompt::new(&b"0\n"[..], &mut output, true);
        assert_eq!(prompt.choose("pod", &[]).unwrap(), Asked::Empty);
    }
}
