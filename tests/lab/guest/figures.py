#!/usr/bin/python3
"""What tracing costs, measured on this machine: the whole agent beside seven plain tools.

Memory, time to attach, CPU under a foreign load with and without the filter in the kernel, and the
time from an event to its line. Tables come out as they are measured. tests/bench/lab-figures runs
this in the lab, whose CPU is emulated: what counts there is what compares.
"""

import argparse
import json
import math
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import costs
from filtermap import let_through
from heard import Heard
from led import Led
from stock import Stock

HERE = Path(__file__).parent
RESULTS = Path(os.environ["LAB_RESULTS"])
# Emulated, tools compile for up to a minute each, and two at a time.
PATIENCE = 900
# What the machine still does for a load when that has ended belongs to it.
AFTER = 2
# After the last tool has attached, pages are still given back, and what else took part in the start is done.
REST = 20
# Lines of a burst follow each other faster than this, and cachetop's once a second don't.
PAUSE = 0.5
# What has not come by then has been lost.
LOST = 60
# Connects for a latency, by the rate that is asked for.
LATENCIES = {100: 500, 5000: 5000}


def say(text: str) -> None:
    """Progress, with the seconds since boot."""
    print(f"[{time.clock_gettime(time.CLOCK_BOOTTIME):6.1f} s] {text}", flush=True)


def table(head: list, rows: list, *notes: str) -> None:
    """A Markdown table, to the screen and into the results."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    text = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
    text = "\n".join(["", text, *(f"\n{note}" for note in notes), ""])
    print(text, flush=True)
    with open(RESULTS / "figures.md", "a") as file:
        file.write(text + "\n")


class Session:
    """`x-tracer local` on a container, with all seven tools."""

    def __init__(self, target: Led) -> None:
        command = ["x-tracer", "local", "--pid", str(target.about["host_pid"]), "--output", "json"]
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.records = Heard("the hub's records", self.process.stdout.fileno())
        self.told = Heard("x-tracer local", self.process.stderr.fileno())

    def matches(self, pattern: bytes) -> list:
        """(moment, match) for each line of its messages that matches."""
        found = ((moment, re.search(pattern, line)) for moment, line in self.told.lines())
        return [(moment, match) for moment, match in found if match]

    def settle(self) -> None:
        """Until all are attached and known to see."""
        for pattern in (rb"probes attached \d+/\d+", rb"probes proven to see \d+/\d+"):
            self.told.must(lambda _, pattern=pattern: self.matches(pattern), PATIENCE)
            say(self.matches(pattern)[0][1][0].decode())

    def commands(self) -> dict:
        """The command that each probe's tool was started with, in the order of their starts."""
        found: dict = {}
        for _, match in self.matches(rb"(\w+): starting: (.+)$"):
            found.setdefault(match[1].decode(), match[2].decode().split())
        return found

    def agent(self) -> list:
        """The agent's processes, itself first."""
        return costs.family(self.process.pid, "x-agent")

    def memory(self) -> list:
        """(name, PSS) of each. The probes' are forked by a parent that has loaded bcc for all of them."""
        agent = self.agent()

        def name(pid: int) -> str:
            if pid == agent[0]:
                return "x-agent"
            if costs.parent(pid) != agent[0]:
                return "a probe's process"
            return "the probes' parent" if costs.name(pid) == "x-agent" else costs.name(pid)

        return [(name(pid), costs.pss(pid)) for pid in agent]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=120)
        self.told.join()


def start_table(session: Session, alone: dict) -> None:
    """When each tool had attached: the first time, for one may be healed later."""
    attached: dict = {}
    for moment, match in session.matches(rb"(\w+): attached after ([\d.]+) s"):
        attached.setdefault(match[1].decode(), (float(match[2]), moment - session.begun))
    rows = [
        [probe, f"{took:.1f}", f"{at:.1f}", f"{alone[probe]:.1f}"] for probe, (took, at) in attached.items()
    ]
    last = max(at for _, at in attached.values())
    slowest, all_alone = max(alone.values()), sum(alone.values())
    table(
        ["start, s", "in the agent", "attached, from `x-tracer local` on", "plain tool alone"],
        [*rows, ["all", "", f"{last:.1f}", f"{all_alone:.1f}"]],
        f"Last attached after {last / slowest:.2f} times the slowest tool alone, and {last / all_alone:.2f} times "
        f"the seven one after another, on {os.cpu_count()} CPUs.",
    )


def memory_table(agent: list, plain: list) -> None:
    """`agent` and `plain` are (name, PSS) pairs."""
    rows = [[name, f"{size:.1f}"] for name, size in agent]
    total, alone = sum(size for _, size in agent), sum(size for _, size in plain)
    rows.append([f"**the agent, {len(agent)} processes**", f"**{total:.1f}**"])
    rows += [[f"plain {name}", f"{size:.1f}"] for name, size in plain]
    rows.append([f"**plain tools, {len(plain)} processes**", f"**{alone:.1f}**"])
    table(["memory, PSS in MB", ""], rows, f"The agent has {total / alone:.2f} of what the plain tools have.")


