"""What a tracer could leave behind, listed: the same list before and after must be the same."""

import ctypes
import os
import platform
import struct
import time
from pathlib import Path

# bpf(2), by machine, because libc has no wrapper for it.
BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}[platform.machine()]
BPF_PROG_GET_NEXT_ID = 11
BPF_MAP_GET_NEXT_ID = 12
BPF_LINK_GET_NEXT_ID = 31


def listing() -> dict:
    """Everything, by kind; each a sorted list of strings."""
    return {
        "kprobes": _lines("/sys/kernel/debug/kprobes/list"),
        "kprobe events": _lines("/sys/kernel/tracing/kprobe_events"),
        "mounts": _lines("/proc/self/mounts"),
        "mount namespaces": _mount_namespaces(),
        "processes": _processes(),
        "pinned": sorted(str(path) for path in Path("/sys/fs/bpf").rglob("*")),
        "BPF programs": _bpf_ids(BPF_PROG_GET_NEXT_ID),
        "BPF maps": _bpf_ids(BPF_MAP_GET_NEXT_ID),
        "BPF links": _bpf_ids(BPF_LINK_GET_NEXT_ID),
        "files": _files("/tmp", "/dev/shm", "/run"),
    }


def left(before: dict, seconds: float = 15) -> dict:
    """What is there now and was not before, by kind; kinds with nothing left out.

    The kernel takes programs and probes down after a grace period of its own that nobody is told
    the end of, so this looks again for a while before it says that something stayed.
    """
    deadline = time.monotonic() + seconds
    while True:
        now = listing()
        new = {kind: extra for kind in now if (extra := sorted(set(now[kind]) - set(before[kind])))}
        if not new or time.monotonic() > deadline:
            return new
        time.sleep(0.2)


def _lines(path: str) -> list:
    try:
        return sorted(Path(path).read_text(errors="replace").splitlines())
    except FileNotFoundError:
        return []


def _files(*folders: str) -> list:
    """Everything in them but the lab's own results."""
    paths = (str(path) for folder in folders for path in Path(folder).rglob("*"))
    return sorted(path for path in paths if not path.startswith(os.environ["LAB_RESULTS"]))


def _each_process():
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                # A kernel thread has no memory map, so no command line; a zombie has neither.
                words = Path("/proc", entry, "cmdline").read_bytes()
                state = Path("/proc", entry, "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if words or state == "Z":
                yield entry, words or b"<zombie>"


def _processes() -> list:
    return sorted(f"{pid} {words.replace(bytes(1), b' ').decode(errors='replace')}" for pid, words in _each_process())


def _mount_namespaces() -> list:
    found = set()
    for pid, _ in _each_process():
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/mnt"))
        except OSError:
            pass
    return sorted(found)


def _bpf_ids(command: int) -> list:
    """All numbers of one kind of BPF object. Empty where this kernel has no such kind."""
    libc = ctypes.CDLL(None, use_errno=True)
    found, last = [], 0
    while True:
        attributes = ctypes.create_string_buffer(struct.pack("III", last, 0, 0), 128)
        if libc.syscall(BPF_SYSCALL, command, attributes, 128) != 0:
            return found
        (last,) = struct.unpack_from("I", attributes, 4)
        found.append(str(last))
