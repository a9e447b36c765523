#!/usr/bin/python3
"""The lab's main run: two containers are traced, a third and the host's own processes are not.

All four do the same. What x-tracer published (read with a plain NATS client), what its two front
ends printed, what the workloads say they did, and what was left on the machine afterwards go to
LAB_RESULTS. Nothing is judged here: the judge is check.py, on the host.
"""

import argparse
import json
import os
import platform
import queue
import signal
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import residue
from led import Led
from nats_tap import Tap

RESULTS = Path(os.environ["LAB_RESULTS"])
HERE = Path(__file__).parent
NATS_PORT, MONITOR_PORT = 4222, 8222
NATS_URL = f"nats://127.0.0.1:{NATS_PORT}"

# Name, first TCP port, container ID, whether it is traced, extra options.
ROLES = [
    ("alpha", 7100, "a1" * 32, "pid", ["--nested", "10"]),
    ("beta", 7200, "b2" * 32, "container", []),
    ("gamma", 9300, "c3" * 32, None, ["--nested", "10"]),
    ("host", 9400, None, None, []),
]
# Messages that change nothing about where a probe stands.
PASSING = {"note", "report"}


def say(text: str) -> None:
    """Progress, with the seconds since the guest booted."""
    print(f"[{time.clock_gettime(time.CLOCK_BOOTTIME):6.1f} s] {text}", flush=True)


class Role(Led):
    """A workload's process and the conversation with it."""

    def __init__(self, name: str, port: int, container, by, more: list, sizes: list) -> None:
        self.container, self.by = container, by
        place = ["--contained", "--container", container] if container else []
        super().__init__(
            name, str(HERE / "workload.py"), "--role", name, "--port", str(port), *place, *more, *sizes
        )

    def selector(self) -> list:
        """How x-tracer is told about this role."""
        return ["--pid", str(self.about["host_pid"])] if self.by == "pid" else ["--container", self.container]


class Reader(threading.Thread):
    """Reads the tap: keeps everything in a file, tells the main thread what it waits for."""

    def __init__(self, tap: Tap) -> None:
        super().__init__(daemon=True)
        self.tap = tap
        self.news = queue.Queue()
        self.start()

    def run(self) -> None:
        with open(RESULTS / "tap.jsonl", "wb") as file:
            for subject, payload in self.tap:
                try:
                    message = json.loads(payload)
                except ValueError:
                    message = None
                line = {"subject": subject, "message": message}
                if message is None:
                    line["payload_hex"] = payload.hex()
                file.write(json.dumps(line).encode() + b"\n")
                self.news.put((subject, message))
        self.news.put(None)

    def until(self, enough, seconds: float) -> bool:
        """Hands over messages until `enough(subject, message)`; False if it never was in `seconds`,
        or if the end of what we read or of the program that makes it came first."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                news = self.news.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                return False
            if news is None:
                return False
            if isinstance(news[1], dict) and enough(*news):
                return True

    def give_up_with(self, process: subprocess.Popen) -> None:
        """Waiting ends when this process does."""

        def watch() -> None:
            process.wait()
            self.news.put(None)

        threading.Thread(target=watch, daemon=True).start()


def launch(name: str, *arguments: str) -> subprocess.Popen:
    """Starts one of our programs, its stdout and stderr in files."""
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=open(RESULTS / f"{name}.out", "wb"),
        stderr=open(RESULTS / f"{name}.err", "wb"),
    )


def nats_server() -> subprocess.Popen:
    """A server on fixed ports (the guest is ours alone), once it is ready."""
    server = subprocess.Popen(
        ["nats-server", "-a", "127.0.0.1", "-p", str(NATS_PORT), "-m", str(MONITOR_PORT)], stderr=subprocess.PIPE
    )
    log = open(RESULTS / "nats.err", "wb")
    for line in server.stderr:
        log.write(line)
        if b"Server is ready" in line:
            break
    else:
        raise SystemExit("nats-server did not start")
    threading.Thread(target=lambda: [log.write(line) for line in server.stderr], daemon=True).start()
    return server


def wait_for_subscriptions(wanted: int, process: subprocess.Popen, seconds: float) -> None:
    """Until as many clients have subscribed: `listen` must not miss the first record."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with urllib.request.urlopen(f"http://127.0.0.1:{MONITOR_PORT}/connz?subs=1") as answer:
            connections = json.load(answer)["connections"]
        if sum(any(s.startswith("xtracer.") for s in c.get("subscriptions_list", [])) for c in connections) >= wanted:
            return
        time.sleep(0.2)
    raise SystemExit(f"x-tracer listen did not subscribe within {seconds:.0f} s (exit status {process.poll()})")


