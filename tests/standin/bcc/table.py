"""The stand-in's maps: perf buffers that are fed, and the hash of page counts."""
import ctypes
import os
import signal
import time

from . import _feed, _settings

_sleep = time.sleep
# Through C and back, as in the real package: that is what swallows a callback's exception.
_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
_LOST = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64)
_ONE_POLL = 64


class PerfEventArray:
    """One BPF_PERF_OUTPUT of a program."""

    def __init__(self, bpf, name):
        self.bpf = bpf
        self._name = name.encode()
        self._call = self._lost = None
        self._held = {}

    def event(self, data):
        return self._held[data]

    def open_perf_buffer(self, callback, page_cnt=8, lost_cb=None, wakeup_events=1):
        _settings.journal("open %s page_cnt=%d lost_cb=%d" % (
            self._name.decode(), page_cnt, lost_cb is not None))

        def raw(_, data, size):
            callback(0, data, size)

        def lost(_, count):
            lost_cb(count)

        self._call = _CALLBACK(raw)
        self._lost = _LOST(lost) if lost_cb else None
        self.bpf.perf_buffers[(id(self), 0)] = self

    def feed(self, event):
        """Call the tool with one event, as libbcc does."""
        self._held[1] = event
        self._call(None, 1, 64)

    def lose(self, count):
        """Report lost samples, as libbcc does with and without a callback for them."""
        if self._lost:
            self._lost(None, count)
        else:
            os.write(2, b"Possibly lost %d samples\n" % count)


class RingBuf(PerfEventArray):
    """One BPF_RINGBUF_OUTPUT; none of the tools has one yet."""

    def open_ring_buffer(self, callback, ctx=None):
        self.open_perf_buffer(callback)


class Counts:
    """The hash of page counts: what happened since it was last cleared."""

    def __init__(self, bpf, name):
        self._bpf = bpf
        self._acts = [a for a in _feed.acts() if "control" not in a]

    def items(self):
        if not self._bpf._sees():
            return []
        return [pair for a in [*self._acts, *_feed.known()] for pair in _feed.page_counts(a)]

    def clear(self):
        pass


class dispatcher:
    """Turns acts into the events of the program that was loaded, a few per poll."""

    def __init__(self, bpf):
        self._bpf = bpf
        self._acts = _feed.acts()
        self._execs = "syscall__execve" in bpf._text
        self._blocks = "trace_req_completion" in bpf._text

    def dispatch(self):
        """Deliver the next few acts; false when there are none left."""
        if not self._bpf._sees():
            return False
        for count in range(_ONE_POLL):
            a = next(self._acts, None)
            if a is None:
                for a in _feed.known():
                    self._deliver(a)
                return count > 0
            self._deliver(a)
        return True

    def _deliver(self, a):
        if "control" in a:
            self._control(a)
        elif self._execs:
            for event in _feed.exec_events(a):
                self._bpf["events"].feed(event)
        elif self._blocks:
            self._bpf["events"].feed(_feed.block_event(a))
        else:
            self._socket_table(a["family"]).feed(_feed.socket_event(a))

    def _socket_table(self, family):
        names = ("ipv%d_events" % family, "tcp_ipv%d_event" % family)
        return next(self._bpf.tables[name] for name in names if name in self._bpf.tables)

    def _control(self, a):
        what = a["control"]
        if what == "lost":
            next(t for t in self._bpf.tables.values() if t._call).lose(a["count"])
        elif what == "say":
            os.write(a["fd"], a["text"].encode("utf-8", "surrogateescape"))
        elif what == "pause":
            _sleep(a["seconds"])
        elif what == "broken":
            # An event that lacks every field: the tool's own callback raises.
            next(t for t in self._bpf.tables.values() if t._call).feed(object())
        elif what == "signal":
            os.kill(os.getpid(), getattr(signal, a["name"]))
        else:
            raise ValueError("unknown control %r" % what)