def neighbour_table(session: Session, target: Led, foreign: Led, seconds: int) -> None:
    """The agent's CPU while the target does little, and somebody else nothing or much."""

    def window(loud: bool) -> tuple:
        agent = session.agent()
        before, begun = costs.cpu(agent), time.monotonic()
        target.tell(f"steady {seconds}")
        if loud:
            foreign.tell(f"foreign {seconds}")
        did = foreign.hear("foreign") if loud else {}
        expected = target.hear("steady")
        time.sleep(AFTER)
        passed = time.monotonic() - begun
        share = costs.spent(before, costs.cpu(agent)) / passed
        return did, share, passed, seen(session, expected)

    say("a quiet neighbour, when the agent has come to rest")
    time.sleep(REST)
    before = window(loud=False)
    say("a noisy neighbour, filtered in the kernel")
    filtered = window(loud=True)
    say("a noisy neighbour that the kernel lets through")
    with let_through(session.agent()[0], foreign.about["pidns"]):
        through = window(loud=True)
    say("a quiet neighbour, once more")
    after = window(loud=False)
    idle = (before[1] + after[1]) / 2
    rows = []
    for what, (did, share, passed, came) in {
        "none": before,
        "filtered in the kernel": filtered,
        "sorted out by the agent": through,
        "none, afterwards": after,
    }.items():
        events = sum(did.values())
        rate, each = "", ""
        if events:
            rate, each = f"{events / seconds:.0f}", f"{(share - idle) * passed / events * 1e6:.0f}"
        rows.append([what, rate, f"{share * 100:.1f}", f"{(share - idle) * 100:+.1f}", each, came])
    table(
        ["foreign load", "events/s", "agent's CPU, % of one", "against idle", "µs an event", "target's events seen"],
        rows,
        f"{seconds} s each; idle is the mean of the two without a foreign load. A foreign event is an exec, a connect "
        "(that is accepted and closed) or an O_DIRECT "
        "write: " + ", ".join(f"{count} {kind}" for kind, count in through[0].items()) + " where the agent sorts. "
        "CPU of all the agent's processes, its kernel time included; what the probes cost the neighbour is not in it.",
    )


def seen(session: Session, expected: dict) -> str:
    """How many of the target's events came."""
    wanted = {("tcpconnect", port) for port in expected["ports"]}
    wanted |= {("execsnoop", f"/bin/true {argument}") for argument in expected["execs"]}
    came = wait_for(session.records, wanted, lambda line: record_key(json.loads(line)))
    return f"{len(came)} of {len(wanted)}"


def record_key(record: dict) -> tuple:
    return (record["probe"], record.get("dport") or record.get("args"))


def wait_for(heard: Heard, wanted: set, key) -> dict:
    """When a line with each wanted key first came; not for ever."""
    came: dict = {}
    at = 0

    def all_came(lines: list) -> bool:
        nonlocal at
        for moment, line in lines[at:]:
            if (what := key(line)) in wanted:
                came.setdefault(what, moment)
        at = len(lines)
        return len(came) == len(wanted)

    heard.until(all_came, LOST)
    return came


def latencies(target: Led, heard: Heard, key) -> list:
    """For each rate that is asked for, what was reached and how long the lines took."""
    results = []
    for rate, count in LATENCIES.items():
        say(f"{heard.name}: {count} connects at {rate}/s")
        target.tell(f"connect {rate} {count}")
        moments = {int(port): moment for port, moment in target.hear("connected").items()}
        heard.rest(PAUSE)
        came = wait_for(heard, set(moments), key)
        delays = sorted((moment - moments[port]) * 1e3 for port, moment in came.items())
        reached = (count - 1) / (max(moments.values()) - min(moments.values()))
        results.append((rate, reached, delays, count))
    return results


def nth(values: list, share: float) -> str:
    """A percentile of sorted values."""
    return f"{values[math.ceil(share * len(values)) - 1]:.1f}" if values else "none"


def latency_table(hub: list, plain: list) -> None:
    rows = [
        [name, rate, f"{reached:.0f}", nth(delays, 0.5), nth(delays, 0.99), nth(delays, 1), f"{len(delays)} of {count}"]
        for pair in zip(hub, plain)
        for name, (rate, reached, delays, count) in zip(("x-tracer, its hub's stdout", "plain tool, a pipe"), pair)
    ]
    table(
        ["from connect(2) to its line, ms", "asked for, /s", "reached, /s", "p50", "p99", "last", "came"],
        rows,
        "tcpconnect's line, while the other six tools are attached too, in the agent or beside it.",
    )


def of_hub(line: bytes):
    record = json.loads(line)
    return record["dport"] if record["probe"] == "tcpconnect" else None


def of_plain(line: bytes):
    words = line.split()
    return int(words[-1]) if len(words) == 7 and words[-1].isdigit() else None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=10, help="of each foreign load")
    options = parser.parse_args()

    target, foreign = (Led(name, str(HERE / "rates.py")) for name in ("target", "foreign"))
    session = Session(target)
    say("x-tracer local with seven probes")
    session.settle()
    memory = session.memory()
    say(f"the agent: {sum(size for _, size in memory):.1f} MB")
    neighbour_table(session, target, foreign, options.seconds)
    hub = latencies(target, session.records, of_hub)
    commands = session.commands()
    session.stop()
    for moment, match in session.matches(rb"(printed \d+ =|complete).*"):
        say(match.string.decode(errors="replace"))

    say("the plain tools, one after another; each stays")
    stock = {}
    for probe, command in commands.items():
        stock[probe] = Stock(probe, command, PATIENCE)
        say(f"{probe}: {stock[probe].took:.1f} s")
    memory_table(memory, [(probe, costs.pss(one.process.pid)) for probe, one in stock.items()])
    start_table(session, {probe: one.took for probe, one in stock.items()})
    latency_table(hub, latencies(target, stock["tcpconnect"].heard, of_plain))
    for one in stock.values():
        one.stop()
    for role in (target, foreign):
        role.end()
    say("done")


main()
