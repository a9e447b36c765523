//! Why a process ended, from its exit, its last frame and its last words.

use super::control::Exit;
use super::failure::{Failure, FailureKind};
use super::frame::Outcome;
use super::headers;
use super::rights::Rights;

/// What is known about a process that is over.
pub(crate) struct Postmortem<'a> {
    /// How Python saw its end, if it lived to say so.
    pub(crate) outcome: Option<&'a Outcome>,
    /// How the kernel saw it; `None` when the warm parent is gone.
    pub(crate) exit: Option<Exit>,
    /// It had begun to wait for events.
    pub(crate) attached: bool,
    /// We killed it.
    pub(crate) stopped: bool,
    /// What it said last.
    pub(crate) said: &'a [String],
    /// The tool's plain name.
    pub(crate) tool: &'a str,
    /// Looks up what this process may do; asked only when a tool could not attach.
    pub(crate) rights: fn() -> Rights,
}

impl Postmortem<'_> {
    /// `None` when it ended as it should.
    pub(crate) fn failure(&self) -> Option<Failure> {
        if self.stopped {
            return None;
        }
        match (self.outcome, self.exit) {
            (Some(Outcome::Interrupted), _) => None,
            (Some(Outcome::Finished { loaded, attached }), _) if *attached || !*loaded => None,
            (Some(Outcome::Finished { .. }), _) => Some(self.failed(
                FailureKind::LeftEarly,
                "it ended before it traced anything, without an error",
                "its last words say what it missed in this kernel".to_owned(),
            )),
            (Some(Outcome::Exited { code: 2, .. }), _) if !self.attached && self.has_said("usage:") => {
                Some(self.failed(
                    FailureKind::Usage,
                    "it does not know its arguments",
                    "this release of the tool lacks an option: install a newer BCC, or change the \
                     probe's arguments"
                        .to_owned(),
                ))
            }
            (Some(Outcome::Exited { code, words }), _) => {
                let words = if words.is_empty() { String::new() } else { format!(": {words}") };
                Some(self.explain(&format!("it ended with status {code}{words}")))
            }
            (Some(Outcome::Raised { kind, words, trace }), _) => {
                let place = trace.last().map_or_else(String::new, |line| format!(" (at: {line})"));
                Some(self.explain(&format!("{kind}: {words}{place}")))
            }
            (None, Some(Exit::Signal(number))) => Some(self.killed(number)),
            (None, Some(Exit::Code(code))) => {
                Some(self.explain(&format!("its process ended with status {code}, without a word")))
            }
            (None, None) => Some(Failure {
                kind: FailureKind::WarmParent,
                reason: "the process that starts tools is gone, and all tools with it".to_owned(),
                remedy: "start the agent again; the kernel's log (dmesg) shows if memory ran out".to_owned(),
            }),
        }
    }

    fn failed(&self, kind: FailureKind, reason: &str, remedy: String) -> Failure {
        Failure {
            kind,
            reason: format!("{}: {reason}", self.tool),
            remedy,
        }
    }

    fn killed(&self, number: i32) -> Failure {
        let name = nix::sys::signal::Signal::try_from(number)
            .map_or("an unknown signal", |signal| signal.as_str());
        let remedy = if number == nix::libc::SIGKILL {
            "somebody killed it, or memory ran out: see dmesg, and give the agent's pod at least 1 GiB"
        } else {
            "this is a fault in Python, BCC or LLVM: report it with the lines it printed last"
        };
        self.failed(
            FailureKind::Crashed,
            &format!("{name} ended its process"),
            remedy.to_owned(),
        )
    }

    fn has_said(&self, words: &str) -> bool {
        self.said.iter().any(|line| line.contains(words))
    }

    /// Finds the cause behind an error from what BCC, clang and Python are known to say.
    fn explain(&self, error: &str) -> Failure {
        let heard = |words: &str| error.contains(words) || self.has_said(words);
        let release = headers::release();
        let (kind, remedy) = if heard("No module named 'bcc'") || heard("libbcc.so") {
            (
                FailureKind::MissingBcc,
                "install Python's bcc for the python3 of this machine (Debian, Ubuntu: apt install \
                 python3-bpfcc; Fedora: python3-bcc; Arch: python-bcc; Alpine: py3-bcc)"
                    .to_owned(),
            )
        } else if heard("Unable to find kernel headers") {
            (FailureKind::Headers, headers::remedy(&release))
        } else if heard("Need super-user privileges") || heard("Operation not permitted") {
            (
                FailureKind::Privileges,
                (self.rights)().lack().unwrap_or_else(|| {
                    "run the agent as root with CAP_SYS_ADMIN; kernel lockdown and seccomp also refuse".to_owned()
                }),
            )
        } else if error.contains("Failed to compile") {
            cannot_compile(&release)
        } else if error.contains("Failed to load BPF program") {
            (
                FailureKind::Refused,
                format!(
                    "BCC and kernel {release} do not fit: use a release of BCC that is not older than the kernel"
                ),
            )
        } else if error.contains("Failed to attach") {
            self.attach(&release)
        } else {
            (
                FailureKind::Crashed,
                format!("its last words name the cause; kernel {release} and this BCC may not fit"),
            )
        };
        self.failed(kind, error, remedy)
    }

    fn attach(&self, release: &str) -> (FailureKind, String) {
        // First, because a lack of rights looks like a function that is not there.
        if let Some(lack) = (self.rights)().lack() {
            return (FailureKind::Privileges, lack);
        }
        let gone = [
            "probe entry may not exist",
            "Invalid argument",
            "not traceable",
        ];
        // "not traceable" is a guess that libbcc adds to every refusal; the C library's words are not.
        let sure = gone[..2].iter().any(|words| self.has_said(words));
        let busy = [
            "Device or resource busy",
            "Too many open files",
            "Cannot allocate memory",
            "No space left",
        ];
        if !sure && busy.iter().any(|words| self.has_said(words)) {
            return (
                FailureKind::AttachRace,
                "the kernel is short of something at the moment; the probe is started again"
                    .to_owned(),
            );
        }
        (
            FailureKind::CannotAttach,
            format!(
                "kernel {release} has not the function that this release of the tool attaches to (inlined, renamed, \
                 or no kprobes at all): a newer BCC may know its successor; the other probes go on"
            ),
        )
    }
}

