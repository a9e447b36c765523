//! The kernel gives a dead namespace's inode, and a dead process' number, to the next one.

use nix::libc;
use x_agent::scope::{By, Scope, Target, TargetKey, Verdict};

use crate::space::{Space, is_root, owner, scope, short_lived, sleeper, trace};

/// Makes namespaces until one has this inode. Those made on the way are kept, or their inodes
/// would come again and again; all but a few numbers below the wanted one are taken by then.
fn until_reused(inode: u32) -> (Space, Vec<Space>) {
    let mut others = Vec::new();
    for _ in 0..300 {
        let space = Space::new();
        if space.inode == inode {
            return (space, others);
        }
        others.push(space);
    }
    panic!("none of 300 new namespaces was given inode {inode}");
}

#[test]
fn the_inode_of_a_traced_namespace_is_not_given_away() {
    if !is_root("held inodes") {
        return;
    }
    let scope = scope();
    let target = Space::new();
    let id = trace(&scope, &target);
    let (inode, old) = (target.inode, target.run(|| short_lived(5)));
    drop(target);

    let others: Vec<Space> = (0..40).map(|_| Space::new()).collect();
    for other in &others {
        assert_ne!(other.inode, inode);
        assert_eq!(scope.verdict(other.init), Verdict::Out);
    }
    for pid in &old {
        assert_eq!(
            owner(scope.verdict(*pid)),
            Some((id, By::Kernel)),
            "events may come late"
        );
    }
}

#[test]
fn the_next_namespace_with_a_former_targets_inode_is_not_the_target() {
    if !is_root("reused inodes") {
        return;
    }
    let scope = scope();
    let former = Space::new();
    let former_id = trace(&scope, &former);
    let (inode, old) = (former.inode, former.run(|| short_lived(20)));
    drop(former);
    scope.remove(former_id).unwrap();

    let (next, _others) = until_reused(inode);
    assert_eq!(scope.verdict(next.init), Verdict::Out);

    // Now the newcomer is traced: what the former one left must not be taken for its own.
    let next_id = trace(&scope, &next);
    for pid in &old {
        assert_eq!(
            scope.verdict(*pid),
            Verdict::Unknown,
            "process {pid} of the former one"
        );
    }
    assert_eq!(owner(scope.verdict(next.init)), Some((next_id, By::Kernel)));
    for pid in next.run(|| short_lived(20)) {
        assert_eq!(owner(scope.verdict(pid)), Some((next_id, By::Kernel)));
    }
}

#[test]
fn a_nested_inode_that_moves_outside_takes_nobody_along() {
    if !is_root("reused nested inodes") {
        return;
    }
    let scope = scope();
    let target = Space::new();
    let id = trace(&scope, &target);
    let (inner, keeper) = target.nested();
    let nested = Space::of(inner);
    let (inode, dead) = (nested.inode, nested.run(|| short_lived(10)));
    drop(nested);
    drop(keeper);

    let (outside, _others) = until_reused(inode);
    for pid in outside.run(|| short_lived(10)) {
        assert_eq!(
            scope.verdict(pid),
            Verdict::Out,
            "the inode was once inside the target"
        );
    }
    for pid in dead.iter().chain([&inner]) {
        assert_eq!(
            owner(scope.verdict(*pid)),
            Some((id, By::Kernel)),
            "the inode is outside now"
        );
    }
}

#[test]
fn a_process_number_belongs_to_its_last_owner() {
    if !is_root("reused process numbers") {
        return;
    }
    let scope = scope();
    let (target, other) = (Space::new(), Space::new());
    let id = trace(&scope, &target);
    let expect = |scope: &Scope, pid, expected| assert_eq!(owner(scope.verdict(pid)), expected);

    let pid = target.run(|| short_lived(1))[0];
    expect(&scope, pid, Some((id, By::Kernel)));
    // 1000 and pid: the numbers inside and on the host.
    other.run(move || short_lived_with_numbers(&[1000, pid]));
    expect(&scope, pid, None);
    assert_eq!(scope.verdict(pid), Verdict::Out);
    target.run(move || short_lived_with_numbers(&[1001, pid]));
    assert_eq!(
        scope.verdict(pid),
        Verdict::In {
            target: id,
            pid_ns: Some(1001),
            by: By::Kernel
        }
    );
}

/// A process that ends at once, with numbers of our choice: innermost namespace first.
fn short_lived_with_numbers(numbers: &[u32]) {
    // struct clone_args of linux/sched.h up to `set_tid_size` and `cgroup`.
    let mut arguments = [0u64; 11];
    arguments[4] = u64::from(libc::SIGCHLD.unsigned_abs());
    arguments[8] = numbers.as_ptr() as u64;
    arguments[9] = numbers.len() as u64;
    // SAFETY: like fork; the pointers are valid for the call, the child calls only _exit.
    let child = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            arguments.as_mut_ptr(),
            size_of_val(&arguments),
        )
    };
    match child {
        0 => {
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(0) }
        }
        child if child > 0 => {
            let child = nix::unistd::Pid::from_raw(i32::try_from(child).unwrap());
            nix::sys::wait::waitpid(child, None).expect("wait");
        }
        _ => panic!("clone3 with set_tid: {}", std::io::Error::last_os_error()),
    }
}

#[test]
fn a_target_added_by_pid_is_the_namespace_not_the_process() {
    if !is_root("targets by PID") {
        return;
    }
    let scope = scope();
    let target = Space::new();
    let named = target.run(sleeper);
    let named_pid = named.id();
    let id = scope
        .add(Target::from(TargetKey::Pid(named_pid)))
        .unwrap()
        .id;
    drop(named);
    for pid in target.run(|| short_lived(3)) {
        assert_eq!(owner(scope.verdict(pid)), Some((id, By::Kernel)));
    }
}
