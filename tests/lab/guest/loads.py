"""The things that a workload does, each a known number of times.

Who owns an event can be told from the event itself: every role has its own hundred of TCP ports,
its own program names and arguments, its own process names.
"""

import mmap
import os
import select
import shutil
import socket
import threading
import time
from pathlib import Path

from namespaces import CLONE_NEWPID, unshare

FAMILIES = {4: (socket.AF_INET, "127.0.0.1"), 6: (socket.AF_INET6, "::1")}

# A role's hundred of ports: which port is for what, counted from its first.
PORT_SERVER = {4: 0, 6: 1}
PORT_OWN = {4: 10, 6: 11}

# Names that try to end a line, to look like a record, to move a cursor, to be no text at all.
HOSTILE = [b"evil\n1 2\x1b[7m,x", b"bad\xff\xfe utf8", b"  two  words "]

# Files and programs of the workloads: on a real disk, because a tmpfs has no direct I/O.
SCRATCH = Path(os.environ.get("LAB_SCRATCH", "/var/tmp"))
PROGRAMS = SCRATCH / "programs"

PAGE = 4096
# Longer than cachetop's interval and what it needs to print a table on an emulated machine.
CACHETOP_SECONDS = 3
# What goes each way over a connection, in bytes: tcplife prints whole KiB of them.
SENT, ANSWERED = 3072, 5120


def listen(family: int, port: int) -> socket.socket:
    """A listening socket on loopback."""
    kind, address = FAMILIES[family]
    listener = socket.socket(kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(64)
    return listener


def ask(family: int, port: int) -> None:
    """The client's side: it connects and it closes first, so that the server closes passively.

    tcplife knows whose a socket is from its SYN or from its LAST_ACK, and either side passes
    through one of them this way; after an active close a server's would be anybody's guess.
    """
    kind, address = FAMILIES[family]
    with socket.socket(kind) as client:
        client.connect((address, port))
        client.sendall(b"q" * SENT)
        _receive(client, ANSWERED)


def answer(listener: socket.socket) -> None:
    """The server's side of one connection.

    It waits outside accept(2): the tools probe the return of a call that they saw begin, so one
    that was already waiting when they attached would be missed.
    """
    select.select([listener], [], [])
    server, _ = listener.accept()
    with server:
        _receive(server, SENT)
        server.sendall(b"a" * ANSWERED)
        if server.recv(1):
            raise RuntimeError("the client said more than it should have")


def _receive(end: socket.socket, size: int) -> None:
    while size:
        part = end.recv(size)
        if not part:
            raise RuntimeError(f"the other side closed with {size} bytes to come")
        size -= len(part)


def talk_to_itself(family: int, port: int) -> None:
    """Both ends of one connection in one process: the server in the main thread, the client in
    another, so that the number that a tool prints must be the process's and not the thread's."""
    failed = []

    def client() -> None:
        try:
            ask(family, port)
        except BaseException as error:
            failed.append(error)

    with listen(family, port) as listener:
        thread = threading.Thread(target=client)
        thread.start()
        answer(listener)
        thread.join()
    if failed:
        raise failed[0]


def program(name: bytes) -> bytes:
    """A program that does nothing, of that name, in a folder of its own."""
    path = os.fsencode(PROGRAMS) + b"/" + name
    if not os.path.exists(path):
        shutil.copy("/bin/true", os.fsdecode(path))
    return path


def prepare_file(path: Path, pages: int) -> None:
    """A file whose blocks exist on the disk, so that a direct write into it is one request and
    nothing else, and whose pages are not in the cache."""
    with open(path, "wb") as handle:
        handle.write(b"\0" * PAGE * pages)
        os.fsync(handle.fileno())
        os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def direct(path: Path, writes: int, reads: int) -> None:
    """O_DIRECT writes and reads of one page each, at a place of its own each."""
    page = mmap.mmap(-1, PAGE)
    handle = os.open(path, os.O_RDWR | os.O_DIRECT)
    for number in range(writes):
        os.pwrite(handle, page, number * 2 * PAGE)
    for number in range(reads):
        os.preadv(handle, [page], number * 2 * PAGE)
    os.close(handle)


def cached(path: Path, pages: int) -> None:
    """Buffered writes, which dirty the page cache, and reads, which hit it; for as long as it takes to
    be in one of cachetop's tables. It empties its map after it has read it, each second, and what comes
    in between is in none: less than that at a time can be missed altogether."""
    end = time.monotonic() + CACHETOP_SECONDS
    with open(path, "r+b", buffering=0) as handle:
        while time.monotonic() < end:
            handle.seek(0)
            for _ in range(pages):
                handle.write(b"c" * PAGE)
            handle.seek(0)
            while handle.read(PAGE):
                pass


def in_descendant_namespace(act) -> None:
    """Runs `act` as the first process of a PID namespace below the container's."""
    unshare(CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        act()
        os._exit(0)
    if os.waitpid(pid, 0)[1] != 0:
        raise RuntimeError("the descendant namespace's process failed")
