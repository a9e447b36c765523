"""A stand-in for the `bcc` package: the same names, canned events, no kernel.

It exists so that the installed, unmodified tools run anywhere in milliseconds. Only what the
tools and the probe host touch is here; see ../README.md for the settings.
"""
import atexit
import os
import signal
import time

from . import _feed, _settings, table

TRACEFS = os.environ.get("XTRACER_STANDIN_TRACEFS", "/nowhere")
__version__ = os.environ.get("XTRACER_STANDIN_VERSION", "0.26.0")

_sleep = time.sleep
_attached = set()


def _say(descriptor, text):
    os.write(descriptor, text.encode("utf-8", "surrogateescape"))


class BPF:
    """One loaded program, as far as a tool can tell."""

    def __init__(self, src_file=b"", hdr_file=b"", text=None, debug=0, cflags=(),
                 usdt_contexts=(), allow_rlimit=True, device=None, attach_usdt_ignore_pid=False):
        atexit.register(self.cleanup)
        self._text = text if isinstance(text, str) else (text or b"").decode()
        self._closed = False
        self._attached = []
        self.tables = {}
        self.perf_buffers = {}
        _compile(self._text)
        self._events = table.dispatcher(self)
        _settings.journal("load")

    def __getitem__(self, name):
        name = name.decode() if isinstance(name, bytes) else name
        if name not in self.tables:
            kind = table.Counts if name == "counts" else table.PerfEventArray
            self.tables[name] = kind(self, name)
        return self.tables[name]

    def get_table(self, name, keytype=None, leaftype=None, reducer=None):
        return self[name]

    def attach_kprobe(self, event=b"", event_off=0, fn_name=b"", event_re=b""):
        _attach("kprobe", event, fn_name)
        self._attached.append(_text(event))
        _attached.add(_text(event).encode())

    def attach_kretprobe(self, event=b"", fn_name=b"", event_re=b"", maxactive=0):
        _attach("kretprobe", event, fn_name)

    def attach_tracepoint(self, tp=b"", tp_re=b"", fn_name=b""):
        _attach("tracepoint", tp, fn_name)

    def _sees(self):
        """Whether the imaginary kernel has what this program and its attach points look for."""
        return all(word in self._text or word in self._attached for word in _settings.NEEDS)

    def perf_buffer_poll(self, timeout=-1):
        """Hand over what is due; block for `timeout` milliseconds (for ever at -1) when nothing is."""
        if self._events.dispatch():
            return
        if _settings.END == "stop":
            _settings.journal("done")
            raise KeyboardInterrupt
        while timeout < 0:
            _sleep(3600)
        _sleep(timeout / 1000)

    def ring_buffer_poll(self, timeout=-1):
        self.perf_buffer_poll(timeout)

    def kprobe_poll(self, timeout=-1):
        self.perf_buffer_poll(timeout)

    def cleanup(self):
        if not self._closed:
            self._closed = True
            _settings.journal("cleanup")

    def free_bcc_memory(self):
        _settings.journal("free_bcc_memory")
        return 0

    def get_syscall_prefix(self):
        return b"__x64_sys_"

    def get_syscall_fnname(self, name):
        name = name.encode() if isinstance(name, str) else name
        return b"__x64_sys_" + name

    @staticmethod
    def get_kprobe_functions(event_re):
        name = event_re.decode() if isinstance(event_re, bytes) else event_re
        return [event_re] if name in _settings.FUNCTIONS else []

    @staticmethod
    def tracepoint_exists(category, event):
        name = "%s:%s" % tuple(x.decode() if isinstance(x, bytes) else x for x in (category, event))
        return name in _settings.TRACEPOINTS

    @staticmethod
    def kernel_struct_has_field(struct_name, field_name):
        return 0

    @staticmethod
    def ksym(addr, show_module=False, show_offset=False):
        folio = _feed.FOLIOS.get(addr)
        return folio if folio in _attached else _feed.SYMBOLS.get(addr, b"[unknown]")

    @staticmethod
    def ksymname(name):
        return 1 if _text(name) in _settings.FUNCTIONS else -1


def _text(name):
    return name.decode() if isinstance(name, bytes) else name


def _compile(text):
    verdict = _settings.COMPILE
    _settings.journal("compile filter=%d" % ("container_should_be_filtered" in text
                                             and "BPF_TABLE_PINNED" in text))
    if verdict.startswith("slow:"):
        # LLVM returns to Python only when it is done: until then no signal is heard.
        deaf = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, deaf)
        _sleep(float(verdict[5:]))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, deaf)
    if verdict == "headers":
        _say(1, "Unable to find kernel headers. Try installing them.\n")
        _say(2, "chdir(/lib/modules/0.0.0/build): No such file or directory\n")
        raise Exception("Failed to compile BPF module <text>")
    if verdict == "fail" or (verdict == "fail-filter" and "BPF_TABLE_PINNED" in text):
        _say(2, "/virtual/main.c:12:34: error: invalid application of 'sizeof' to an incomplete "
                "type 'struct bpf_wq'\n1 error generated.\n")
        raise Exception("Failed to compile BPF module <text>")
    if verdict == "root":
        _say(2, "bpf: Failed to load program: Operation not permitted\n")
        raise Exception("Need super-user privileges to run")


def _attach(kind, event, fn_name):
    event, fn_name = (x.encode() if isinstance(x, str) else x for x in (event, fn_name))
    if event.decode() in _settings.REFUSE:
        _say(2, "cannot attach %s, probe entry may not exist\n" % kind)
        raise Exception("Failed to attach BPF program %s to %s %s, it's not traceable (either "
                        "non-existing, inlined, or marked as \"notrace\")" % (fn_name, kind, event))
    _settings.journal("attach %s %s %s" % (kind, event.decode(), fn_name.decode()))
