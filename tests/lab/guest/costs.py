"""What processes cost: their memory and their CPU."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def family(root: int, program: str) -> list:
    """The descendants of a process that run this program, in the order of their numbers."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        if fields := _stat(int(entry)):
            parents[int(entry)] = int(fields[1])
    found = []
    for pid in sorted(parents):
        above = pid
        while above in parents and above != root:
            above = parents[above]
        if above == root and pid != root and _runs(pid, program):
            found.append(pid)
    return found


def cpu(pids: list) -> dict:
    """Seconds of CPU, user's and kernel's, of each that lives."""
    return {pid: (int(fields[11]) + int(fields[12])) / TICKS for pid in pids if (fields := _stat(pid))}


def spent(before: dict, after: dict) -> float:
    """Seconds of CPU between two looks, of those who lived through it."""
    return sum(after[pid] - before[pid] for pid in before.keys() & after.keys())


def pss(pid: int) -> float:
    """Proportional set size in MB: a page that n processes share counts for 1/n in each."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit(f"/proc/{pid}/smaps_rollup has no Pss")


def parent(pid: int) -> int:
    """The number of the one that forked it."""
    return int(_stat(pid)[1])


def name(pid: int) -> str:
    """The name of the process's first thread."""
    return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()


def _stat(pid: int) -> list:
    """The fields of its stat file behind the name; none if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _runs(pid: int, program: str) -> bool:
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")) == program
    except OSError:
        return False
