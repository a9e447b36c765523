//! What is refused, what is missing, and what is said about it.

use std::thread;

use nix::libc;
use x_agent::scope::{Options, Scope, Target, TargetError, TargetKey, Verdict, Warning};

use crate::space::{Space, is_root, namespace_inode, scope, sleeper};

#[test]
fn targets_that_are_not_there() {
    if !is_root("absent targets") {
        return;
    }
    let scope = scope();
    let error = |key: TargetKey| scope.add(Target::from(key)).unwrap_err();

    let child = sleeper();
    let child_pid = child.id();
    drop(child);
    let gone = error(TargetKey::Pid(child_pid));
    assert!(matches!(gone, TargetError::NoProcess(_)), "{gone}");
    assert!(
        gone.to_string().starts_with(&format!("pid:{child_pid}: ")),
        "{gone}"
    );

    let gone = error(TargetKey::PidNamespace(7));
    assert!(matches!(gone, TargetError::NoNamespace(_)), "{gone}");
    let gone = error(TargetKey::Container("0123456789ab".into()));
    assert!(matches!(gone, TargetError::NoContainer(_)), "{gone}");
}

#[test]
fn the_hosts_own_namespace_is_never_a_target() {
    if !is_root("host namespace") {
        return;
    }
    let scope = scope();
    let own = std::process::id();
    for key in [
        TargetKey::Pid(own),
        TargetKey::PidNamespace(namespace_inode(own)),
    ] {
        let error = scope.add(Target::from(key)).unwrap_err();
        assert!(matches!(error, TargetError::HostNamespace(_)), "{error}");
    }
    assert_eq!(scope.verdict(own), Verdict::Out);
}

#[test]
fn deeper_than_the_table_goes_is_refused() {
    if !is_root("deep namespaces") {
        return;
    }
    let scope = scope();
    let mut spaces = vec![Space::new()];
    let mut keepers = Vec::new();
    for _ in 0..8 {
        let (inner, keeper) = spaces.last().unwrap().nested();
        spaces.push(Space::of(inner));
        keepers.push(keeper);
    }
    let target = |at: usize| Target::from(TargetKey::PidNamespace(spaces[at].inode));
    let error = scope.add(target(8)).unwrap_err();
    assert!(
        matches!(error, TargetError::TooDeep { level: 9, .. }),
        "{error}"
    );

    // What lies deeper than the table keeps still belongs to a target above.
    let id = scope.add(target(7)).unwrap().id;
    let (deep, other) = (spaces[8].init, spaces[6].init);
    assert!(
        matches!(scope.verdict(deep), Verdict::In { target, pid_ns: Some(1), .. } if target == id)
    );
    assert_eq!(scope.verdict(other), Verdict::Out);
    keepers.into_iter().rev().for_each(drop);
}

/// The calling thread gives up all its capabilities; it stays root, and other threads keep theirs.
fn drop_capabilities() {
    // struct __user_cap_header_struct and two __user_cap_data_struct of linux/capability.h.
    let header: [u32; 2] = [0x2008_0522, 0];
    let none = [0u32; 6];
    // SAFETY: both pointers are valid for the call; version 3 reads 8 and 24 bytes.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    assert_eq!(result, 0, "capset: {}", std::io::Error::last_os_error());
}

#[test]
fn without_capabilities_each_loss_is_named() {
    if !is_root("capabilities") {
        return;
    }
    let space = Space::new();
    let (pid, inode) = (space.init, space.inode);
    thread::spawn(move || {
        drop_capabilities();
        let options = Options {
            bpffs: Some("/sys/fs/bpf".into()),
            ..Options::default()
        };
        let (scope, warnings) = Scope::open(&options).unwrap();
        assert!(!scope.has_table() && scope.filter_map().is_none());
        let said: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert!(
            matches!(
                &warnings[..],
                [Warning::NoTable { .. }, Warning::NoFilter { .. }]
            ),
            "{said:?}"
        );
        assert!(
            said[0].contains("CAP_BPF") && said[0].contains("procfs only"),
            "{said:?}"
        );
        assert!(said[1].contains("not permitted"), "{said:?}");

        for key in [TargetKey::Pid(pid), TargetKey::PidNamespace(inode)] {
            let error = scope.add(Target::from(key)).unwrap_err();
            assert!(matches!(error, TargetError::Denied { .. }), "{error}");
            assert!(error.to_string().contains("CAP_SYS_PTRACE"), "{error}");
        }
        assert_eq!(
            (scope.verdict(pid), scope.counters().denied),
            (Verdict::Unknown, 1)
        );
    })
    .join()
    .unwrap();
}
