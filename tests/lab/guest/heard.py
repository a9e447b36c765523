"""What a program says, and when each piece of it came."""

import os
import threading
import time


class Heard(threading.Thread):
    """Reads a descriptor to its end. Lines are made of the pieces only when somebody asks, so that
    nothing but the reading itself competes with what is being measured."""

    def __init__(self, name: str, descriptor: int) -> None:
        super().__init__(daemon=True)
        self.name = name
        self.descriptor = descriptor
        self.news = threading.Condition()
        self._pieces: list = []
        self._ended = False
        self._lines: list = []
        self._rest = b""
        self._last = None
        self.start()

    def run(self) -> None:
        while piece := self._read():
            moment = time.monotonic()
            with self.news:
                self._pieces.append((moment, piece))
                self.news.notify_all()
        with self.news:
            self._ended = True
            self.news.notify_all()

    def _read(self) -> bytes:
        try:
            return os.read(self.descriptor, 1 << 16)
        except OSError:
            # A terminal whose program has ended.
            return b""

    def lines(self) -> list:
        """(moment, line) for each line so far; a line has come when its end has."""
        with self.news:
            for moment, piece in self._pieces:
                *whole, self._rest = (self._rest + piece).split(b"\n")
                self._lines += [(moment, line) for line in whole]
                self._last = moment
            self._pieces.clear()
        return self._lines

    def rest(self, seconds: float) -> None:
        """Until nothing has come for so long. Nothing is looked at meanwhile: what makes lines of the
        pieces keeps the reader from its clock."""
        with self.news:
            while self.news.wait(seconds):
                pass

    def until(self, enough, seconds: float):
        """The first true answer of `enough(lines)`, asked whenever something new has come; its last one
        if there is none in `seconds`, or before the end."""
        with self.news:
            self.news.wait_for(lambda: enough(self.lines()) or self._ended, seconds)
            return enough(self.lines())

    def must(self, enough, seconds: float):
        """The same; ends the program if there is none."""
        if answer := self.until(enough, seconds):
            return answer
        said = b"\n".join([*(line for _, line in self._lines[-10:]), self._rest[-500:]])
        how = "it ended" if self._ended else f"waited for {seconds:.0f} s"
        raise SystemExit(f"{self.name}: {how} without what was waited for: {said.decode(errors='replace')}")

    def must_say(self, text: bytes, seconds: float) -> float:
        """When this text had come, wherever in a line: a screen has no lines."""

        def enough(lines: list):
            if text in self._rest:
                return self._last
            return next((moment for moment, line in lines if text in line), None)

        return self.must(enough, seconds)