def wait_for_probes(reader: Reader, program: subprocess.Popen, probes: list, seconds: float) -> tuple:
    """Until every probe has been given up, or has attached and it is known whether it sees; the last
    states and what was told of their sight, both by probe."""
    states: dict = {}
    sight: dict = {}

    def settled(subject: str, message: dict) -> bool:
        probe = message.get("probe")
        if subject.endswith(".status") and probe:
            if message["state"] not in PASSING:
                states[probe] = message["state"]
                sight.pop(probe, None)
            if "sight" in message:
                sight[probe] = message["sight"]
            if message["state"] != "report":
                took = f" after {message['took_ms'] / 1000:.1f} s" if "took_ms" in message else ""
                say(f"{probe}: {message['state']}{took} {message.get('message', '')}")
        return all(is_settled(probe) for probe in probes)

    def is_settled(probe: str) -> bool:
        return states.get(probe) == "given_up" or states.get(probe) == "attached" and probe in sight

    if not reader.until(settled, seconds):
        waiting = [probe for probe in probes if not is_settled(probe)]
        say(f"never settled: {', '.join(waiting)}; x-tracer's status: {program.poll()}")
    return states, sight


def wait_for_marks(reader: Reader, expected: dict, roles: list, seconds: float) -> list:
    """Until the records of the last round have come; what is missing after so many seconds."""
    missing = {(f"mark-{role}", probe): count for role in roles for probe, count in expected.items()}

    def all_came(subject: str, message: dict) -> bool:
        mark = (message.get("comm"), message.get("probe"))
        if mark in missing:
            missing[mark] -= 1
        return not any(count > 0 for count in missing.values())

    reader.until(all_came, seconds)
    return sorted(f"{probe} of {role}" for (role, probe), count in missing.items() if count > 0)


def stop(process: subprocess.Popen, seconds: float) -> dict:
    """Ctrl-C, as the user would; how it ended and after how long."""
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    try:
        status = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        status = f"still running {seconds:.0f} s after SIGINT"
    return {"status": status, "seconds": round(time.monotonic() - begun, 1)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--probes", default="tcptracer,tcpconnect,tcpaccept,tcplife,execsnoop,biosnoop,cachetop")
    parser.add_argument("--patience", type=float, default=1500, help="seconds that the probes have to attach")
    options, sizes = parser.parse_known_args()
    probes = options.probes.split(",")

    server = nats_server()
    # The tap and the roles stay until the last look, so they belong to the first one too.
    reader = Reader(Tap("127.0.0.1", NATS_PORT, "xtracer.v1.>"))
    roles = [Role(*role, sizes) for role in ROLES]
    traced = [role for role in roles if role.by]
    before = residue.listing()

    listener = launch("listen", "x-tracer", "listen", "--nats", NATS_URL, "--output", "classic")
    wait_for_subscriptions(2, listener, 120)
    say(f"x-tracer local with {len(probes)} probes")
    selectors = [word for role in traced for word in role.selector()]
    where = ["--nats", NATS_URL]
    local = launch("local", "x-tracer", "local", *selectors, "--probes", options.probes, *where, "--output", "json")
    begun = time.monotonic()
    reader.give_up_with(local)
    states, sight = wait_for_probes(reader, local, probes, options.patience)
    settled = time.monotonic() - begun
    if local.poll() is not None:
        raise SystemExit(f"x-tracer local ended with status {local.returncode} before anything was traced")
    attached = [probe for probe in probes if states.get(probe) == "attached"]
    say(f"{len(attached)} of {len(probes)} probes attached; the load begins")

    for role in roles:
        role.tell("go")
    done = {role.name: role.hear("done") for role in roles}
    say("the load is done; waiting for its records")
    # Those that must not be seen first: a leak would come out before the traced ones' marks.
    marks = {}
    for role in sorted(roles, key=lambda role: bool(role.by)):
        role.tell("mark")
        marks = role.hear("marked")
    marks = {probe: count for probe, count in marks.items() if probe in attached}
    unseen = wait_for_marks(reader, marks, [role.name for role in traced], 90)

    say("stopping" + (f" (never came: {', '.join(unseen)})" if unseen else ""))
    ends = {"local": stop(local, 120), "listen": stop(listener, 60)}
    remains = residue.left(before)
    reader.tap.close()
    reader.join()
    for role in roles:
        role.end()
    server.terminate()
    server.wait()
    run = {
        "kernel": platform.release(),
        "probes": probes,
        "states": states,
        "sight": sight,
        "settled_s": round(settled, 1),
        "roles": {role.name: {**role.about, "traced": bool(role.by), "did": done[role.name]} for role in roles},
        "ports": {name: port for name, port, *_ in ROLES},
        "marks": marks,
        "marks_unseen": unseen,
        "ends": ends,
        "remains": remains,
    }
    (RESULTS / "run.json").write_text(json.dumps(run, indent=1))
    say("done")


main()
