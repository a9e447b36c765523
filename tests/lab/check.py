#!/usr/bin/env python3
"""The judge: `check.py FOLDER [DEBIAN]` reads what a run of guest/trace.py left, says yes or no.

It prints a table of expected, seen, foreign and lost per probe, then every sentence that speaks
against the run. Exit status 0 only if there is none.
"""

import sys
from pathlib import Path

from judge import rules
from judge.counts import counts
from judge.evidence import Evidence, read

SENTENCES_A_RULE = 5


def table(evidence: Evidence, found: list) -> str:
    """One line a probe."""
    foreign = rules.foreign(evidence)
    ledgers = evidence.ledgers()
    took = {status["probe"]: status["took_ms"] for status in evidence.statuses if status.get("took_ms") is not None}
    lines = [f"{'probe':<11} {'expected':>9} {'seen':>6} {'foreign':>8} {'lost':>5} {'nobody’s':>9}  attached after"]
    for probe in evidence.run["probes"]:
        mine = [count for count in found if count.probe == probe and not count.part]
        expected = sum(count.expected for count in mine)
        seen = sum(count.seen for count in mine)
        at_least = "" if all(count.exact for count in mine) else "≥ "
        ledger = ledgers.get(probe)
        lines.append(
            f"{probe:<11} {at_least + str(expected):>9} {seen:>6} {sum(record['probe'] == probe for record in foreign):>8} "
            f"{rules.lost(ledger) if ledger else '?':>5} {ledger['unattributed'] if ledger else '?':>9}  "
            + (f"{took[probe] / 1000:.1f} s" if probe in took else evidence.run["states"].get(probe, "never"))
        )
    return "\n".join(lines)


def verdict(evidence: Evidence, found: list) -> list:
    """Every sentence against the run."""
    against = [
        f"{count.probe}: {count.seen} {count.what} of {count.role}, expected {'' if count.exact else 'at least '}{count.expected}"
        for count in found
        if count.wrong()
    ]
    for rule in rules.RULES:
        sentences = list(rule(evidence))
        against += sentences[:SENTENCES_A_RULE]
        if len(sentences) > SENTENCES_A_RULE:
            against.append(f"… and {len(sentences) - SENTENCES_A_RULE} more of that kind")
    return against


def main() -> int:
    folder = Path(sys.argv[1])
    evidence = read(folder)
    found = counts(evidence, sys.argv[2] if len(sys.argv) > 2 else "12")
    print(f"kernel {evidence.run['kernel']}; probes settled after {evidence.run['settled_s']} s; ", end="")
    print("; ".join(f"{name} stopped in {end['seconds']} s" for name, end in evidence.run["ends"].items()))
    print(table(evidence, found))
    for count in found:
        if count.known and count.seen < count.expected:
            print(f"known: {count.probe} {count.known}: {count.seen} of {count.expected} {count.what} of {count.role}")
    against = verdict(evidence, found)
    for sentence in against:
        print(f"WRONG: {sentence}")
    print("lab: failed" if against else "lab: passed")
    return 1 if against else 0


if __name__ == "__main__":
    sys.exit(main())
