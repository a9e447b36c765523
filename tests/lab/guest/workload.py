#!/usr/bin/python3
"""One role of the lab: a container, or the host's own processes, doing a known number of things.

It is led over its stdin, a word a line, and answers on its stdout, a JSON object a line:

  (start)  {"ready": {...}}    namespaces and server are up, nothing has happened yet
  go       {"done": {...}}     the load has been done; how much of what, as it really happened
  mark     {"marked": {...}}   one more of each, by processes named mark-<role>: when their records
                               have come, all earlier ones have
  loop     (nothing)           the load every three seconds, until the end of stdin
  (end)                        stops everything

Every process of the role writes its number, as the host sees it, into LAB_RESULTS/<role>.pids
before it does anything: from outside nobody could read it from those that live a millisecond.
"""

import argparse
import json
import os
import select
import signal
import sys
from pathlib import Path

import loads
import namespaces


class Role:
    """The processes of one role; made in the role's first process."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.name = options.role
        self.port = options.port
        self.size = options
        self.file = loads.SCRATCH / f"{self.name}.data"
        self.hostile = loads.HOSTILE[: options.names]
        pids = Path(os.environ["LAB_RESULTS"], f"{self.name}.pids")
        self.pids = os.open(pids, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.enlist("init")

    def enlist(self, kind: str) -> None:
        """One line, in one write: many processes append to the same file."""
        line = {"kind": kind, "numbers": namespaces.numbers()}
        os.write(self.pids, (json.dumps(line) + "\n").encode())

    def start(self, kind: str, name: bytes, act) -> int:
        """Forks a process of that name that does `act` and ends."""
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            namespaces.rename(name)
            self.enlist(kind)
            act()
            status = 0
        except BaseException as error:
            print(f"{self.name}: {kind}: {error!r}", file=sys.stderr, flush=True)
        os._exit(status)

    def do(self, kind: str, name: bytes, act) -> None:
        """The same, and waits for it: what failed was not done and must not be expected."""
        if os.waitpid(self.start(kind, name, act), 0)[1] != 0:
            raise RuntimeError(f"{self.name}: {kind} failed")

    def run_program(self, path: bytes, *arguments: str) -> None:
        """One execve(2) in a process of its own."""
        self.do("exec", b"lab-fork", lambda: os.execv(path, [path, *arguments]))

    def comm(self, part: str) -> bytes:
        return f"{self.name}-{part}".encode()

    # --- the server lives as long as the role does

    def serve(self) -> None:
        listeners = {family: loads.listen(family, self.port + at) for family, at in loads.PORT_SERVER.items()}
        ready, told = os.pipe()

        def forever() -> None:
            os.write(told, b"!")
            while True:
                for family in loads.PORT_SERVER:
                    loads.answer(listeners[family])

        self.server = self.start("server", self.comm("server"), forever)
        for listener in listeners.values():
            listener.close()
        os.read(ready, 1)

    # --- the load

    def load(self) -> dict:
        """Does everything once; returns the counts that the tools must report."""
        size = self.size
        self.do("client", self.comm("client"), self._ask_server)
        for name in self.hostile:
            self.do("hostile", name, self._talk_to_itself)
        for number in range(size.execs):
            self.run_program(b"/bin/true", f"{self.name}-{number}")
        for name in self.hostile:
            self.run_program(loads.program(name), self.name)
        nested = 0
        if size.nested:
            nested = size.nested
            self.do("nesting", self.comm("nesting"), lambda: loads.in_descendant_namespace(self._nested))
        self.do("direct", self.comm("direct"), lambda: loads.direct(self.file, size.writes, size.reads))
        self.do("cached", self.comm("cached"), lambda: loads.cached(self.file, 64))
        connects = 2 * size.connects + 2 * len(self.hostile)
        return {
            "connects": connects,
            "accepts": connects,
            "closes": 2 * connects,
            "sessions": 2 * connects,
            "execs": size.execs + len(self.hostile) + nested,
            "direct_writes": size.writes,
            "direct_reads": size.reads,
            "hostile": [name.hex() for name in self.hostile],
        }

    def _ask_server(self) -> None:
        # In turns, because the server answers in turns.
        for _ in range(self.size.connects):
            for at in loads.PORT_SERVER.items():
                loads.ask(at[0], self.port + at[1])

    def _talk_to_itself(self) -> None:
        for family, at in loads.PORT_OWN.items():
            loads.talk_to_itself(family, self.port + at)

    def _nested(self) -> None:
        self.enlist("nested")
        for number in range(self.size.nested):
            self.run_program(b"/bin/true", f"{self.name}-nested-{number}")

    def mark(self) -> dict:
        name = b"mark-" + self.name.encode()
        self.do("mark", name, self._mark)
        self.run_program(loads.program(name), self.name)
        # Events of one such round, by probe; at least, for the last two.
        tcp = {"tcptracer": 4, "tcpconnect": 1, "tcpaccept": 1, "tcplife": 2}
        return tcp | {"execsnoop": 1, "biosnoop": 1, "cachetop": 1}

    def _mark(self) -> None:
        loads.talk_to_itself(4, self.port + loads.PORT_OWN[4])
        loads.direct(self.file, 1, 1)
        loads.cached(self.file, 16)


def lead(role: Role) -> None:
    """Does as stdin says."""

    def say(word: str, what: dict) -> None:
        print(json.dumps({word: what}), flush=True)

    role.serve()
    loads.prepare_file(role.file, 1 + 2 * max(role.size.writes, role.size.reads, 64))
    own = {"host_pid": namespaces.numbers()[0], "pidns": os.stat("/proc/self/ns/pid").st_ino}
    say("ready", own)
    for line in sys.stdin:
        word = line.strip()
        if word == "go":
            say("done", role.load())
        elif word == "mark":
            say("marked", role.mark())
        elif word == "loop":
            loop(role)
            break
        else:
            raise RuntimeError(f"{role.name}: told to {word!r}")
    os.kill(role.server, signal.SIGKILL)
    os.waitpid(role.server, 0)


def loop(role: Role) -> None:
    """The load, a round every three seconds, until stdin ends: a sample for people to look at."""
    while not select.select([0], [], [], 3)[0]:
        role.load()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--role", required=True)
    parser.add_argument("--port", type=int, required=True, help="the first of its hundred of ports")
    parser.add_argument("--contained", action="store_true", help="in PID, mount and network namespaces of its own")
    parser.add_argument("--container", metavar="ID", help="in a cgroup that has this ID for its name")
    parser.add_argument("--connects", type=int, default=50, help="to the server, for each of IPv4 and IPv6")
    parser.add_argument("--execs", type=int, default=50)
    parser.add_argument("--names", type=int, default=len(loads.HOSTILE), help="how many of the hostile names")
    parser.add_argument("--nested", type=int, default=0, help="execs in a descendant PID namespace")
    parser.add_argument("--writes", type=int, default=100, help="O_DIRECT, a page each")
    parser.add_argument("--reads", type=int, default=100, help="O_DIRECT, a page each")
    options = parser.parse_args()
    loads.PROGRAMS.mkdir(exist_ok=True)
    for name in [*loads.HOSTILE, b"mark-" + options.role.encode()]:
        loads.program(name)
    first = namespaces.enter_container() if options.contained else os.fork()
    if first == 0:
        # Not before: a container's first process is in its cgroup, what started it is not.
        if options.container:
            namespaces.enter_cgroup(options.container)
        namespaces.rename(options.role.encode())
        lead(Role(options))
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) != 0)


main()
