"""What a container runtime does to a process before it becomes a container, and a process's names.

Everything happens in this process, without programs of others: each exec of the lab is counted.
"""

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
PR_SET_NAME = 15
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

# The host's /proc, kept open: through it, a process inside a container still finds its number as
# the host's tools print it.
_HOST_PROC = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)

_libc = ctypes.CDLL(None, use_errno=True)


def _must(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def unshare(flags: int) -> None:
    """unshare(2)."""
    _must(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int = 0) -> None:
    """mount(2), without data."""
    _must(_libc.mount(source.encode(), target.encode(), kind.encode(), flags, None), f"mount {target}")


def rename(name: bytes) -> None:
    """Gives the calling thread a name of at most 15 bytes, any but NUL."""
    _must(_libc.prctl(PR_SET_NAME, name, 0, 0, 0), "prctl")


def loopback_up() -> None:
    """`ip link set lo up`."""
    with socket.socket() as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def enter_cgroup(container_id: str) -> None:
    """Moves this process into a cgroup that has the container's ID for its name."""
    group = Path("/sys/fs/cgroup/lab") / container_id
    group.mkdir(parents=True, exist_ok=True)
    (group / "cgroup.procs").write_text("0")


def enter_container() -> int:
    """Forks the first process of a new container: own PID, mount and network namespaces.

    Returns 0 in it and its number in the caller, as fork does.
    """
    unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET)
    mount("none", "/", "none", MS_REC | MS_PRIVATE)
    pid = os.fork()
    if pid == 0:
        mount("proc", "/proc", "proc")
        loopback_up()
    return pid


def numbers() -> list:
    """This process's numbers: the host's (which the tools print) first, its own namespace's last."""
    with open(os.open("self/status", os.O_RDONLY, dir_fd=_HOST_PROC), errors="replace") as status:
        (line,) = (line for line in status if line.startswith("NSpid:"))
    return [int(number) for number in line.split()[1:]]
