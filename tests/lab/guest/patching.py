#!/usr/bin/python3
"""Can this machine bear it that a kernel patches its own code? vendor-notes/qemu.md says why one asks.

Attaches kprobes to functions that other processes run all the time, and takes them away again, ROUNDS times.
A machine that cannot bear it dies within some twenty rounds.
"""

import mmap
import os
import signal
import sys
import tempfile

from bcc import BPF

PROGRAM = "int nothing(void *ctx) { return 0; }"
# Every page that is unmapped, written or read from a disk runs one of these, in one kernel or another.
FUNCTIONS = ("mark_page_accessed", "folio_mark_accessed", "mark_buffer_dirty", "add_to_page_cache_lru")
SIZE = 2 << 20


def load(file) -> None:
    """Maps, touches and unmaps the file's pages for ever."""
    while True:
        with mmap.mmap(file.fileno(), SIZE) as pages:
            for start in range(0, SIZE, mmap.PAGESIZE):
                pages[start]


def main() -> None:
    rounds = int(sys.argv[1])
    file = tempfile.TemporaryFile()
    file.write(b"x" * SIZE)
    file.flush()
    loads = []
    for _ in range(os.cpu_count() + 1):
        pid = os.fork()
        if pid == 0:
            load(file)
        loads.append(pid)
    program = BPF(text=PROGRAM)
    functions = [name for name in FUNCTIONS if BPF.get_kprobe_functions(name.encode())]
    for done in range(rounds):
        for name in functions:
            program.attach_kprobe(event=name, fn_name="nothing")
        for name in functions:
            program.detach_kprobe(event=name)
        if done % 20 == 0:
            print(f"round {done} of {rounds}: {', '.join(functions)}", flush=True)
    for pid in loads:
        os.kill(pid, signal.SIGKILL)
    print("alive", flush=True)


main()
