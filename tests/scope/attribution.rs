//! Which processes belong to a target.

use std::collections::HashSet;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use x_agent::scope::{By, Target, TargetKey, Verdict};

use crate::space::{Space, is_root, owner, procfs_only, scope, short_lived, sleeper, trace};

#[test]
fn a_thousand_processes_of_a_millisecond_in_and_a_thousand_out() {
    if !is_root("a thousand processes") {
        return;
    }
    let scope = scope();
    let (target, other) = (Space::new(), Space::new());
    let id = trace(&scope, &target);

    // All at once, so that their numbers interleave.
    let (inside, in_sibling, on_host) = thread::scope(|threads| {
        let inside = threads.spawn(|| target.run(|| short_lived(1000)));
        let in_sibling = threads.spawn(|| other.run(|| short_lived(500)));
        let on_host = short_lived(500);
        (inside.join().unwrap(), in_sibling.join().unwrap(), on_host)
    });

    let mut inner_pids = HashSet::new();
    for pid in &inside {
        let Verdict::In {
            target,
            pid_ns: Some(inner),
            by: By::Kernel,
        } = scope.verdict(*pid)
        else {
            panic!("process {pid} of the target: {:?}", scope.verdict(*pid));
        };
        assert_eq!(target, id);
        inner_pids.insert(inner);
    }
    assert_eq!(
        inner_pids.len(),
        1000,
        "each had a number of its own inside"
    );
    assert!(
        !inner_pids.contains(&1),
        "number 1 is the namespace's first process"
    );
    for pid in in_sibling.iter().chain(&on_host) {
        assert_eq!(
            scope.verdict(*pid),
            Verdict::Out,
            "process {pid} from outside"
        );
    }
    assert_eq!(scope.counters(), x_agent::scope::Counters::default());
    drop(scope);

    // They are gone: without the table there is no answer.
    let scope = procfs_only();
    trace(&scope, &target);
    let unknown = |pid: &&u32| scope.verdict(**pid) == Verdict::Unknown;
    assert_eq!(inside.iter().filter(unknown).count(), 1000);
}

#[test]
fn a_fork_without_exec_counts() {
    if !is_root("forks") {
        return;
    }
    let scope = scope();
    let target = Space::new();
    let id = trace(&scope, &target);
    let forked = target.run(|| {
        let mut pids = Vec::new();
        for _ in 0..200 {
            // SAFETY: the child calls nothing but _exit, which is async-signal-safe.
            match unsafe { fork() }.expect("fork") {
                // SAFETY: ends the process at once, runs no destructor or exit handler.
                ForkResult::Child => unsafe { nix::libc::_exit(0) },
                ForkResult::Parent { child } => {
                    waitpid(child, None).expect("wait");
                    pids.push(u32::try_from(child.as_raw()).unwrap());
                }
            }
        }
        pids
    });
    for pid in forked {
        assert_eq!(owner(scope.verdict(pid)), Some((id, By::Kernel)));
    }
}

#[test]
fn a_process_is_written_down_before_it_does_anything() {
    if !is_root("forks that wait") {
        return;
    }
    let scope = scope();
    let target = Space::new();
    let id = trace(&scope, &target);
    // Neither exec nor exit can have told of it.
    let child = target.run(|| {
        // SAFETY: the child calls nothing but pause, which is async-signal-safe.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Child => loop {
                // SAFETY: waits for a signal, touches nothing.
                unsafe { nix::libc::pause() };
            },
            ForkResult::Parent { child } => child,
        }
    });
    let verdict = scope.verdict(u32::try_from(child.as_raw()).unwrap());
    kill(child, Signal::SIGKILL).expect("kill");
    waitpid(child, None).expect("wait");
    let pid_ns = Some(2);
    let by = By::Kernel;
    assert_eq!(
        verdict,
        Verdict::In {
            target: id,
            pid_ns,
            by
        }
    );
}

#[test]
fn processes_older_than_the_agent() {
    if !is_root("older processes") {
        return;
    }
    let (target, other) = (Space::new(), Space::new());
    let older = target.run(sleeper);
    let older_pid = older.id();
    let outsider = other.init;

    let without_table = procfs_only();
    trace(&without_table, &target);
    let alive = without_table.verdict(older_pid);
    assert!(
        matches!(
            alive,
            Verdict::In {
                pid_ns: Some(2),
                by: By::Procfs,
                ..
            }
        ),
        "{alive:?}"
    );
    assert_eq!(without_table.verdict(outsider), Verdict::Out);
    assert_eq!(without_table.verdict(std::process::id()), Verdict::Out);
    assert_eq!(without_table.verdict(1), Verdict::Out);

    let scope = scope();
    let id = trace(&scope, &target);
    let expected = Verdict::In {
        target: id,
        pid_ns: Some(2),
        by: By::Kernel,
    };
    assert_eq!(scope.verdict(older_pid), expected, "while it lives");
    drop(older);
    assert_eq!(scope.verdict(older_pid), expected, "once it is dead");
    assert_eq!(without_table.verdict(older_pid), Verdict::Unknown);
    assert_eq!(scope.verdict(outsider), Verdict::Out);
    assert_eq!(scope.verdict(1), Verdict::Out);
}

