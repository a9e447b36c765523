//! The answer, for people and for programs.

use probeparser::Probe;
use serde::Serialize;

use super::checks::{Check, State, checks};
use super::facts::Facts;
use super::probes::{Outlook, outlook};
use crate::exit::Exit;
use crate::show::sanitize;

/// Width of the column of names.
const NAME: usize = 16;

/// The whole answer.
#[derive(Serialize)]
pub(crate) struct Report {
    kernel: String,
    bcc: Option<String>,
    checks: Vec<Check>,
    probes: Vec<Outlook>,
    verdict: Verdict,
}

/// How many of the seven probes should work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    All,
    Some,
    None,
}

impl Report {
    /// Judges the facts.
    pub(crate) fn new(facts: &Facts) -> Self {
        let checks = checks(facts);
        let probes = Probe::SEVEN.map(|probe| outlook(probe, facts));
        // Without it the agent itself does not start.
        let agent = !facts.libpython.is_empty();
        let verdict = match probes.iter().filter(|probe| probe.works && agent).count() {
            7 => Verdict::All,
            0 => Verdict::None,
            _ => Verdict::Some,
        };
        Self {
            kernel: facts.release.clone(),
            bcc: facts.bcc_version.map(|version| version.to_string()),
            checks,
            probes: probes.into(),
            verdict,
        }
    }

    /// The exit status.
    pub(crate) fn exit(&self) -> Exit {
        match self.verdict {
            Verdict::All => Exit::Done,
            Verdict::Some => Exit::Loss,
            Verdict::None => Exit::Failed,
        }
    }

    /// One JSON object.
    pub(crate) fn json(&self) -> String {
        let object = serde_json::to_string_pretty(self).expect("strings and lists encode");
        object + "\n"
    }

    /// Lines for people.
    pub(crate) fn text(&self) -> String {
        let mut lines = Vec::new();
        for Check {
            name,
            state,
            found,
            remedy,
        } in &self.checks
        {
            let state = match state {
                State::Ok => "ok",
                State::Warn => "warning",
                State::Missing => "MISSING",
            };
            lines.push(format!("{state:<8} {name:<NAME$} {found}"));
            lines.extend(
                remedy
                    .iter()
                    .map(|remedy| format!("{:8} {:NAME$} to mend it: {remedy}", "", "")),
            );
        }
        lines.push(String::new());
        for Outlook {
            probe,
            works,
            reasons,
        } in &self.probes
        {
            let verdict = match (works, reasons.is_empty()) {
                (true, true) => "should work",
                (true, false) => "should work, but",
                (false, _) => "can't work",
            };
            lines.push(format!("{probe:<NAME$} {verdict}"));
            lines.extend(
                reasons
                    .iter()
                    .map(|reason| format!("{:NAME$} - {reason}", "")),
            );
        }
        lines.push(String::new());
        lines.push(format!("verdict: {}", self.verdict_line()));
        let mut text = String::new();
        for line in lines {
            text.push_str(&sanitize::visible(&line));
            text.push('\n');
        }
        text
    }

    fn verdict_line(&self) -> String {
        let failing: Vec<_> = self
            .probes
            .iter()
            .filter(|probe| !probe.works)
            .map(|probe| probe.probe.name())
            .collect();
        match self.verdict {
            Verdict::All => "all seven probes should work".into(),
            Verdict::Some => format!(
                "{} of the seven probes should work; {} can't",
                Probe::SEVEN.len() - failing.len(),
                failing.join(", ")
            ),
            Verdict::None => "none of the seven probes can work here".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::host::Host;
    use super::*;

    /// A Debian 12 that has everything: its kernel, its tools.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new(release: &str, bcc: &str) -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            let symbols =
                super::super::probes::SYMBOLS.map(|name| format!("0000000000000000 T {name}"));
            for (path, text) in [
                ("proc/sys/kernel/osrelease", release.to_owned() + "\n"),
                (
                    "proc/self/status",
                    "Name:\tx\nCapEff:\t000001ffffffffff\n".into(),
                ),
                ("proc/sys/kernel/perf_event_paranoid", "3\n".into()),
                ("proc/kallsyms", symbols.join("\n")),
                (
                    "proc/filesystems",
                    "nodev\ttracefs\nnodev\tdebugfs\nnodev\tbpf\n".into(),
                ),
                (
                    "proc/self/mountinfo",
                    "30 29 0:12 / /sys/kernel/debug rw - debugfs debugfs rw\n".into(),
                ),
                ("sys/bus/event_source/devices/kprobe/type", "6\n".into()),
                ("sys/kernel/btf/vmlinux", String::new()),
                ("etc/os-release", "ID=debian\n".into()),
                (
                    "usr/lib/python3/dist-packages/bcc/__init__.py",
                    String::new(),
                ),
                (
                    "usr/lib/python3/dist-packages/bcc/version.py",
                    format!("__version__ = '{bcc}'\n"),
                ),
                ("usr/lib/x86_64-linux-gnu/libbcc.so.0", String::new()),
                (
                    "usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0",
                    String::new(),
                ),
                (
                    &format!("lib/modules/{release}/build/Makefile"),
                    String::new(),
                ),
            ] {
                machine.write(path, &text);
            }
            for probe in Probe::SEVEN {
                machine.write(&format!("usr/sbin/{probe}-bpfcc"), "#! /usr/bin/python3\n");
            }
            fs::create_dir_all(machine.0.path().join("proc/self/ns")).unwrap();
            symlink(
                "pid:[4026531836]",
                machine.0.path().join("proc/self/ns/pid"),
            )
            .unwrap();
            machine
        }

        fn write(&self, path: &str, text: &str) -> &Self {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            self
        }

        fn without(&self, path: &str) -> &Self {
            let path = self.0.path().join(path);
            if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            }
            .unwrap();
            self
        }

