"""What a run of the lab left behind, read once, as it is. Judging it is for the others."""

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Process:
    """A process of a workload, written down by itself."""

    role: str
    kind: str
    # The host's number first, then those of the PID namespaces on the way down.
    numbers: list


@dataclass
class Evidence:
    """One run."""

    run: dict
    # Host number to process, of all four roles.
    processes: dict
    # (subject, record) in the order in which a plain NATS client received them.
    records: list
    statuses: list
    # What that client received and could not read.
    unreadable: list
    # Lines of the hub's JSON output (`local`) and of its classic output (`listen`), as bytes.
    hub_json: list
    hub_classic: list
    stderr: dict = field(default_factory=dict)

    def ledgers(self) -> dict:
        """The last ledger of each probe."""
        told = (status for status in self.statuses if status.get("probe") and "ledger" in status)
        return {status["probe"]: status["ledger"] for status in told}

    def of(self, probe: str) -> list:
        """The records of one probe."""
        return [record for _, record in self.records if record.get("probe") == probe]

    def traced(self) -> list:
        """The names of the roles that are targets."""
        return [name for name, role in self.run["roles"].items() if role["traced"]]

    def role_of(self, record: dict):
        """The role whose process a record is about; None if it is nobody's of ours."""
        process = self.processes.get(record.get("pid"))
        return process.role if process else None


def bytes_of(record: dict, member: str) -> bytes:
    """The exact bytes of a text: from `hex` where JSON could not hold them."""
    digits = record.get("hex", {}).get(member)
    return bytes.fromhex(digits) if digits is not None else record[member].encode()


def _lines(path: Path) -> list:
    """A file's lines without their ends; a last line without an end counts."""
    lines = path.read_bytes().split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def read(folder: Path) -> Evidence:
    """Reads the folder that guest/trace.py filled."""
    run = json.loads((folder / "run.json").read_text())
    processes = {}
    for role in run["roles"]:
        for line in _lines(folder / f"{role}.pids"):
            process = json.loads(line)
            processes[process["numbers"][0]] = Process(role, process["kind"], process["numbers"])
    records, statuses, unreadable = [], [], []
    for line in _lines(folder / "tap.jsonl"):
        message = json.loads(line)
        if not isinstance(message["message"], dict):
            unreadable.append(message)
        elif message["subject"].endswith(".status"):
            statuses.append(message["message"])
        else:
            records.append((message["subject"], message["message"]))
    return Evidence(
        run,
        processes,
        records,
        statuses,
        unreadable,
        _lines(folder / "local.out"),
        _lines(folder / "listen.out"),
        {name: (folder / f"{name}.err").read_text(errors="replace") for name in ("local", "listen")},
    )
