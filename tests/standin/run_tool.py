#!/usr/bin/python3
"""Run one BCC tool over the stand-in and print what it prints.

    tests/standin/run_tool.py [--events FILE.json] [--repeat N] [--clock HH:MM:SS] TOOL [ARGUMENT...]

TOOL is a path: an installed tool, or one unpacked from another distribution's package. The clock,
the user names, /proc/meminfo and /proc/diskstats are fixed, so that the output can be compared byte
for byte. cachetop's screen comes out as lines.
"""
import argparse
import builtins
import io
import os
import pwd
import runpy
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# Files and users that tools read about the machine they run on.
FIXED_FILES = {
    "/proc/meminfo": "MemTotal: 2048000 kB\nBuffers: 7168 kB\nCached: 564224 kB\n",
    "/proc/diskstats": "   8       0 sda 0 0 0 0\n 259       0 nvme0n1 0 0 0 0\n",
}
FIXED_USERS = {0: "root", 1000: "developer"}


class Unbuffered:
    """Standard output without the text layer's delay, so that print and printb keep their order."""

    encoding, errors = "utf-8", "surrogateescape"

    class _Bytes:
        def write(self, data):
            view = memoryview(data)
            while view:
                view = view[os.write(1, view):]
            return len(data)

        def flush(self):
            pass

    def __init__(self):
        self.buffer = self._Bytes()

    def write(self, text):
        self.buffer.write(text.encode("utf-8", "surrogateescape"))
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return False


def freeze_machine():
    """Answer questions about users and /proc from the tables above."""
    really_open, users = open, {uid: (name,) for uid, name in FIXED_USERS.items()}

    def fixed_open(path, *args, **kwargs):
        if path in FIXED_FILES:
            return io.StringIO(FIXED_FILES[path])
        return really_open(path, *args, **kwargs)

    builtins.open = fixed_open
    pwd.getpwuid = users.__getitem__


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", help="a JSON file of acts instead of the ordinary ones")
    parser.add_argument("--repeat", type=int, default=1, help="feed the acts N times")
    parser.add_argument("--clock", default="03:47:28", help="what the tool's wall clock shows")
    parser.add_argument("tool")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args()

    os.environ["XTRACER_STANDIN_END"] = "stop"
    os.environ["XTRACER_STANDIN_REPEAT"] = str(given.repeat)
    if given.events:
        os.environ["XTRACER_STANDIN_EVENTS"] = given.events
    sys.path.insert(0, HERE)
    sys.path.insert(1, os.path.join(HERE, "..", "..", "probes-py"))
    sys.stdout = out = Unbuffered()

    from xtracer_probes import screen
    screen.install(lambda row, is_event: out.buffer.write(row + b"\n"), lambda: None, lambda: False)

    def end_of_interval(_seconds):
        # Ctrl-C in the first interval: cachetop and cachestat show it once more and end.
        raise KeyboardInterrupt

    time.sleep = end_of_interval
    freeze_machine()
    time.strftime = lambda *_: given.clock
    time.time = lambda: 1_700_000_000.0
    sys.argv = [given.tool, *given.arguments]
    runpy.run_path(given.tool, run_name="__main__")


if __name__ == "__main__":
    main()
