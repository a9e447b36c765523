"""How many records each probe had to give, and how many it gave.

Expected numbers come from what the workloads did: the load, and one closing round of each kind
(`mark`). Where a tool is exact the number must be equal; biosnoop and cachetop can only be asked
for at least so many: the kernel may split a request, and cachetop prints a row a second. Of any, as
many may be missing as the ledger says that the kernel skipped runs of the tool's programs: told is not lost.
"""

from dataclasses import dataclass

from judge.evidence import Evidence

# What the distribution's own tool cannot do on this release's kernel, whoever runs it. Each is
# excused by name; whatever else such a probe reports is judged as everywhere. The reasons are
# upstream's: tests/lab/README.md.
KNOWN = {
    "11": {"tcpaccept": "prints nothing on this kernel (iovisor/bcc 3845)"},
    "12": {},
    "13": {},
}


@dataclass
class Count:
    """One number that had to come out."""

    probe: str
    role: str
    what: str
    expected: int
    seen: int
    exact: bool = True
    # Whether it counts once more what another number of its probe has counted.
    part: bool = False
    # How many the kernel did not show to the tool, by its own account.
    skipped: int = 0
    # Why a wrong number is excused, if it is.
    known: str = ""

    def wrong(self) -> bool:
        """Whether this fails the run."""
        missing = self.expected - self.seen
        right = missing <= self.skipped and (missing >= 0 or not self.exact)
        # An excuse covers what is missing, never what is too much.
        return not right and not (self.known and self.seen < self.expected)


AT_LEAST = {"exact": False}
PART = {"part": True}


def counts(evidence: Evidence, debian: str) -> list:
    """All of them, for the probes that attached."""
    found = []
    known, told = KNOWN.get(debian, {}), evidence.ledgers()
    attached = [probe for probe in evidence.run["probes"] if evidence.run["states"].get(probe) == "attached"]
    for probe in attached:
        skipped = told.get(probe, {}).get("skipped", 0)
        for role in evidence.traced():
            records = [record for record in evidence.of(probe) if evidence.role_of(record) == role]
            did = evidence.run["roles"][role]["did"]
            for what, expected, seen, *kind in EXPECTATIONS[probe](did, records, evidence):
                allowed = {"skipped": skipped, "known": known.get(probe, "")}
                found.append(Count(probe, role, what, expected, seen, **allowed, **dict(*kind)))
    return found


def _number(records: list, **members) -> int:
    return sum(all(record.get(name) == value for name, value in members.items()) for record in records)


def _kind(records: list, kind: str, evidence: Evidence) -> list:
    return [record for record in records if evidence.processes[record["pid"]].kind == kind]


def _tcptracer(did, records, _):
    yield "connects", did["connects"] + 1, _number(records, type="connect")
    yield "accepts", did["accepts"] + 1, _number(records, type="accept")
    yield "closes", did["closes"] + 2, _number(records, type="close")
    yield "IPv6 connects", did["connects"] // 2, _number(records, type="connect", ip=6), PART


def _tcpconnect(did, records, _):
    yield "connects", did["connects"] + 1, len(records)
    yield "IPv6 connects", did["connects"] // 2, _number(records, ip=6), PART


def _tcpaccept(did, records, _):
    yield "accepts", did["accepts"] + 1, len(records)
    yield "IPv6 accepts", did["accepts"] // 2, _number(records, ip=6), PART


def _tcplife(did, records, _):
    half = did["sessions"] // 2 + 1
    yield "sessions", did["sessions"] + 2, len(records)
    # The workload sends 3 KiB and answers with 5: each side has one session of its own.
    yield "client sides", half, _number(records, tx_kb=3, rx_kb=5), PART
    yield "server sides", half, _number(records, tx_kb=5, rx_kb=3), PART


def _execsnoop(did, records, _):
    yield "execs", did["execs"] + 1, len(records)
    yield "different commands", did["execs"] + 1, len({record["args"] for record in records}), PART


def _biosnoop(did, records, evidence):
    direct = _kind(records, "direct", evidence)
    yield "direct writes", _most(did["direct_writes"]), _number(direct, rw="W"), AT_LEAST
    yield "direct reads", _most(did["direct_reads"]), _number(direct, rw="R"), AT_LEAST


def _most(count: int) -> int:
    """Nine of ten: requests end in interrupts, and one that interrupts another tool's program is not
    shown to biosnoop's (vendor-notes/bcc.md)."""
    return count - count // 10


def _cachetop(_, records, evidence):
    yield "rows of the cached process", 1, len(_kind(records, "cached", evidence)), AT_LEAST


EXPECTATIONS = {
    "tcptracer": _tcptracer,
    "tcpconnect": _tcpconnect,
    "tcpaccept": _tcpaccept,
    "tcplife": _tcplife,
    "execsnoop": _execsnoop,
    "biosnoop": _biosnoop,
    "cachetop": _cachetop,
}
