"""The host's end of guest/steward.py."""

import json
import socket

STEWARD = ("10.0.2.15", 9000)


def ask(word: str, value=True):
    """One request; what the node answers."""
    with socket.create_connection(STEWARD) as link, link.makefile("rw") as lines:
        lines.write(json.dumps({word: value}) + "\n")
        lines.flush()
        return json.loads(lines.readline())


def run(*command: str) -> str:
    """What a command prints in the node."""
    done = ask("run", list(command))
    if done["status"] != 0:
        raise SystemExit(f"in the node: {' '.join(command)}: {done['err'].strip()}")
    return done["out"]
