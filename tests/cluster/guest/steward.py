"""The host's hand in the node: runs what it is asked for, and ends the node.

A request is one line of JSON, {"run": [...]}, {"remember": true}, {"left": SECONDS} or {"end": true}, and
so is the answer. The machine's network has one other end: the lab's own namespace on the host.
"""

import json
import socketserver
import subprocess
import sys

import residue

PORT = 9000


class Request(socketserver.StreamRequestHandler):
    """One request, one answer."""

    def handle(self) -> None:
        ((word, value),) = json.loads(self.rfile.readline()).items()
        self.wfile.write(json.dumps(getattr(self, word)(value)).encode() + b"\n")

    def run(self, command: list) -> dict:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        return {"status": done.returncode, "out": done.stdout, "err": done.stderr}

    def remember(self, _) -> dict:
        self.server.before = residue.listing()
        return {kind: len(found) for kind, found in self.server.before.items()}

    def left(self, seconds: float) -> dict:
        """What is there now and was not when it had to be remembered."""
        return residue.left(self.server.before, seconds)

    def end(self, _) -> bool:
        self.server.ended = True
        return True


class Server(socketserver.TCPServer):
    allow_reuse_address = True
    ended = False
    before: dict = {}


with Server(("10.0.2.15", PORT), Request) as server:
    print("node: the steward listens", flush=True)
    while not server.ended:
        server.handle_request()
sys.exit(0)
