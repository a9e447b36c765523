"""A plain NATS client in 60 lines: it proves that one needs nothing of ours to read the records."""

import json
import socket


class Tap:
    """Subscribed to one subject on one connection; iterate it for (subject, payload) pairs."""

    def __init__(self, host: str, port: int, subject: str) -> None:
        self.link = socket.create_connection((host, port))
        self.reader = self.link.makefile("rb")
        self.info = json.loads(self._line().removeprefix(b"INFO "))
        hello = {"verbose": False, "pedantic": True, "lang": "python", "version": "0", "name": "lab-tap", "protocol": 1}
        self._say(f"CONNECT {json.dumps(hello)}", f"SUB {subject} 1", "PING")
        # The server answers in order: with the PONG here, the subscription is in place.
        while (line := self._line()) != b"PONG":
            self._control(line)

    def __iter__(self):
        while line := self._line():
            if line.startswith(b"MSG "):
                # MSG <subject> <sid> [reply-to] <#bytes>
                words = line.split(b" ")
                payload = self.reader.read(int(words[-1]))
                self.reader.read(2)
                yield words[1].decode(), payload
            else:
                self._control(line)

    def close(self) -> None:
        """Ends the iteration, wherever it is."""
        self.link.shutdown(socket.SHUT_RDWR)

    def _control(self, line: bytes) -> None:
        if line == b"PING":
            self._say("PONG")
        elif line.startswith(b"-ERR"):
            raise ConnectionError(line.decode())

    def _say(self, *lines: str) -> None:
        self.link.sendall("".join(line + "\r\n" for line in lines).encode())

    def _line(self) -> bytes:
        """One line without its end; empty at the end of the stream."""
        return self.reader.readline().rstrip(b"\r\n")
