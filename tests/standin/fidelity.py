#!/usr/bin/python3
"""Compare the stand-in's names with those of the installed bcc: a stand-in that is called differently
from the real thing proves nothing. Prints what differs; status 1 if anything does."""
import importlib
import inspect
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# Ours alone: how the imaginary machine feeds a tool.
OWN = {"feed", "lose"}
CLASSES = (("", "BPF"), (".table", "PerfEventArray"), (".table", "RingBuf"))
FUNCTIONS = ((".utils", "printb"), (".containers", "filter_by_containers"))


def load(folder):
    """The package `bcc` as found first in `folder`, or the installed one for None."""
    for name in [name for name in sys.modules if name == "bcc" or name.startswith("bcc.")]:
        del sys.modules[name]
    path = list(sys.path)
    if folder:
        sys.path.insert(0, folder)
    try:
        return {name: importlib.import_module("bcc" + name) for name in ("", ".table", ".utils", ".containers")}
    finally:
        sys.path[:] = path


def shape(owner, name):
    """How a function is called: static or not, and its parameters."""
    raw = inspect.getattr_static(owner, name)
    return isinstance(raw, staticmethod), list(inspect.signature(getattr(owner, name)).parameters)


def differences(ours, real):
    for module, name in CLASSES:
        mine, theirs = getattr(ours[module], name), getattr(real[module], name)
        for attribute in vars(mine):
            if attribute in OWN or (attribute.startswith("_") and (name, attribute) != ("BPF", "__init__")):
                continue
            if not hasattr(theirs, attribute):
                yield "%s.%s is no part of bcc" % (name, attribute)
            elif callable(getattr(mine, attribute)):
                yield from compared("%s.%s" % (name, attribute), shape(theirs, attribute), shape(mine, attribute))
    for module, name in FUNCTIONS:
        yield from compared(name, shape(real[module], name), shape(ours[module], name))


def compared(name, wanted, got):
    """Releases add parameters at the end: the shorter list has to be the beginning of the longer."""
    shorter = min(len(wanted[1]), len(got[1]))
    if wanted[0] != got[0] or wanted[1][:shorter] != got[1][:shorter]:
        yield "%s: bcc has %s, the stand-in %s" % (name, wanted, got)


def main():
    sys.dont_write_bytecode = True
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != HERE]
    found = list(differences(load(HERE), load(None)))
    print("\n".join(found) or "the stand-in is called like bcc")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
