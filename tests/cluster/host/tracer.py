"""x-tracer as its user sees it: what it prints, read while it runs."""

import json
import queue
import re
import signal
import subprocess
import threading
import time
from pathlib import Path


# What an original's line says that one can hold against a record; where in it depends on the probe.
CLASSIC = re.compile(r"\{Probe:(\w+) \|Sys_Time: \d\d:\d\d:\d\d (?=.*?\bPID:(\d+) )(?=.*?\b(?:PNAME: ?|CMD:)(.*?) \|)")


class Tracer:
    """`x-tracer trace -o OUTPUT`, its stdout and stderr also in files of `folder`."""

    def __init__(self, command: list, output: str, folder: Path) -> None:
        self.parse = {"json": json.loads, "classic": self._classic}[output]
        # Whole ones, or what a line says of them.
        self.records: list = []
        # (True, a record) of stdout and (False, a line) of stderr.
        self.news: queue.Queue = queue.Queue(100_000)
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        streams = [(self.process.stdout, "trace.out", self._record), (self.process.stderr, "trace.err", self._line)]
        self.readers = [
            threading.Thread(target=self._read, args=(stream, folder / name, take), daemon=True)
            for stream, name, take in streams
        ]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(stream, copy: Path, take) -> None:
        with open(copy, "wb") as file:
            for line in stream:
                file.write(line)
                file.flush()
                take(line)

    def _record(self, line: bytes) -> None:
        record = self.parse(line)
        self.records.append(record)
        self.news.put((True, record))

    @staticmethod
    def _classic(line: bytes) -> dict:
        found = CLASSIC.match(line.decode())
        if not found:
            # Of no record.
            return {"probe": "none", "pid": 0, "comm": repr(line)}
        return {"probe": found[1], "pid": int(found[2]), "comm": found[3]}

    def _line(self, line: bytes) -> None:
        self.news.put((False, line.decode(errors="replace").rstrip()))

    def until(self, enough, seconds: float) -> bool:
        """Hands over each piece of news until `enough(is_record, news)`; False if it never was in
        `seconds`, or if x-tracer ended before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if enough(*self.news.get(timeout=1)):
                    return True
            except queue.Empty:
                if self.process.poll() is not None:
                    return False
        return False

    def attached(self, probes: list, seconds: float, tell) -> None:
        """Until every probe has attached."""
        waiting = set(probes)

        def all_attached(is_record: bool, news) -> bool:
            if not is_record:
                tell(news)
                found = re.match(r"x-tracer: (\w+): attached", news)
                waiting.discard(found and found[1])
            return not waiting

        if not self.until(all_attached, seconds):
            raise SystemExit(f"not attached: {', '.join(sorted(waiting))}; x-tracer's status: {self.process.poll()}")

    def stop(self, seconds: float) -> int:
        """Ctrl-C; its status, once all that it said is read."""
        self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit(f"x-tracer did not end within {seconds:.0f} s of ^C") from None
        for reader in self.readers:
            reader.join()
        return status
