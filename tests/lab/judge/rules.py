"""What must hold of every run, whatever was counted. Each rule yields sentences, none if it holds."""

import collections
import json
import re

from judge.evidence import Evidence, bytes_of

PORTS_A_ROLE = 100
PORT_MEMBERS = ("sport", "dport", "lport", "rport")

# How much of a process name each tool prints, and whether in bytes or, decoded, in characters.
NAME_BYTES = {"tcpconnect": 12, "tcpaccept": 12, "execsnoop": 15}
NAME_CHARACTERS = {"tcptracer": 15, "tcplife": 15}


def foreign(evidence: Evidence) -> list:
    """Records about anything but the targets' processes."""
    ranges = [(port, name) for name, port in evidence.run["ports"].items() if name not in evidence.traced()]
    found = []
    for _, record in evidence.records:
        ports = [record[member] for member in PORT_MEMBERS if member in record]
        words = record.get("comm", "") + " " + record.get("args", "")
        if (
            evidence.role_of(record) not in evidence.traced()
            or any(first <= port < first + PORTS_A_ROLE for port in ports for first, _ in ranges)
            or any(re.search(rf"\b{name}-(\d|nested)|mark-{name}", words) for _, name in ranges)
        ):
            found.append(record)
    return found


def no_foreign_record(evidence: Evidence):
    """Nothing of another pod is ever published."""
    for record in foreign(evidence):
        yield f"a foreign record was published: {json.dumps(record)}"


def every_record_names_its_own_container(evidence: Evidence):
    """One place in the subject for each role, and another for every other role; the same in the record."""
    places = collections.defaultdict(set)
    for subject, record in evidence.records:
        places[evidence.role_of(record)].add(tuple(subject.split(".")[4:7]))
        if subject.split(".")[-1] != record.get("probe"):
            yield f"subject {subject} carries a record of {record.get('probe')}"
    for role, found in places.items():
        if len(found) != 1:
            yield f"{role} stands under {len(found)} places: {sorted(found)}"
    if len(set().union(*places.values())) != sum(len(found) for found in places.values()):
        yield f"two targets share a place: {dict(places)}"


def numbers_inside_are_right(evidence: Evidence):
    """`pid_ns`, where known, is a number that the process has in the container or below."""
    for _, record in evidence.records:
        process = evidence.processes.get(record.get("pid"))
        if process and "pid_ns" in record and record["pid_ns"] not in process.numbers[1:]:
            yield f"process {record['pid']} is {process.numbers[1:]} inside, not {record['pid_ns']}: {record['raw']!r}"


def _name_as_printed(probe: str, name: bytes) -> set:
    """What a record may hold for a process of that name. Padding eats blanks at the end."""
    if probe in NAME_BYTES:
        return {name[: NAME_BYTES[probe]].rstrip(b" ")}
    lossy = name.decode(errors="replace")[: NAME_CHARACTERS[probe]].encode()
    return {name.rstrip(b" "), lossy.rstrip(b" ")}


def hostile_names_arrive_whole(evidence: Evidence):
    """A name that breaks lines or terminals gives the records of any other name, under that name."""
    for probe, per_name in (("tcptracer", 8), ("tcpconnect", 2), ("tcpaccept", 2), ("tcplife", 4), ("execsnoop", 1)):
        records = evidence.of(probe)
        if not records:
            continue
        for role in evidence.traced():
            mine = [bytes_of(record, "comm").rstrip(b" ") for record in records if evidence.role_of(record) == role]
            for digits in evidence.run["roles"][role]["did"]["hostile"]:
                names = _name_as_printed(probe, bytes.fromhex(digits))
                seen = sum(comm in names for comm in mine)
                if seen != per_name:
                    yield f"{probe}: {seen} records of {role} are named {bytes.fromhex(digits)!r}, expected {per_name}"


def nothing_unreadable(evidence: Evidence):
    """Every message is a JSON object of version 1."""
    for message in evidence.unreadable:
        yield f"no JSON object on {message['subject']}: {message.get('payload_hex', '')[:80]}"
    for subject, record in evidence.records:
        if record.get("v") != 1:
            yield f"a record of version {record.get('v')} on {subject}"


def sequences_have_no_holes(evidence: Evidence):
    """`seq` of a probe counts from 1 without holes or repeats."""
    for probe in evidence.run["probes"]:
        numbers = [record["seq"] for record in evidence.of(probe)]
        if numbers != list(range(1, len(numbers) + 1)):
            wrong = next(at for at, number in enumerate(numbers, 1) if number != at)
            yield f"{probe}: record {wrong} of {len(numbers)} has seq {numbers[wrong - 1]}"


