//! What one verdict costs. Run as root: `cargo bench -p x-agent --bench scope`.

use std::fs::File;
use std::hint::black_box;
use std::process::Command;

use criterion::{Criterion, criterion_group, criterion_main};
use x_agent::scope::{Options, Scope, Target, TargetKey, Verdict};

/// The first child of a process, once it has one.
fn child_of(parent: u32) -> u32 {
    let children = format!("/proc/{parent}/task/{parent}/children");
    loop {
        let text = std::fs::read_to_string(&children).expect("its children");
        if let Ok(pid) = text.trim().parse() {
            return pid;
        }
    }
}

fn verdicts(criterion: &mut Criterion) {
    let command = "--pdeathsig KILL unshare --pid --fork --kill-child sleep infinity";
    let mut keeper = Command::new("setpriv")
        .args(command.split(' '))
        .spawn()
        .expect("setpriv and unshare (package util-linux)");
    let inside = child_of(keeper.id());
    let outside = std::process::id();
    let mut group = criterion.benchmark_group("verdict");
    for (name, table) in [("kernel table", true), ("procfs only", false)] {
        let (scope, warnings) = Scope::open(&Options {
            table,
            ..Options::default()
        })
        .expect("the host's namespace");
        assert!(warnings.is_empty(), "run as root: {warnings:?}");
        scope
            .add(Target::from(TargetKey::Pid(inside)))
            .expect("a PID namespace of its own");
        assert!(matches!(scope.verdict(inside), Verdict::In { .. }));
        assert_eq!(scope.verdict(outside), Verdict::Out);
        group.bench_function(format!("{name}, in"), |bencher| {
            bencher.iter(|| scope.verdict(black_box(inside)));
        });
        group.bench_function(format!("{name}, out"), |bencher| {
            bencher.iter(|| scope.verdict(black_box(outside)));
        });
    }
    // The least that any look at a file could cost, to compare with.
    group.bench_function("open /proc/self and close it", |bencher| {
        bencher.iter(|| File::open(black_box("/proc/self")));
    });
    group.finish();
    keeper.kill().expect("kill");
    keeper.wait().expect("wait");
}

criterion_group!(benches, verdicts);
criterion_main!(benches);
