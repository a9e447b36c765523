"""The host's hand in the node: runs what it is asked for, and ends the node.

A request is one line of JSON, {"run": [...]}, {"remember": true}, {"restarting": true}, {"restarted": true},
{"left": SECONDS} or {"end": true}, and so is the answer. The machine's network has one other end: the
lab's own namespace on the host.
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

    def restarting(self, _) -> bool:
        """A container is about to be started anew."""
        self.server.then = residue.listing()
        return True

    def restarted(self, _) -> bool:
        """What is new since then is the container's, and no remains of a tracer: of those kinds that a
        container has. Its program says which devices it may use."""
        now = residue.listing()
        for kind in ("mounts", "mount namespaces", "processes", "files", "BPF programs"):
            self.server.before[kind] += set(now[kind]) - set(self.server.then[kind])
        return True

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
    then: dict = {}


with Server(("10.0.2.15", PORT), Request) as server:
    print("node: the steward listens", flush=True)
    while not server.ended:
        server.handle_request()
sys.exit(0)
