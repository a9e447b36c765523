#!/usr/bin/python3
"""The demonstration: a sample container does a little of everything every three seconds, x-tracer
shows it live, and half a minute after the last of its probes has joined it is told to stop.

It runs in the lab's guest and, where BCC can work there, on the host itself.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

# The tools in the order in which their lines come soonest; tests/lab/README.md has the times.
PROBES = "cachetop,execsnoop,tcpaccept,tcpconnect,tcplife,biosnoop,tcptracer"
HERE = Path(__file__).parent


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="x-tracer-show.") as scratch:
        environment = {**os.environ, "LAB_SCRATCH": scratch, "LAB_RESULTS": scratch}
        few = "--connects 1 --names 1 --execs 1 --writes 1 --reads 1".split()
        workload = subprocess.Popen(
            [sys.executable, HERE / "workload.py", "--role", "sample", "--port", "7100", "--contained", *few],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        ready = workload.stdout.readline()
        if not ready:
            return workload.wait() or 1
        number = re.search(rb'"host_pid": (\d+)', ready)[1].decode()
        print(f"show: a sample container runs: x-tracer local --pid {number}", file=sys.stderr, flush=True)
        tracer = subprocess.Popen(
            ["x-tracer", "local", "--pid", number, "--probes", PROBES, "--output", "classic"], stderr=subprocess.PIPE
        )
        follow(tracer, workload, seconds)
        status = tracer.wait()
        workload.stdin.close()
        workload.wait()
    return status


def follow(tracer: subprocess.Popen, workload: subprocess.Popen, seconds: float) -> None:
    """Passes on what x-tracer says of itself.

    The container rests until the first probe has attached, because until then its work would only
    slow the tools' compilers down. Once all probes have settled, the time runs.
    """
    working, timer = False, None
    for line in tracer.stderr:
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
        if not working and b" attached after " in line:
            working = True
            workload.stdin.write(b"loop\n")
            workload.stdin.flush()
        if timer is None and re.search(rb"probes attached \d+/\d+", line):
            timer = threading.Timer(seconds, tracer.send_signal, [signal.SIGINT])
            timer.start()
    if timer:
        timer.cancel()


sys.exit(main())
