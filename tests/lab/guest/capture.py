#!/usr/bin/python3
"""Record what the distribution's own tools print on this kernel, as golden files for the parser.

For each tool: start it alone with its output on a pipe, wait for the header that it prints once its
probes are attached, do a few things whose names are as awkward as names can be, wait until the
lines have come, interrupt it. What came out, byte for byte, is RESULTS/<tool>/<file>.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

RESULTS = Path(os.environ["LAB_RESULTS"])
# Emulated, a tool compiles for up to a minute; without any byte for this long it never will.
PATIENCE_S = float(os.environ.get("LAB_PATIENCE", "240"))
# After the first lines of an answer, silence for this long means that it was all.
QUIET_S = 8

NAMES = [
    b"plain",
    b"two words",
    b"",
    b"1234 7",
    b"[brackets]",
    b"evil\n99 name",
    b"\x1b[31mred\x1b[0m",
    b"caf\xc3\xa9 \xff\xfe",
    b"fifteen-bytes-x",
]

# Tool, its arguments, the golden file's suffix.
RUNS = [
    ("tcptracer", ["-t"], ""),
    ("tcpconnect", ["-t"], ""),
    ("tcpaccept", ["-T", "-t"], ""),
    ("tcplife", ["-s", "-T", "-t"], ""),
    ("tcplife", ["-T"], "-plain"),
    ("execsnoop", ["-T", "-t"], ""),
    ("biosnoop", [], ""),
    ("cachestat", ["-T", "1", "3"], ""),
]

# For kernels on which biosnoop cannot attach.
BIOSNOOP_ELSEWHERE = Path(__file__).with_name("elsewhere.py")


def rename(name: bytes) -> None:
    """Give this process a name (PR_SET_NAME)."""
    ctypes.CDLL(None).prctl(15, name, 0, 0, 0)


def in_child(name: bytes, act) -> None:
    """Run `act` in a process of that name and wait for it."""
    pid = os.fork()
    if pid == 0:
        rename(name)
        try:
            act()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def talk(family: int, address: str) -> None:
    """One connection with both ends in this process: 3 KiB one way, 5 KiB the other."""
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        client = socket.create_connection(listener.getsockname()[:2])
        server, _ = listener.accept()
        client.sendall(b"x" * 3072)
        server.recv(3072, socket.MSG_WAITALL)
        server.sendall(b"y" * 5120)
        client.recv(5120, socket.MSG_WAITALL)
        client.close()
        server.recv(1)
        server.close()


FAMILIES = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]


def network() -> None:
    for name in NAMES:
        in_child(name, lambda: [talk(*family) for family in FAMILIES])


def network_by_turns() -> None:
    """Half of it, for the tool that prints four lines a connection: a golden file is to be read."""
    for turn, name in enumerate(NAMES):
        in_child(name, lambda turn=turn: talk(*FAMILIES[turn % 2]))


def programs() -> None:
    folder = Path("/tmp/programs")
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        if name:
            program = os.fsencode(folder) + b"/" + name
            Path(os.fsdecode(program)).write_bytes(Path("/bin/true").read_bytes())
            os.chmod(program, 0o755)
            os.waitpid(os.posix_spawn(program, [name], os.environ), 0)
    for arguments in (
        ["plain"],
        ["two words", "tab\there", "line\nbreak", "\x1b[2J", "", "after an empty one", 'a "quoted" one'],
        [f"argument-{n}" for n in range(1, 26)],
        ["L" * 300],
        [],
    ):
        os.waitpid(os.posix_spawn("/bin/true", ["true", *arguments], os.environ), 0)


def blocks() -> None:
    def direct() -> None:
        import mmap

        page = mmap.mmap(-1, 1 << 20)
        handle = os.open("/root/direct", os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600)
        for size in (512, 1 << 20):
            os.pwrite(handle, memoryview(page)[:size], 0)
            os.preadv(handle, [memoryview(page)[:size]], 0)
        os.close(handle)

    for name in NAMES[:4] + NAMES[5:7]:
        in_child(name, direct)


def cache() -> None:
    data = Path("/root/cached")
    data.write_bytes(b"c" * (8 << 20))
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    for _ in range(3):
        data.read_bytes()


LOADS = {"tcptracer": network_by_turns, "execsnoop": programs, "biosnoop": blocks, "cachestat": cache}


def record(argv: list, load) -> tuple:
    """The tool's stdout, its stderr, and whether it got as far as its header."""
    errors = open("/tmp/stderr", "w+b")
    tool = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    seen = b""
    loaded = False
    while True:
        ready, _, _ = select.select([tool.stdout], [], [], QUIET_S if loaded else PATIENCE_S)
        if not ready:
            break
        chunk = os.read(tool.stdout.fileno(), 65536)
        if not chunk:
            break
        seen += chunk
        # The header line is the first with a column title in it; a banner is not.
        if not loaded and any(title in seen for title in (b"COMM", b"HITS")) and seen.endswith(b"\n"):
            loaded = True
            load()
    tool.send_signal(signal.SIGINT)
    try:
        rest, _ = tool.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        tool.kill()
        rest, _ = tool.communicate()
    errors.seek(0)
    return seen + rest, errors.read(), loaded


def main() -> None:
    release = sys.argv[1]
    wanted = sys.argv[2:]
    for tool, arguments, suffix in RUNS:
        if wanted and tool not in wanted:
            continue
        path = f"/usr/sbin/{tool}-bpfcc"
        load = LOADS.get(tool, network)
        output, errors, loaded = record([path, *arguments], load)
        note = ""
        if not loaded and tool == "biosnoop":
            print(f"biosnoop cannot attach here: {errors.strip().splitlines()[-1]!r}", flush=True)
            output, errors, loaded = record([sys.executable, BIOSNOOP_ELSEWHERE, path], load)
            note = " (with other attach points)"
        lines = output.count(b"\n")
        print(f"{tool} {' '.join(arguments)}{note}: {'header' if loaded else 'NO HEADER'}, {lines} lines", flush=True)
        if not loaded:
            print(errors.decode(errors="replace")[-600:], flush=True)
        folder = RESULTS / tool
        folder.mkdir(exist_ok=True)
        (folder / f"debian{release}-lab{suffix}.out").write_bytes(output)
        (folder / f"debian{release}-lab{suffix}.err").write_bytes(errors)


main()
