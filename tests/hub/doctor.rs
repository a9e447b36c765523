//! What doctor says of the machine that the test runs on.

use std::path::Path;

use crate::process::run;

#[test]
fn agrees_with_this_machine_and_changes_nothing() {
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    let end = run(&["doctor", "--json"]);
    assert_eq!(before, mounts());
    assert!(end.stderr.is_empty(), "{end:#?}");
    let report: serde_json::Value = serde_json::from_str(&end.stdout.concat()).unwrap();
    let verdict = report["verdict"].as_str().unwrap();
    let code = match verdict {
        "all" => 0,
        "some" => 6,
        _ => 1,
    };
    assert_eq!(end.code, Some(code), "{report:#}");

    let state = |name: &str| {
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["check"] == name);
        check.unwrap()["state"].as_str().unwrap().to_owned()
    };
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(report["kernel"], release.trim());
    let modules = Path::new("/lib/modules").join(release.trim());
    if !modules.exists() && !Path::new("/sys/kernel/kheaders.tar.xz").exists() {
        assert_eq!(state("kernel headers"), "missing");
        assert_eq!(verdict, "none");
    }
    if Path::new("/sys/bus/event_source/devices/kprobe").exists() {
        assert_eq!(state("kprobes"), "ok");
    }
    if Path::new("/usr/sbin/tcplife-bpfcc").exists() {
        assert_eq!(state("tcplife"), "ok");
    }
}

#[test]
fn text_ends_with_the_verdict_and_names_every_probe() {
    let end = run(&["doctor"]);
    let verdict = end.stdout.last().unwrap();
    assert!(
        verdict.starts_with("verdict: ") && verdict.contains("seven probes"),
        "{end:#?}"
    );
    for probe in probeparser::Probe::SEVEN {
        let line = |line: &&String| line.starts_with(probe.name()) && line.contains("work");
        assert_eq!(
            end.stdout.iter().filter(line).count(),
            1,
            "{probe}: {end:#?}"
        );
    }
}

#[test]
fn a_folder_of_tools_is_looked_at_first() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tcplife.py"), "print()").unwrap();
    let path = folder.path().to_str().unwrap();
    let end = run(&["doctor", "--tools-dir", path]);
    let found = format!("{path}/tcplife.py");
    assert!(
        end.stdout.iter().any(|line| line.contains(&found)),
        "{end:#?}"
    );
}