#[test]
fn the_idle_task_and_numbers_never_given_are_unknown() {
    if !is_root("unknown numbers") {
        return;
    }
    let (scope, target) = (scope(), Space::new());
    trace(&scope, &target);
    // 2^22 is the most that PIDs can reach.
    for pid in [0, 1 << 22, u32::MAX] {
        assert_eq!(scope.verdict(pid), Verdict::Unknown);
    }
}

#[test]
fn a_nested_namespace_belongs_and_a_sibling_does_not() {
    if !is_root("nested namespaces") {
        return;
    }
    let (scope, without_table) = (scope(), procfs_only());
    let (target, sibling) = (Space::new(), Space::new());
    let id = trace(&scope, &target);
    trace(&without_table, &target);
    let (inner, keeper) = target.nested();
    let nested = Space::of(inner);
    assert_ne!(nested.inode, target.inode);

    let procfs = without_table.verdict(inner);
    assert!(
        matches!(
            procfs,
            Verdict::In {
                pid_ns: Some(1),
                by: By::Procfs,
                ..
            }
        ),
        "{procfs:?}"
    );
    assert_eq!(without_table.verdict(sibling.init), Verdict::Out);
    let dead = nested.run(|| short_lived(50));
    let foreign = sibling.run(|| short_lived(50));

    // Now the whole nested namespace goes.
    drop(keeper);
    for pid in dead.iter().chain([&inner]) {
        assert_eq!(owner(scope.verdict(*pid)), Some((id, By::Kernel)));
    }
    for pid in &foreign {
        assert_eq!(scope.verdict(*pid), Verdict::Out);
    }
}

#[test]
fn of_nested_targets_the_innermost_has_it() {
    if !is_root("nested targets") {
        return;
    }
    let (scope, without_table) = (scope(), procfs_only());
    let target = Space::new();
    let (inner, keeper) = target.nested();
    let nested = Space::of(inner);
    for scope in [&scope, &without_table] {
        let outer_id = trace(scope, &target);
        let inner_id = trace(scope, &nested);
        assert_eq!(owner(scope.verdict(target.init)).unwrap().0, outer_id);
        assert_eq!(owner(scope.verdict(inner)).unwrap().0, inner_id);
        scope.remove(inner_id).unwrap();
        assert_eq!(owner(scope.verdict(inner)).unwrap().0, outer_id);
    }
    drop(keeper);
}

#[test]
fn targets_come_and_go() {
    if !is_root("several targets") {
        return;
    }
    let scope = scope();
    let (first, second) = (Space::new(), Space::new());
    let early = second.run(|| short_lived(1))[0];
    assert_eq!(scope.verdict(first.init), Verdict::Out);

    let named: Target = format!("pid:{},pod=web-0", first.init).parse().unwrap();
    let first_id = scope.add(named.clone()).unwrap().id;
    let second_id = trace(&scope, &second);
    assert_ne!(first_id, second_id);
    assert_eq!(scope.target(first_id), Some(named.clone()));
    assert_eq!(
        owner(scope.verdict(first.init)),
        Some((first_id, By::Kernel))
    );
    // Born before its target was added: alive it is known, dead it cannot be proved.
    assert_eq!(
        owner(scope.verdict(second.init)),
        Some((second_id, By::Kernel))
    );
    assert_eq!(scope.verdict(early), Verdict::Unknown);

    assert_eq!(scope.remove(first_id), Some(named));
    assert_eq!(
        (scope.remove(first_id), scope.target(first_id)),
        (None, None)
    );
    assert_eq!(scope.verdict(first.init), Verdict::Out);
    assert_eq!(
        owner(scope.verdict(second.init)),
        Some((second_id, By::Kernel))
    );

    let again = scope.add(Target::from(TargetKey::Pid(first.init))).unwrap();
    assert!(again.id > second_id, "numbers are not given twice");
    let twice = scope
        .add(Target::from(TargetKey::PidNamespace(first.inode)))
        .unwrap();
    let warning = twice.warnings[0].to_string();
    assert!(
        warning.contains(&format!("with pid:{}", first.init)),
        "{warning}"
    );
}