        fn without_symbol(&self, name: &str) -> &Self {
            let list = fs::read_to_string(self.0.path().join("proc/kallsyms")).unwrap();
            let kept: Vec<_> = list
                .lines()
                .filter(|line| !line.ends_with(&format!(" {name}")))
                .collect();
            self.write("proc/kallsyms", &kept.join("\n"))
        }

        fn report(&self) -> Report {
            Report::new(&Facts::gather(&Host::below(self.0.path()), &[]))
        }
    }

    fn failing(report: &Report) -> Vec<Probe> {
        report
            .probes
            .iter()
            .filter(|probe| !probe.works)
            .map(|probe| probe.probe)
            .collect()
    }

    #[test]
    fn debian_12_has_all_seven_and_says_what_cachetop_lacks() {
        let machine = Machine::new("6.1.0-44-amd64", "0.26.0");
        let report = machine.report();
        assert_eq!(report.exit(), Exit::Done, "{}", report.text());
        let text = report.text();
        assert!(
            text.ends_with("verdict: all seven probes should work\n"),
            "{text}"
        );
        assert!(text.contains("misses are always near 0"), "{text}");
        assert!(
            text.contains("ok       debugfs          mounted on /sys/kernel/debug"),
            "{text}"
        );
        assert!(
            text.contains("ok       Python's bcc     0.26, /usr/lib/python3/dist-packages/bcc"),
            "{text}"
        );
    }

    #[test]
    fn inlined_block_accounting_is_no_obstacle() {
        let machine = Machine::new("6.1.0-44-amd64", "0.26.0");
        for name in [
            "blk_account_io_start",
            "__blk_account_io_start",
            "__traceiter_block_io_start",
        ] {
            machine.without_symbol(name);
        }
        let report = machine.report();
        assert_eq!(report.exit(), Exit::Done);
        assert!(
            report
                .text()
                .contains("its own attach points are not in this kernel")
        );
        let text = machine
            .without_symbol("blk_mq_start_request")
            .report()
            .text();
        assert!(
            text.contains("this kernel has no blk_account_io_start or"),
            "{text}"
        );
    }

    #[test]
    fn what_debian_13_gets_wrong_the_agent_mends_and_that_is_said() {
        let report = Machine::new("6.12.0-117-amd64", "0.31.0").report();
        assert_eq!(report.exit(), Exit::Done);
        assert_eq!(failing(&report), []);
        let text = report.text();
        assert!(text.contains("`struct sock` was reorganised"), "{text}");
    }

    #[test]
    fn without_kprobes_only_the_tracepoint_tool_is_left() {
        let machine = Machine::new("6.1.0-44-amd64", "0.26.0");
        machine.without("sys/bus").without_symbol("register_kprobe");
        let report = machine.report();
        assert_eq!(report.exit(), Exit::Loss);
        assert_eq!(failing(&report).len(), 6);
        let text = report.text();
        assert!(
            text.contains("MISSING  kprobes          not compiled into this kernel"),
            "{text}"
        );
    }

    #[test]
    fn what_everything_needs_is_named_with_its_command() {
        for (path, check, command) in [
            (
                "lib/modules",
                "kernel headers",
                "apt-get install linux-headers-6.1.0-44-amd64",
            ),
            (
                "usr/lib/python3",
                "Python's bcc",
                "apt-get install bpfcc-tools",
            ),
            (
                "usr/lib/x86_64-linux-gnu/libbcc.so.0",
                "libbcc",
                "apt-get install bpfcc-tools",
            ),
            (
                "usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0",
                "libpython",
                "apt-get install libpython3",
            ),
            ("proc/self/ns/pid", "PID namespace", "--pid=host"),
            ("proc/self/status", "rights", "sudo x-tracer doctor"),
        ] {
            let machine = Machine::new("6.1.0-44-amd64", "0.26.0");
            let report = machine.without(path).report();
            assert_eq!(report.exit(), Exit::Failed, "{path}");
            let found = report
                .checks
                .iter()
                .find(|line| line.name == check)
                .unwrap();
            assert_eq!(found.state, State::Missing, "{path}");
            assert!(
                found.remedy.as_ref().unwrap().contains(command),
                "{found:?}"
            );
            assert!(report.text().contains("none of the seven probes can work"));
        }
    }

    #[test]
    fn a_missing_or_compiled_tool_is_named() {
        let machine = Machine::new("6.1.0-44-amd64", "0.26.0");
        machine.without("usr/sbin/tcplife-bpfcc");
        machine.write("usr/sbin/execsnoop-bpfcc", "\x7fELF\0\0");
        let report = machine.report();
        assert_eq!(failing(&report), [Probe::Tcplife, Probe::Execsnoop]);
        let text = report.text();
        assert!(
            text.contains("execsnoop-bpfcc is no Python program"),
            "{text}"
        );
    }

    #[test]
    fn json_says_the_same_and_strangers_text_is_escaped() {
        let machine = Machine::new("6.1.0\x1b[2J", "0.26.0");
        let report = machine.report();
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["kernel"], "6.1.0\x1b[2J");
        assert_eq!(json["bcc"], "0.26");
        assert_eq!(json["verdict"], "all");
        assert_eq!(json["probes"][0]["probe"], "tcptracer");
        assert_eq!(json["checks"][0]["check"], "rights");
        assert!(!report.text().contains('\x1b'));
    }
}
