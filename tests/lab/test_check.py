"""The judge must be able to say no: one good run, then one fault after the other put into it.

Run it with `python3 -m unittest discover tests/lab`.
"""

import copy
import json
import tempfile
import unittest
from pathlib import Path

from check import table, verdict
from judge import rules
from judge.counts import counts
from judge.evidence import Evidence, Process, read

PORTS = {"alpha": 7100, "beta": 7200, "gamma": 9300, "host": 9400}
TRACED = ("alpha", "beta")
PROBES = ["tcptracer", "tcpconnect", "tcpaccept", "tcplife", "execsnoop", "biosnoop", "cachetop"]
HOSTILE = [b"evil\n1 2\x1b[7m,x", b"bad\xff\xfe utf8"]
# Numbers of the processes of a role, after its first.
CLIENT, SERVER, HOSTILE_FIRST, EXEC_FIRST, DIRECT, CACHED, MARK = 1, 2, 10, 20, 3, 4, 5


class Run:
    """Writes a good run, record by record, as the agent and the hub would have."""

    def __init__(self) -> None:
        connects = 4 + 2 * len(HOSTILE)
        self.did = {
            "connects": connects,
            "accepts": connects,
            "closes": 2 * connects,
            "sessions": 2 * connects,
            "execs": 3 + len(HOSTILE),
            "direct_writes": 2,
            "direct_reads": 1,
            "hostile": [name.hex() for name in HOSTILE],
        }
        self.processes, self.records, self.first = {}, [], {}
        for at, role in enumerate(PORTS, 1):
            self.first[role] = 1000 * at
            for kind, own in (("init", 0), ("client", CLIENT), ("server", SERVER), ("direct", DIRECT), ("cached", CACHED), ("mark", MARK)):
                self.process(role, kind, own)
        for role in TRACED:
            self.role(role)

    def process(self, role: str, kind: str, own: int) -> int:
        number = self.first[role] + own
        self.processes[number] = Process(role, kind, [number, own + 1])
        return number

    def record(self, probe: str, role: str, pid: int, comm: bytes, **columns) -> None:
        record = {"v": 1, "seq": 1 + sum(r["probe"] == probe for _, r in self.records), "probe": probe, "pid": pid, "raw": "…"}
        record |= {"pid_ns": self.processes[pid].numbers[1], "comm": comm.decode(errors="replace"), **columns}
        if comm.decode(errors="replace").encode() != comm:
            record["hex"] = {"comm": comm.hex()}
        self.records.append((f"xtracer.v1.s.n.local.pod.{role}.{probe}", record))

    def connection(self, role: str, client: int, server: int, names: tuple, ip: int, port: int) -> None:
        for event, pid, name in (("connect", client, names[0]), ("accept", server, names[1]), ("close", client, names[0]), ("close", server, names[1])):
            self.record("tcptracer", role, pid, name, type=event, ip=ip, sport=40000, dport=port)
        self.record("tcpconnect", role, client, names[0][:12], ip=ip, dport=port)
        self.record("tcpaccept", role, server, names[1][:12], ip=ip, rport=40000, lport=port)
        self.record("tcplife", role, client, names[0], tx_kb=3, rx_kb=5, lport=40000, rport=port)
        self.record("tcplife", role, server, names[1], tx_kb=5, rx_kb=3, lport=port, rport=40000)

    def role(self, role: str) -> None:
        first, port = self.first[role], PORTS[role]
        for ip in (4, 6, 4, 6):
            self.connection(role, first + CLIENT, first + SERVER, (b"client", b"server"), ip, port)
        for at, name in enumerate(HOSTILE):
            pid = self.process(role, "hostile", HOSTILE_FIRST + at)
            for ip in (4, 6):
                self.connection(role, pid, pid, (name, name), ip, port + 10)
            program = self.process(role, "exec", EXEC_FIRST + 10 + at)
            self.record("execsnoop", role, program, name, args=f"/programs/hostile-{at} {role}")
        for at in range(3):
            self.record("execsnoop", role, self.process(role, "exec", EXEC_FIRST + at), b"true", args=f"/bin/true {role}-{at}")
        for rw in "WWR":
            self.record("biosnoop", role, first + DIRECT, b"direct", rw=rw)
        self.record("cachetop", role, first + CACHED, b"cached")
        mark = b"mark-" + role.encode()
        self.connection(role, first + MARK, first + MARK, (mark, mark), 4, port + 10)
        self.record("execsnoop", role, self.process(role, "exec", EXEC_FIRST + 9), mark, args=f"/programs/{mark.decode()} {role}")

    def evidence(self) -> Evidence:
        run = {
            "kernel": "k",
            "probes": PROBES,
            "settled_s": 1.0,
            "states": {probe: "attached" for probe in PROBES},
            "sight": {probe: {"verdict": "sees"} for probe in PROBES},
            "ports": PORTS,
            "roles": {role: {"traced": role in TRACED, "did": self.did} for role in PORTS},
            "ends": {"local": {"status": 0, "seconds": 1}, "listen": {"status": 0, "seconds": 1}},
            "remains": {},
        }
        statuses = [{"probe": probe, "state": "attached", "took_ms": 1500} for probe in PROBES]
        for probe in PROBES:
            published = sum(record["probe"] == probe for _, record in self.records)
            ledger = dict.fromkeys(("unattributed", "unparsed", "dropped", "restarts"), 0)
            ledger |= dict.fromkeys(("skipped", "lost_samples", "lost_in_host"), 0)
            ledger |= {"printed": published + 9, "outside": 9, "published": published}
            statuses.append({"probe": probe, "state": "stopped", "ledger": ledger})
        evidence = Evidence(run, self.processes, self.records, statuses, [], [], [], {"local": "", "listen": ""})
        return shown(evidence)


