"""A program of the lab that is led over its stdin, a word a line, and answers on its stdout, a JSON
object a line. Its first answer is `ready`."""

import json
import subprocess
import sys


class Led:
    """Its process and the conversation with it."""

    def __init__(self, name: str, *command: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about = self.hear("ready")

    def tell(self, word: str) -> None:
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def hear(self, word: str) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the workload {self.name} died before it was {word}")
        return json.loads(line)[word]

    def end(self) -> None:
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise SystemExit(f"the workload {self.name} failed at its end")
