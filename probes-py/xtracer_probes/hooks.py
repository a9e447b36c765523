"""The hooks on the installed `bcc` package, set in a tool's own process before the tool runs.

Tools bind `BPF`, `printb` and `filter_by_containers` by name when they start, so the attributes are
replaced before that. Each hook calls what it replaced; where this release of bcc lacks a name, there
is nothing to hook.
"""
import functools
import gc

from xtracer_probes import attach, pidns

# How long one poll may block, milliseconds: a tool that is told to stop does so this soon.
POLL_MS = 200


def install(host, tool, filter_map=None, page_cnt=None, heal=(), ended=lambda: None):
    """Hook the bcc that tools will import.

    `host` is the embedding program, `tool` the tool's plain name, `filter_map` the pinned map of PID
    namespaces, `page_cnt` the least size of each perf ring in pages (a power of two), `heal` what is
    proven dead and to be healed, `ended()` returns an exception with which a callback wanted to end the
    tool.
    """
    import bcc
    from bcc import table

    _loading(host, bcc.BPF, tool, filter_map, heal)
    _polling(host, bcc.BPF, ended)
    _buffers(host, table, page_cnt)
    _attaching(host, bcc, tool)
    _sleeping(host)
    if filter_map:
        _filtering(host, bcc.BPF, filter_map)


def _replace(owner, name, wrap):
    """Put `wrap(original)` in the place of `owner.name`, if there is one."""
    original = getattr(owner, name, None)
    if original is None:
        return
    static = isinstance(owner.__dict__.get(name), (staticmethod, classmethod))
    wrapped = functools.wraps(original)(wrap(original))
    setattr(owner, name, staticmethod(wrapped) if static else wrapped)


def _loading(host, BPF, tool, filter_map, heal):
    def wrap(original):
        def load(self, *args, **kwargs):
            host.loaded()
            _programs.append(self)
            if isinstance(kwargs.get("text"), str):
                program = _healed(host, BPF, tool, kwargs["text"], heal)
                kwargs["text"] = _narrowed(host, tool, program, filter_map)
            return original(self, *args, **kwargs)
        return load
    _replace(BPF, "__init__", wrap)


def _healed(host, BPF, tool, program, heal):
    """The program with what heals it, and the hooks for the rest of that."""
    def exists(function):
        return BPF.ksymname(function.encode()) != -1

    functions = {}
    for row in attach.healings(tool, program, exists):
        if row.dead not in heal:
            host.healable(row.dead)
            continue
        host.healed(row.reason)
        if isinstance(row.change, attach.Text):
            program = program.replace(row.change.old, row.change.new)
        else:
            functions[row.change.old] = row.change.new
    if functions:
        _rerouting(BPF, functions)
    return program


def _rerouting(BPF, functions):
    """Attach to `functions[name]` in the place of `name`, and let the tool see its own names."""
    def wrap_attach(original):
        def attach_kprobe(self, *args, **kwargs):
            instead = functions.get(_text(kwargs.get("event")))
            if instead:
                kwargs["event"] = instead.encode()
            return original(self, *args, **kwargs)
        return attach_kprobe
    _replace(BPF, "attach_kprobe", wrap_attach)
    own = {new.encode(): old.encode() for old, new in functions.items()}

    def wrap_ksym(original):
        def ksym(*args, **kwargs):
            name = original(*args, **kwargs)
            return own.get(name, name)
        return ksym
    _replace(BPF, "ksym", wrap_ksym)


def _narrowed(host, tool, program, filter_map):
    """The program of a tool that knows no filter, with ours in it."""
    if not filter_map or not pidns.can_be_written_into(tool):
        return program
    narrowed = pidns.written_into(tool, program, filter_map)
    if narrowed is None:
        host.note("%s: no filter in the kernel, this release's program is not as expected; "
                  "what is foreign is sorted out by the agent" % tool)
        return program
    host.filtering()
    return narrowed


# What the tool has loaded; bcc keeps its programs to the end as well.
_programs = []


def reached_first_wait(host):
    """A tool is attached when it first waits: only then can LLVM's memory go."""
    if not host.attached() or not _programs:
        return
    try:
        _programs[-1].free_bcc_memory()
    except Exception as error:
        host.note("LLVM's memory could not be given back: %s" % error)
    gc.collect()
    host.trim()


def _polling(host, BPF, ended):
    def check():
        if host.stopping:
            raise ended() or KeyboardInterrupt

    def wrap(original):
        def poll(self, timeout=-1):
            reached_first_wait(host)
            check()
            original(self, POLL_MS if timeout is None or timeout < 0 else min(timeout, POLL_MS))
            host.flush()
            check()
        return poll
    for name in ("perf_buffer_poll", "ring_buffer_poll", "kprobe_poll"):
        _replace(BPF, name, wrap)


