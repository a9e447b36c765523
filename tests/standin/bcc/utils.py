"""Printing helpers under the names that tools import."""
import sys


class ArgString:
    """A command-line argument that is wanted as text and as bytes."""

    def __init__(self, arg):
        self.text = arg if isinstance(arg, str) else arg.decode("utf-8", "surrogateescape")

    def __bytes__(self):
        return self.text.encode("utf-8", "surrogateescape")

    def __str__(self):
        return self.text


# `file` is bound at import, and the bytes bypass the text layer: both traps of the real one are kept.
def printb(s, file=sys.stdout, nl=1):
    raw = getattr(file, "buffer", file)
    raw.write(s + (b"\n" if nl else b""))
    file.flush()