def shown(evidence: Evidence) -> Evidence:
    """With the hub's two outputs made from the records."""
    evidence.hub_json = [json.dumps(record).encode() for _, record in evidence.records]
    evidence.hub_classic = [f"{{Probe:{r['probe']} |Sys_Time: 01:02:03 | PID:{r['pid']} | … ".encode() for _, r in evidence.records]
    return evidence


class Verdict(unittest.TestCase):
    def setUp(self) -> None:
        self.evidence = copy.deepcopy(Run().evidence())

    def against(self, debian: str = "12") -> list:
        return verdict(self.evidence, counts(self.evidence, debian))

    def assert_against(self, *parts: str) -> None:
        against = self.against()
        for part in parts:
            self.assertTrue(any(part in sentence for sentence in against), f"no {part!r} in {against}")

    def records(self, probe: str) -> list:
        return self.evidence.of(probe)

    def drop(self, probe: str, **members) -> None:
        """Takes the first such record out, as if the tool had never printed it."""
        at = next(i for i, (_, r) in enumerate(self.evidence.records) if r["probe"] == probe and all(r.get(k) == v for k, v in members.items()))
        del self.evidence.records[at]

    def test_a_good_run_has_nothing_against_it(self) -> None:
        self.assertEqual(self.against(), [])
        text = table(self.evidence, counts(self.evidence, "12"))
        self.assertRegex(text, r"tcptracer +72 +72 +0 +0 +0 +1\.5 s")
        self.assertRegex(text, r"biosnoop +≥ 6 +6 ")

    def test_a_missing_record_of_an_exact_probe(self) -> None:
        for probe, what in (("tcptracer", "connects"), ("tcpconnect", "connects"), ("tcpaccept", "accepts"), ("tcplife", "sessions"), ("execsnoop", "execs")):
            with self.subTest(probe):
                self.evidence = copy.deepcopy(Run().evidence())
                self.drop(probe)
                self.assert_against(f"{what} of alpha, expected")

    def test_a_record_too_many(self) -> None:
        self.evidence.records.append(copy.deepcopy(next(pair for pair in self.evidence.records if pair[1]["probe"] == "tcpaccept")))
        self.assert_against("tcpaccept: 10 accepts of alpha, expected 9", "tcpaccept: record 19 of 19 has seq")

    def test_an_event_of_the_wrong_type_or_family(self) -> None:
        record = next(r for r in self.records("tcptracer") if r["type"] == "accept" and r["ip"] == 6)
        record["type"] = "close"
        self.assert_against("accepts of alpha", "closes of alpha")
        next(r for r in self.records("tcpconnect") if r["ip"] == 6)["ip"] = 4
        self.assert_against("IPv6 connects of alpha")

    def test_a_session_with_the_wrong_volume(self) -> None:
        self.records("tcplife")[0]["tx_kb"] = 4
        self.assert_against("client sides of alpha")

    def test_two_commands_that_are_one(self) -> None:
        self.records("execsnoop")[0]["args"] = self.records("execsnoop")[1]["args"]
        self.assert_against("different commands of alpha")

    def test_too_few_writes_or_rows(self) -> None:
        self.drop("biosnoop", rw="W")
        self.drop("cachetop")
        self.assert_against("biosnoop: 1 direct writes of alpha, expected at least 2", "rows of the cached process")

    def test_a_known_limit_excuses_what_is_missing_and_nothing_else(self) -> None:
        self.evidence.records = [pair for pair in self.evidence.records if pair[1]["probe"] != "tcpaccept"]
        self.assertFalse(any("accepts of" in sentence for sentence in self.against("11")))
        self.assertTrue(any("accepts of" in sentence for sentence in self.against("12")))
        self.evidence = copy.deepcopy(Run().evidence())
        self.evidence.records.append(next(pair for pair in self.evidence.records if pair[1]["probe"] == "tcpaccept"))
        self.assertTrue(any("tcpaccept: 10 accepts" in sentence for sentence in self.against("11")))

    def test_a_foreign_process(self) -> None:
        for pid in (3001, 4001, 77, 0):
            with self.subTest(pid):
                self.evidence = copy.deepcopy(Run().evidence())
                self.records("biosnoop")[0]["pid"] = pid
                self.assertEqual(len(rules.foreign(self.evidence)), 1)
                self.assert_against("a foreign record was published")

    def test_a_foreign_port_or_command_under_a_number_of_ours(self) -> None:
        self.records("tcpconnect")[0]["dport"] = PORTS["gamma"] + 1
        self.records("execsnoop")[0]["args"] = "/bin/true host-7"
        self.records("execsnoop")[1]["comm"] = "mark-gamma"
        self.assertEqual(len(rules.foreign(self.evidence)), 3)

    def test_a_record_under_the_wrong_container(self) -> None:
        subject, record = self.evidence.records[0]
        self.evidence.records[0] = (subject.replace("alpha", "beta"), record)
        self.assert_against("alpha stands under 2 places", "two targets share a place")

    def test_a_subject_of_another_probe(self) -> None:
        subject, record = self.evidence.records[0]
        self.evidence.records[0] = (subject.replace("tcptracer", "tcplife"), record)
        self.assert_against("carries a record of tcptracer")

    def test_a_wrong_number_inside(self) -> None:
        self.records("tcplife")[0]["pid_ns"] += 1
        self.assert_against("inside, not")

    def test_a_hostile_name_that_was_changed_or_cut(self) -> None:
        for probe in ("tcptracer", "tcpconnect", "tcpaccept", "tcplife", "execsnoop"):
            with self.subTest(probe):
                self.evidence = copy.deepcopy(Run().evidence())
                next(r for r in self.records(probe) if r["comm"].startswith("evil"))["comm"] = "evil"
                self.assert_against(f"{probe}: ")

    def test_a_message_that_cannot_be_read(self) -> None:
        self.evidence.unreadable.append({"subject": "s", "message": None, "payload_hex": "ff"})
        self.evidence.records[0][1]["v"] = 2
        self.assert_against("no JSON object on s: ff", "a record of version 2")

    def test_a_hole_in_a_sequence(self) -> None:
        self.records("tcplife")[3]["seq"] = 9
        self.assert_against("tcplife: record 4 of")

    def test_what_the_hub_does_not_show_or_makes_up(self) -> None:
        del self.evidence.hub_json[0], self.evidence.hub_classic[0]
        self.assert_against("x-tracer local did not show 1", "x-tracer listen did not show 1")
        shown(self.evidence)
        self.evidence.hub_json.append(b'{"probe": "tcplife"}')
        self.evidence.hub_classic.append(b"{Probe:tcplife |Sys_Time: 01:02:03 |PID:1 | ")
        self.assert_against("x-tracer local showed 1", "x-tracer listen showed 1")

    def test_what_is_no_line_of_the_hub(self) -> None:
        self.evidence.hub_json.append(b"hello")
        self.evidence.hub_classic += [b"hello", self.evidence.hub_classic[0] + b"\x1b[2J"]
        self.assert_against("printed no JSON", "printed no classic line", "printed a control character")

    def test_a_ledger_that_does_not_balance(self) -> None:
        ledger = self.evidence.ledgers()["tcplife"]
        ledger["printed"] += 1
        self.assert_against("tcplife: the ledger does not balance")
        ledger["published"] += 1
        self.assert_against("published by the ledger")

    def test_anything_lost_or_restarted(self) -> None:
        for where in ("lost_samples", "lost_in_host", "unparsed", "dropped", "restarts"):
            with self.subTest(where):
                self.evidence = copy.deepcopy(Run().evidence())
                self.evidence.ledgers()["biosnoop"][where] = 1
                self.assert_against("biosnoop: lost or restarted")

    def test_what_the_kernel_skipped_may_be_missing_and_no_more(self) -> None:
        self.evidence.ledgers()["tcpaccept"]["skipped"] = 1
        self.drop("tcpaccept")
        self.assertFalse([said for said in self.against() if "expected" in said])
        self.drop("tcpaccept")
        self.assert_against("accepts of alpha, expected")

    def test_a_probe_without_a_ledger(self) -> None:
        self.evidence.statuses = [status for status in self.evidence.statuses if status["probe"] != "tcplife"]
        self.assert_against("tcplife: no ledger")

    def test_a_probe_that_did_not_attach(self) -> None:
        self.evidence.run["states"]["cachetop"] = "given_up"
        self.evidence.statuses.append({"probe": "cachetop", "state": "given_up", "message": "no debugfs"})
        del self.evidence.run["states"]["biosnoop"]
        self.assert_against("cachetop: given_up: no debugfs", "biosnoop: never heard of")

    def test_a_probe_that_does_not_see(self) -> None:
        suspect = {"verdict": "suspect", "dead": ["MISSES"]}
        self.evidence.run["sight"]["cachetop"] = suspect
        self.evidence.statuses.append({"probe": "cachetop", "state": "note", "message": "no MISSES", "sight": suspect})
        self.assert_against("cachetop: no MISSES")

    def test_an_event_of_the_agents_own(self) -> None:
        self.records("tcptracer")[0]["comm"] = "x-canary"
        self.assert_against("the agent's own event was published")

    def test_a_stop_that_leaves_something(self) -> None:
        self.evidence.run["ends"]["local"]["status"] = "still running 120 s after SIGINT"
        self.evidence.run["remains"] = {"kprobe events": ["p:kprobes/p_tcp_close_bcc_9"]}
        self.assert_against("x-tracer local ended with still running", "left behind: kprobe events")

    def test_a_rule_with_much_to_say_is_cut_short(self) -> None:
        for record in self.records("tcplife"):
            record["v"] = 7
        self.assert_against("more of that kind")