def _sleeping(host):
    """Tools that read counters by the clock wait in `time.sleep`, which a signal interrupts."""
    import time

    def wrap(original):
        def sleep(seconds):
            if _programs:
                reached_first_wait(host)
            host.flush()
            original(seconds)
        return sleep
    _replace(time, "sleep", wrap)


def _buffers(host, table, page_cnt):
    def wrap_perf(original):
        def open_perf_buffer(self, callback, pages=8, lost_cb=None, *rest, **kwargs):
            name = _text(getattr(self, "_name", b"?"))
            pages = max(kwargs.pop("page_cnt", pages), page_cnt or 0)

            def lost(count):
                host.lost(name, count)
                if lost_cb:
                    lost_cb(count)
            return original(self, host.callback(callback), pages, lost, *rest, **kwargs)
        return open_perf_buffer

    def wrap_ring(original):
        def open_ring_buffer(self, callback, *rest, **kwargs):
            return original(self, host.callback(callback), *rest, **kwargs)
        return open_ring_buffer
    _replace(getattr(table, "PerfEventArray", None), "open_perf_buffer", wrap_perf)
    _replace(getattr(table, "RingBuf", None), "open_ring_buffer", wrap_ring)


def _attaching(host, bcc, tool):
    def wrap(original):
        def attach_function(self, *args, **kwargs):
            try:
                return original(self, *args, **kwargs)
            except Exception as refused:
                target, handler = _text(kwargs.get("event")), _text(kwargs.get("fn_name"))
                row = attach.replacement(tool, handler, target)
                used = [] if row is None else [
                    name for name in row.instead if _attaches(original, self, args, kwargs, name)]
                if not used:
                    # The tool's own complaint names the function that people search for.
                    raise refused from None
                host.note("%s: nothing can be attached to %s, so %s is attached to %s: %s" % (
                    tool, target, handler, " and ".join(used), row.reason))
        return attach_function
    _replace(bcc.BPF, "attach_kprobe", wrap)
    _replace(bcc.BPF, "attach_kretprobe", wrap)
    if any(row.tool == tool for row in attach.ROWS):
        _searching(host, bcc, tool)


def _attaches(attach_original, program, args, kwargs, name):
    try:
        attach_original(program, *args, **dict(kwargs, event=name.encode()))
        return True
    except Exception:
        return False


def _searching(host, bcc, tool):
    """Newer tools look before they attach, and leave when they find nothing."""
    def wrap_tracepoints(original):
        def tracepoint_exists(category, event):
            if not original(category, event):
                return False
            field = attach.misread(tool, _text(event), _text(getattr(bcc, "__version__", "")),
                                   _format(bcc, category, event))
            if field is None:
                return True
            host.note("%s: the tracepoint %s is not used: this release of the tool does not know its field %s "
                      "and would misread the rest" % (tool, _text(event), field))
            return False
        return tracepoint_exists
    _replace(bcc.BPF, "tracepoint_exists", wrap_tracepoints)

    def wrap_functions(original):
        def get_kprobe_functions(event_re):
            found = original(event_re)
            # If another attach point can serve, the tool is told to go on. A tracepoint is better.
            if not found and attach.replaceable(tool, _text(event_re)) and not _has_tracepoint(bcc, event_re):
                return [event_re]
            return found
        return get_kprobe_functions
    _replace(bcc.BPF, "get_kprobe_functions", wrap_functions)


def _has_tracepoint(bcc, function):
    """True if the kernel has the tracepoint that newer tools use in the place of `function`."""
    name = "block_io_start" if _text(function).endswith("start") else "block_io_done"
    exists = getattr(bcc.BPF, "tracepoint_exists", None)
    return bool(exists and exists("block", name))


def _format(bcc, category, event):
    """The kernel's description of a tracepoint's fields, empty if it cannot be read."""
    try:
        folder = getattr(bcc, "TRACEFS", "/sys/kernel/debug/tracing")
        with open("%s/events/%s/%s/format" % (_text(folder), _text(category), _text(event)), encoding="ascii") as text:
            return text.read()
    except (OSError, UnicodeDecodeError):
        return ""


def _filtering(host, BPF, path):
    try:
        from bcc import containers
    except ImportError:
        # bcc before 0.15: its tools ask for no filter.
        return
    text = pidns.filter_text(path)

    def wrap(original):
        def filter_by_containers(args):
            if getattr(args, "cgroupmap", None) or getattr(args, "mntnsmap", None):
                return original(args)
            host.filtering()
            return text
        return filter_by_containers
    _replace(containers, "filter_by_containers", wrap)


def _text(name):
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
