"""The agent's map of PID namespaces, by which its tools filter in the kernel, from outside."""

import contextlib
import ctypes
import os
import struct

from residue import BPF_SYSCALL

BPF_MAP_UPDATE_ELEM = 2
BPF_MAP_DELETE_ELEM = 3
BPF_OBJ_GET = 7


@contextlib.contextmanager
def let_through(agent: int, inode: int):
    """Meanwhile the tools report what happens in this PID namespace, as they would without a filter in
    the kernel; the agent, whose target it isn't, sorts it out. `agent` is a process of it: the map is
    pinned where only it can look."""
    path = ctypes.create_string_buffer(f"/proc/{agent}/root/sys/fs/bpf/xtracer/targets".encode())
    handle = _bpf(BPF_OBJ_GET, struct.pack("QII", ctypes.addressof(path), 0, 0))
    key, value = ctypes.c_uint64(inode), ctypes.c_uint32(1)
    entry = struct.pack("IxxxxQ", handle, ctypes.addressof(key))
    try:
        _bpf(BPF_MAP_UPDATE_ELEM, entry + struct.pack("QQ", ctypes.addressof(value), 0))
        yield
        _bpf(BPF_MAP_DELETE_ELEM, entry)
    finally:
        os.close(handle)


def _bpf(command: int, attributes: bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(BPF_SYSCALL, command, ctypes.create_string_buffer(attributes, 128), 128)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"bpf({command}): {os.strerror(error)}")
    return result