class Reading(unittest.TestCase):
    def test_reads_what_the_guest_writes(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "run.json").write_text(json.dumps({"roles": {"alpha": {"traced": True}}}))
            (folder / "alpha.pids").write_text('{"kind": "init", "numbers": [41, 1]}\n')
            messages = [
                {"subject": "xtracer.v1.s.n.a.b.c.tcplife", "message": {"probe": "tcplife", "pid": 41}},
                {"subject": "xtracer.v1.s.n.status", "message": {"state": "starting"}},
                {"subject": "xtracer.v1.s.n.a.b.c.tcplife", "message": None, "payload_hex": "ff"},
                {"subject": "xtracer.v1.s.n.a.b.c.tcplife", "message": [1]},
            ]
            (folder / "tap.jsonl").write_text("".join(json.dumps(message) + "\n" for message in messages))
            (folder / "local.out").write_bytes(b"{}\n\n{}\n")
            (folder / "listen.out").write_bytes(b"a\xff\nno end")
            for name in ("local.err", "listen.err"):
                (folder / name).write_bytes(b"\xff")
            evidence = read(folder)
        self.assertEqual(evidence.processes[41].numbers, [41, 1])
        self.assertEqual([len(part) for part in (evidence.records, evidence.statuses, evidence.unreadable)], [1, 1, 2])
        self.assertEqual(evidence.hub_json, [b"{}", b"", b"{}"])
        self.assertEqual(evidence.hub_classic, [b"a\xff", b"no end"])
        self.assertEqual(evidence.role_of(evidence.records[0][1]), "alpha")
        self.assertEqual(evidence.traced(), ["alpha"])


if __name__ == "__main__":
    unittest.main()