def the_hub_shows_every_record(evidence: Evidence):
    """Its JSON is the records; its classic output is a line for each, of the same probe and process."""
    published = collections.Counter(json.dumps(record, sort_keys=True) for _, record in evidence.records)
    shown = collections.Counter()
    for line in evidence.hub_json:
        try:
            shown[json.dumps(json.loads(line), sort_keys=True)] += 1
        except ValueError:
            yield f"x-tracer local printed no JSON: {line[:120]!r}"
    yield from _difference("x-tracer local", published, shown)

    published = collections.Counter((record["probe"], str(record["pid"])) for _, record in evidence.records)
    shown = collections.Counter()
    for line in evidence.hub_classic:
        match = re.match(rb"\{Probe:(\w+) \|Sys_Time: \d\d:\d\d:\d\d .*?\bPID:(\d+)", line, re.DOTALL)
        if not match:
            yield f"x-tracer listen printed no classic line: {line[:120]!r}"
        elif re.search(rb"[\x00-\x1f\x7f]", line):
            yield f"x-tracer listen printed a control character: {line[:120]!r}"
        else:
            shown[match[1].decode(), match[2].decode()] += 1
    yield from _difference("x-tracer listen", published, shown)


def _difference(who: str, published: collections.Counter, shown: collections.Counter):
    missing, extra = published - shown, shown - published
    if missing:
        yield f"{who} did not show {missing.total()} records, such as {next(iter(missing))}"
    if extra:
        yield f"{who} showed {extra.total()} records that were not published, such as {next(iter(extra))}"


def lost(ledger: dict) -> int:
    """Events that existed, or may have, and did not come out: before the tool, on the way to the agent, in it."""
    return sum(ledger[where] for where in ("skipped", "lost_samples", "lost_in_host", "unparsed", "dropped"))


def ledgers_balance(evidence: Evidence):
    """Every line that a tool printed is accounted for, and nothing was lost or restarted. What the kernel skipped,
    and says so, is judged by the counts."""
    found = evidence.ledgers()
    for probe in evidence.run["probes"]:
        if evidence.run["states"].get(probe) != "attached":
            continue
        if probe not in found:
            yield f"{probe}: no ledger was published"
            continue
        ledger = found[probe]
        accounted = sum(ledger[where] for where in ("outside", "unattributed", "unparsed", "dropped", "published"))
        if ledger["printed"] != accounted:
            yield f"{probe}: the ledger does not balance: {ledger}"
        if ledger["published"] != len(evidence.of(probe)):
            yield f"{probe}: {ledger['published']} published by the ledger, {len(evidence.of(probe))} received"
        if lost(ledger) > ledger["skipped"] or ledger["restarts"]:
            yield f"{probe}: lost or restarted: {ledger}"


def every_probe_attached(evidence: Evidence):
    """All that were asked for."""
    for probe in evidence.run["probes"]:
        state = evidence.run["states"].get(probe, "never heard of")
        if state != "attached":
            told = [status for status in evidence.statuses if status.get("probe") == probe and status.get("message")]
            yield f"{probe}: {state}: {told[-1]['message'] if told else 'no message'}"


def every_probe_sees(evidence: Evidence):
    """What the agent did itself was reported by every probe, in every column; nobody was shown it."""
    for probe, sight in evidence.run["sight"].items():
        if sight["verdict"] != "sees":
            told = [status for status in evidence.statuses if status.get("probe") == probe and "sight" in status]
            yield f"{probe}: {told[-1]['message']}"
    for _, record in evidence.records:
        if record.get("comm", "").startswith("x-canary"):
            yield f"the agent's own event was published: {json.dumps(record)}"


def the_stop_was_clean(evidence: Evidence):
    """Both programs ended well and left nothing on the machine."""
    for name, end in evidence.run["ends"].items():
        if end["status"] != 0:
            yield f"x-tracer {name} ended with {end['status']}; its last words: {evidence.stderr[name][-400:]!r}"
    for kind, extra in evidence.run["remains"].items():
        yield f"left behind: {kind}: {extra[:5]}"


RULES = [
    every_probe_attached,
    every_probe_sees,
    no_foreign_record,
    every_record_names_its_own_container,
    numbers_inside_are_right,
    hostile_names_arrive_whole,
    nothing_unreadable,
    sequences_have_no_holes,
    the_hub_shows_every_record,
    ledgers_balance,
    the_stop_was_clean,
]
