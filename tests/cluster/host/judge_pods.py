"""The judge of a run: exact numbers of the traced pod's events, none of anybody else's, and the hub's
screen equal to what was published."""

from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace

from judge.counts import EXPECTATIONS

# The neighbour's hundred of ports: pods.yaml.
THEIRS = range(9300, 9400)
# By what a record is known, in full and as an original's line.
MEMBERS = ("probe", "seq", "raw")
CLASSIC_MEMBERS = ("probe", "pid")
NAMES = {"namespace": "shop", "pod": "web", "container": "app", "node": "node-1"}


@dataclass
class Verdict:
    """What came of one run."""

    probes: list
    # For each life of the traced container: what its workload says that it did, and the records. These
    # are as they were published (`nats sub`'s, where there is one).
    lives: list
    # What the hub printed: records, or what the original's lines say of them.
    shown: list

    @property
    def records(self) -> list:
        """Those of all lives."""
        return [record for _, records in self.lives for record in records]

    def counts(self) -> list:
        """(probe, what, expected, seen, whether more would do), life by life."""
        return [count for did, records in self.lives for count in self._counts(did, records)]

    def _counts(self, did: dict, all_records: list) -> list:
        found = []
        for probe in self.probes:
            records = [record for record in all_records if record["probe"] == probe]
            # The workload's processes are called after what they do.
            kinds = {record["pid"]: SimpleNamespace(kind=record["comm"].removeprefix("web-")) for record in records}
            for what, expected, seen, *more in EXPECTATIONS[probe](did, records, SimpleNamespace(processes=kinds)):
                found.append((probe, what, expected, seen, any(kind.get("exact") is False for kind in more)))
        return found

    def table(self) -> str:
        """The numbers, for people."""
        lines = [f"{'probe':<12}{'what':<28}{'expected':>10}{'seen':>10}"]
        for probe, what, expected, seen, at_least in self.counts():
            lines.append(f"{probe:<12}{what:<28}{('>= ' if at_least else '') + str(expected):>10}{seen:>10}")
        return "\n".join(lines)

    def complaints(self) -> list:
        """What is wrong, a sentence each."""
        wrong = []
        for probe, what, expected, seen, at_least in self.counts():
            if not (seen >= expected if at_least else seen == expected):
                wrong.append(f"{probe}: {seen} {what} instead of {expected}")
        wrong += [f"a stranger's record: {record}" for record in self.records if self._strange(record)]
        members = MEMBERS if all("raw" in record for record in self.shown) else CLASSIC_MEMBERS
        published, shown = self._identities(self.records, members), self._identities(self.shown, members)
        if published != shown:
            wrong.append(
                f"the hub showed {shown.total()} records and {published.total()} were published; "
                f"only shown: {list(shown - published)[:3]}, only published: {list(published - shown)[:3]}"
            )
        for probe in self.probes:
            numbers = sorted(record["seq"] for record in self.records if record["probe"] == probe)
            if numbers != list(range(1, len(numbers) + 1)):
                wrong.append(f"{probe}: holes in the sequence {numbers}")
        return wrong

    @staticmethod
    def _strange(record: dict) -> bool:
        ports = {record.get(name) for name in ("dport", "sport", "lport", "rport")} & set(THEIRS)
        return bool(ports) or "noisy" in record["raw"] or any(record[name] != value for name, value in NAMES.items())

    @staticmethod
    def _identities(records: list, members: tuple) -> Counter:
        return Counter(tuple(record[name] for name in members) for record in records)
