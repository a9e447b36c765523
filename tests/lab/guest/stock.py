"""The distribution's own tools, as anybody runs them: one Python each, writing to a pipe."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

from heard import Heard

# A word of the header that each prints when it has attached; cachetop's has another.
HEADER = {"cachetop": b"HITS"}
ELSEWHERE = Path(__file__).with_name("elsewhere.py")


class Stock:
    """One of them, attached; `took` is its start to its header, in seconds."""

    def __init__(self, probe: str, command: list, patience: float) -> None:
        if probe == "biosnoop":
            # It cannot attach on every kernel that the agent makes it work on.
            command = [sys.executable, ELSEWHERE, *command]
        # One draws and needs a terminal; the others print, and into a pipe Python keeps lines back.
        output, end = pty.openpty() if probe == "cachetop" else os.pipe()
        begun = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=end if probe == "cachetop" else subprocess.DEVNULL,
            stdout=end,
            stderr=open(Path(os.environ["LAB_RESULTS"], f"{probe}.stock.err"), "wb"),
            env={**os.environ, "PYTHONUNBUFFERED": "1", "TERM": "vt100"},
        )
        os.close(end)
        self.heard = Heard(f"{probe}, alone", output)
        self.took = self.heard.must_say(HEADER.get(probe, b"COMM"), patience) - begun

    def stop(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
