//! The private mounts, and the filter map pinned in them.

use std::fs;
use std::path::Path;
use std::thread;

use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};
use nix::sys::statfs::{BPF_FS_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, statfs};
use x_agent::mounts::{MountWarning, enter_private};
use x_agent::scope::{Options, Scope, Target, TargetKey, Warning};

use crate::space::{Space, is_root};

/// A thread of its own for what changes the mounts: `unshare(CLONE_NEWNS)` moves that thread only.
fn apart(test: impl FnOnce() + Send + 'static) {
    thread::spawn(test).join().unwrap();
}

fn mounts() -> String {
    fs::read_to_string("/proc/thread-self/mountinfo").unwrap()
}

#[test]
fn what_is_mounted_is_seen_by_us_alone() {
    if !is_root("private mounts") {
        return;
    }
    let before = mounts();
    apart(|| {
        let mounted = enter_private();
        assert_eq!(mounted.warnings, Vec::<MountWarning>::new());
        let bpffs = mounted.bpffs.unwrap();
        let kind = |path: &Path| statfs(path).unwrap().filesystem_type();
        assert_eq!(kind(&bpffs), BPF_FS_MAGIC);
        assert_eq!(kind(Path::new("/sys/kernel/tracing")), TRACEFS_MAGIC);
        assert_eq!(kind(Path::new("/sys/kernel/debug")), DEBUGFS_MAGIC);
        assert!(Path::new("/sys/kernel/tracing/events/block").exists());
        assert!(!mounts().contains("shared:"), "propagation is cut");
    });
    assert_eq!(mounts(), before);
}

#[test]
fn the_filter_map_holds_the_targets_and_goes_with_the_scope() {
    if !is_root("filter map") {
        return;
    }
    let (first, second) = (Space::new(), Space::new());
    apart(move || {
        let bpffs = enter_private().bpffs.unwrap();
        let entries = || fs::read_dir(&bpffs).unwrap().count();
        let before = entries();
        let options = Options {
            bpffs: Some(bpffs.clone()),
            ..Options::default()
        };
        let (scope, warnings) = Scope::open(&options).unwrap();
        assert_eq!(warnings, Vec::<Warning>::new());
        let path = scope.filter_map().unwrap().to_owned();
        assert_eq!(path, bpffs.join("xtracer/targets"));

        let map = MapHandle::from_pinned_path(&path).unwrap();
        assert_eq!(
            (map.map_type(), map.key_size(), map.value_size()),
            (MapType::Hash, 8, 4)
        );
        assert_eq!(map.max_entries(), 1024);
        let holds = |inode: u32| {
            let value = map
                .lookup(&u64::from(inode).to_ne_bytes(), MapFlags::ANY)
                .unwrap();
            value.map(|value| u32::from_ne_bytes(value.try_into().unwrap()))
        };
        let add = |key| scope.add(Target::from(key)).unwrap().id;

        let by_inode = add(TargetKey::PidNamespace(first.inode));
        let by_pid = add(TargetKey::Pid(first.init));
        add(TargetKey::Pid(second.init));
        assert_eq!(
            (holds(first.inode), holds(second.inode)),
            (Some(1), Some(1))
        );
        assert_eq!(map.keys().count(), 2);
        scope.remove(by_inode).unwrap();
        assert_eq!(
            holds(first.inode),
            Some(1),
            "another target is in that namespace"
        );
        scope.remove(by_pid).unwrap();
        assert_eq!((holds(first.inode), holds(second.inode)), (None, Some(1)));

        // A second agent in the same file system would empty the first one's filter.
        let (other, warnings) = Scope::open(&options).unwrap();
        assert!(
            matches!(&warnings[..], [Warning::NoFilter { .. }]),
            "{warnings:?}"
        );
        drop(other);
        assert!(path.exists());

        drop(scope);
        assert!(!bpffs.join("xtracer").exists(), "nothing stays pinned");
        assert_eq!(entries(), before);
    });
}

#[test]
fn a_full_filter_refuses_rather_than_hides() {
    if !is_root("full filter map") {
        return;
    }
    let space = Space::new();
    apart(move || {
        let options = Options {
            bpffs: enter_private().bpffs,
            ..Options::default()
        };
        let (scope, _) = Scope::open(&options).unwrap();
        let map = MapHandle::from_pinned_path(scope.filter_map().unwrap()).unwrap();
        for inode in 0..1024u64 {
            map.update(&inode.to_ne_bytes(), &1u32.to_ne_bytes(), MapFlags::ANY)
                .unwrap();
        }
        let error = scope
            .add(Target::from(TargetKey::Pid(space.init)))
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("in-kernel filter did not take it"),
            "{error}"
        );
        assert_eq!(scope.target(0), None);
    });
}
