#!/usr/bin/python3
"""A container that does things at a known rate and writes down when.

It is led like workload.py, and forks nothing but what it runs:

  (start)               {"ready": {...}}   its number, as the host sees it, and its PID namespace
  connect RATE COUNT    {"connected": {port: moment, …}}   a port each, where nobody listens
  steady SECONDS        {"steady": {...}}  five connects and an exec a second
  foreign SECONDS       {"foreign": {...}} execs, connects and O_DIRECT writes, as fast as it can

Moments are CLOCK_MONOTONIC's, which all processes of a machine share, taken just before the call.
"""

import json
import os
import socket
import sys
import time

import loads
import namespaces

# The ports of a container are its own. A connect is known by its port, so there are as many as ports.
FIRST_PORT = 10_000
# A round of the foreign load, of which an exec is the dearest for the machine.
ROUND_CONNECTS, ROUND_WRITES = 5, 5


def refused(port: int) -> None:
    """A connect(2) that the kernel begins and that nobody accepts: the cheapest event there is."""
    with socket.socket() as client:
        client.setblocking(False)
        try:
            client.connect(("127.0.0.1", port))
        except (BlockingIOError, ConnectionRefusedError):
            pass


def paced(rate: float, count: int, act) -> list:
    """Does `act(number)` as often, at that rate or as near to it as this machine comes; the moments."""
    begun = time.monotonic()
    moments = []
    for number in range(count):
        ahead = begun + number / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        moments.append(time.monotonic())
        act(number)
    return moments


class Container:
    """The container's first process."""

    def __init__(self) -> None:
        self.port = FIRST_PORT
        self.programs = 0
        self.file = loads.SCRATCH / f"rates-{os.stat('/proc/self/ns/pid').st_ino}.data"
        loads.prepare_file(self.file, 2 * ROUND_WRITES)

    def next_port(self) -> int:
        self.port += 1
        return self.port

    def execute(self, word: str) -> None:
        self.programs += 1
        child = os.posix_spawn("/bin/true", ["/bin/true", f"{word}-{self.programs}"], os.environ)
        os.waitpid(child, 0)

    def connect(self, rate: str, count: str) -> dict:
        ports = [self.next_port() for _ in range(int(count))]
        moments = paced(float(rate), int(count), lambda number: refused(ports[number]))
        return {"connected": dict(zip(ports, moments))}

    def steady(self, seconds: str) -> dict:
        ports, execs = [], self.programs

        def act(number: int) -> None:
            ports.append(self.next_port())
            refused(ports[-1])
            if number % 5 == 0:
                self.execute("steady")

        paced(5, 5 * int(seconds), act)
        return {"steady": {"ports": ports, "execs": [f"steady-{n + 1}" for n in range(execs, self.programs)]}}

    def foreign(self, seconds: str) -> dict:
        did = {"execs": 0, "connects": 0, "writes": 0}
        end = time.monotonic() + int(seconds)
        with loads.listen(4, FIRST_PORT) as listener:
            while time.monotonic() < end:
                self.execute("foreign")
                for _ in range(ROUND_CONNECTS):
                    with socket.create_connection(listener.getsockname()), listener.accept()[0]:
                        pass
                loads.direct(self.file, ROUND_WRITES, 0)
                did["execs"] += 1
                did["connects"] += ROUND_CONNECTS
                did["writes"] += ROUND_WRITES
        return {"foreign": did}


def lead() -> None:
    """Does as stdin says."""
    container = Container()
    acts = {"connect": container.connect, "steady": container.steady, "foreign": container.foreign}
    about = {"host_pid": namespaces.numbers()[0], "pidns": os.stat("/proc/self/ns/pid").st_ino}
    print(json.dumps({"ready": about}), flush=True)
    for line in sys.stdin:
        word, *arguments = line.split()
        print(json.dumps(acts[word](*arguments)), flush=True)
    container.file.unlink()


def main() -> None:
    first = namespaces.enter_container()
    if first == 0:
        lead()
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) != 0)


main()