fn cannot_compile(release: &str) -> (FailureKind, String) {
    match headers::source(release) {
        None => (FailureKind::Headers, headers::remedy(release)),
        Some(source) => (
            FailureKind::Compile,
            format!(
                "the headers of kernel {release} ({source}) do not fit this BCC: use a release of BCC that is \
                 not older than the kernel, e.g. the agent's image of a newer Debian"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examine(outcome: Option<&Outcome>, exit: Exit, said: &[&str]) -> Option<Failure> {
        let said: Vec<_> = said.iter().map(|line| (*line).to_owned()).collect();
        Postmortem {
            outcome,
            exit: Some(exit),
            attached: false,
            stopped: false,
            said: &said,
            tool: "biosnoop",
            rights: || Rights {
                capabilities: u64::MAX,
                ..Rights::default()
            },
        }
        .failure()
    }

    fn raised(words: &str) -> Outcome {
        Outcome::Raised {
            kind: "Exception".to_owned(),
            words: words.to_owned(),
            trace: vec!["b = load()".to_owned()],
        }
    }

    #[test]
    fn each_known_complaint_has_its_kind_and_a_remedy_that_names_a_step() {
        let cases: &[(&str, &[&str], FailureKind, &str)] = &[
            (
                "No module named 'bcc'",
                &[],
                FailureKind::MissingBcc,
                "python3-bpfcc",
            ),
            (
                "Failed to compile BPF module <text>",
                &["Unable to find kernel headers. Try"],
                FailureKind::Headers,
                "linux-headers-",
            ),
            (
                "Need super-user privileges to run",
                &[],
                FailureKind::Privileges,
                "root",
            ),
            (
                "Failed to attach BPF program b'f' to kprobe b'g', it's not traceable (either",
                &["cannot attach kprobe, probe entry may not exist"],
                FailureKind::CannotAttach,
                "newer BCC",
            ),
            (
                "Failed to attach BPF program b'f' to kprobe b'g'",
                &["perf_event_open: Device or resource busy"],
                FailureKind::AttachRace,
                "again",
            ),
            (
                "Failed to load BPF program b'f': Invalid argument",
                &[],
                FailureKind::Refused,
                "not older",
            ),
            (
                "list index out of range",
                &[],
                FailureKind::Crashed,
                "last words",
            ),
        ];
        for (words, said, kind, remedy) in cases {
            let failure = examine(Some(&raised(words)), Exit::Code(1), said).expect(words);
            assert_eq!(failure.kind, *kind, "{words}");
            assert!(
                failure.remedy.contains(remedy),
                "{words}: {}",
                failure.remedy
            );
            assert!(failure.reason.contains(words) && failure.reason.starts_with("biosnoop: "));
        }
    }

    #[test]
    fn an_end_without_error_is_a_failure_only_if_nothing_was_traced() {
        let finished = |loaded, attached| Outcome::Finished { loaded, attached };
        assert_eq!(
            examine(Some(&finished(false, true)), Exit::Code(0), &[]),
            None
        );
        assert_eq!(
            examine(Some(&finished(true, true)), Exit::Code(0), &[]),
            None
        );
        assert_eq!(
            examine(Some(&finished(false, false)), Exit::Code(0), &[]),
            None
        );
        let early = examine(Some(&finished(true, false)), Exit::Code(0), &["ERROR"])
            .expect("it saw nothing");
        assert_eq!(early.kind, FailureKind::LeftEarly);
    }

    #[test]
    fn a_missing_right_is_named_although_the_tool_speaks_of_functions() {
        let outcome = raised(
            "Failed to attach BPF program b'f' to kprobe b'sys_execve', it's not traceable (either",
        );
        let said = ["cannot attach kprobe, probe entry may not exist".to_owned()];
        let failure = Postmortem {
            outcome: Some(&outcome),
            exit: Some(Exit::Code(1)),
            attached: false,
            stopped: false,
            said: &said,
            tool: "execsnoop",
            rights: || Rights {
                hidden_addresses: true,
                ..Rights::default()
            },
        }
        .failure()
        .expect("a failure");
        assert_eq!(failure.kind, FailureKind::Privileges);
        assert!(failure.remedy.contains("CAP_SYSLOG"), "{}", failure.remedy);
    }

    #[test]
    fn a_signal_has_its_name_and_bad_arguments_are_recognised() {
        let killed = examine(None, Exit::Signal(nix::libc::SIGSEGV), &[]).expect("a failure");
        assert!(killed.reason.contains("SIGSEGV"), "{}", killed.reason);
        let exited = Outcome::Exited {
            code: 2,
            words: String::new(),
        };
        let usage = examine(
            Some(&exited),
            Exit::Code(2),
            &["usage: x [-h]", "x: error: unrecognized"],
        )
        .expect("a failure");
        assert_eq!(usage.kind, FailureKind::Usage);
    }
}
