//! The original's two flags, by the rules of Go's `flag` package: one dash or two, no short forms.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// What may be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// `-kind`: the cluster is one of kind.
    pub kind: bool,
    /// `-kubeconfig PATH`.
    pub kubeconfig: Option<PathBuf>,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// This.
    Flags(Flags),
    /// That help is wanted.
    Help,
    /// Something wrong, in Go's words.
    Wrong(String),
}

/// Whether a command line is the original's: no word at all, or one of its flags first.
pub(crate) fn is_original(words: &[OsString]) -> bool {
    let Some(first) = words.first() else {
        return true;
    };
    let Some(Word::Flag { name, .. }) = word(first) else {
        return false;
    };
    matches!(name, b"kind" | b"kubeconfig")
        || (name == b"help" && !first.as_bytes().starts_with(b"--"))
}

enum Word<'a> {
    /// `-name` or `-name=value`, after what was typed.
    Flag {
        name: &'a [u8],
        value: Option<&'a [u8]>,
    },
    /// Two dashes and no more.
    Stop,
    /// Dashes that lead to no name.
    Bad,
}

/// Reads a word; `None` for one that is no flag.
fn word(text: &OsStr) -> Option<Word<'_>> {
    let bytes = text.as_bytes();
    let rest = bytes.strip_prefix(b"-").filter(|rest| !rest.is_empty())?;
    let rest = match rest.strip_prefix(b"-") {
        Some([]) => return Some(Word::Stop),
        Some(rest) => rest,
        None => rest,
    };
    if rest.starts_with(b"-") || rest.starts_with(b"=") {
        return Some(Word::Bad);
    }
    let mut parts = rest.splitn(2, |&byte| byte == b'=');
    Some(Word::Flag {
        name: parts.next().unwrap_or_default(),
        value: parts.next(),
    })
}

/// Reads flags up to the first word that is none; what follows is ignored, as it always was.
pub(super) fn parse(words: &[OsString]) -> Parsed {
    let mut flags = Flags::default();
    let mut words = words.iter();
    while let Some(text) = words.next() {
        let (name, value) = match word(text) {
            None | Some(Word::Stop) => break,
            Some(Word::Bad) => {
                return Parsed::Wrong(format!("bad flag syntax: {}", text.to_string_lossy()));
            }
            Some(Word::Flag { name, value }) => (name, value),
        };
        match name {
            b"kind" => {
                let Some(kind) = value.map_or(Some(true), boolean) else {
                    let value = String::from_utf8_lossy(value.unwrap_or_default());
                    return Parsed::Wrong(format!(
                        "invalid boolean value {value:?} for -kind: parse error"
                    ));
                };
                flags.kind = kind;
            }
            b"kubeconfig" => match value {
                Some(value) => flags.kubeconfig = Some(OsString::from_vec(value.to_vec()).into()),
                None => match words.next() {
                    Some(path) => flags.kubeconfig = Some(path.into()),
                    None => return Parsed::Wrong("flag needs an argument: -kubeconfig".into()),
                },
            },
            b"h" | b"help" => return Parsed::Help,
            name => {
                let name = String::from_utf8_lossy(name);
                return Parsed::Wrong(format!("flag provided but not defined: -{name}"));
            }
        }
    }
    Parsed::Flags(flags)
}

/// What Go reads as a boolean.
fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Some(false),
        _ => None,
    }
}

/// The block that says how the program is called.
pub(super) fn usage(program: &str, default: Option<&Path>) -> String {
    let kubeconfig = match default {
        Some(path) => format!(
            "(optional) absolute path to the kubeconfig file (default {:?})",
            path.to_string_lossy()
        ),
        None => "absolute path to the kubeconfig file".to_owned(),
    };
    format!(
        "Usage of {program}:\n  -kind\n    \tfor kind env.\n  -kubeconfig string\n    \t{kubeconfig}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Parsed {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn flags(kind: bool, kubeconfig: Option<&str>) -> Parsed {
        Parsed::Flags(Flags {
            kind,
            kubeconfig: kubeconfig.map(PathBuf::from),
        })
    }

    #[test]
    fn one_dash_or_two_and_values_as_go_reads_them() {
        for (words, expected) in [
            (&[][..], flags(false, None)),
            (&["-kind"], flags(true, None)),
            (&["--kind=false"], flags(false, None)),
            (&["-kind", "false"], flags(true, None)),
            (&["--kubeconfig", "/k"], flags(false, Some("/k"))),
            (&["-kubeconfig=/k=1", "-kind=T"], flags(true, Some("/k=1"))),
            (&["-kubeconfig="], flags(false, Some(""))),
            (&["--", "-bogus"], flags(false, None)),
            (&["word", "-bogus"], flags(false, None)),
            (&["-", "-bogus"], flags(false, None)),
            (&["-kind", "-h"], Parsed::Help),
        ] {
            assert_eq!(read(words), expected, "{words:?}");
        }
    }

    #[test]
    fn faults_are_gos() {
        for (words, expected) in [
            (&["-bogus"][..], "flag provided but not defined: -bogus"),
            (&["--bogus=1"], "flag provided but not defined: -bogus"),
            (&["-kubeconfig"], "flag needs an argument: -kubeconfig"),
            (
                &["-kind=maybe"],
                "invalid boolean value \"maybe\" for -kind: parse error",
            ),
            (&["---kind"], "bad flag syntax: ---kind"),
            (&["-=x"], "bad flag syntax: -=x"),
        ] {
            assert_eq!(read(words), Parsed::Wrong(expected.into()), "{words:?}");
        }
    }

    #[test]
    fn only_the_originals_command_lines_are_its_own() {
        let is =
            |words: &[&str]| is_original(&words.iter().map(OsString::from).collect::<Vec<_>>());
        for words in [&[][..], &["-kind"], &["--kubeconfig=x"], &["-help"]] {
            assert!(is(words), "{words:?}");
        }
        for words in [
            &["trace"][..],
            &["--help"],
            &["-h"],
            &["--version"],
            &["-V"],
            &["--"],
            &["-"],
        ] {
            assert!(!is(words), "{words:?}");
        }
    }

    #[test]
    fn the_usage_block_is_gos() {
        assert_eq!(
            usage("./x-tracer", Some(Path::new("/home/me/.kube/config"))),
            "Usage of ./x-tracer:\n  -kind\n    \tfor kind env.\n  -kubeconfig string\n    \t(optional) absolute path to the kubeconfig file (default \"/home/me/.kube/config\")\n"
        );
        assert!(usage("x", None).ends_with("\tabsolute path to the kubeconfig file\n"));
    }
}
