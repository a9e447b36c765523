"""`nats sub`, the NATS project's own client: it proves that one needs nothing of ours to read the records."""

import json
import subprocess
from pathlib import Path


class Subscriber:
    """Everything that is published, a line a message."""

    def __init__(self, program: Path, url: str, copy: Path) -> None:
        self.copy = copy
        self.process = subprocess.Popen(
            [program, "--server", url, "sub", "--raw", "xtracer.v1.>"],
            stdin=subprocess.DEVNULL,
            stdout=open(copy, "wb"),
            stderr=open(copy.with_suffix(".err"), "wb"),
        )

    def records(self) -> list:
        """Ends it; what it received but the statuses."""
        self.process.terminate()
        self.process.wait()
        messages = (json.loads(line) for line in self.copy.read_bytes().splitlines() if line)
        return [message for message in messages if "state" not in message]
