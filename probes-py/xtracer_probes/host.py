"""Runs one tool in this process and says how it ended."""
import builtins
import os
import runpy
import signal
import sys
import traceback

from xtracer_probes import hooks, screen

# Lines of a traceback that are worth carrying: the last frames and the error.
_TRACE_LINES = 12
_HERE = "<x-agent>"


class CallbackErrors:
    """Exceptions that ctypes swallows on their way out of an event callback."""

    def __init__(self, host):
        self._host = host
        self._count = 0
        self.ending = None

    def ended(self):
        """The SystemExit with which a callback wanted to end the tool, if there was one."""
        return self.ending

    def __call__(self, unraisable):
        error = unraisable.exc_value
        if isinstance(error, KeyboardInterrupt):
            self._host.request_stop()
        elif isinstance(error, SystemExit):
            self.ending = self.ending or error
            self._host.request_stop()
        else:
            self._count += 1
            # 1, 2, 4, 8, …: the first one is news, the thousandth is a number.
            if self._count & (self._count - 1) == 0:
                where = traceback.extract_tb(unraisable.exc_traceback)[-1:]
                place = " at line %d of %s" % (where[0].lineno, where[0].filename) if where else ""
                self._host.note("an event was lost to an error in the tool's callback%s, %d so far: %s: %s" % (
                    place, self._count, unraisable.exc_type.__name__, _words(error)))


def run(host, tool, path, arguments, filter_map=None, page_cnt=None, heal=()):
    """Run the file at `path` as a program with `arguments`.

    Returns (how, code, kind, words, trace). `how` is `finished`, `interrupted`, `exited` (with a code,
    or the words that the tool gave instead of one) or `raised` (an exception of that kind escaped).
    """
    errors = CallbackErrors(host)
    sys.unraisablehook = errors
    sys.argv = [path, *arguments]
    _listen_to_signals(host)
    # Frozen and embedded interpreters may lack what `site` adds.
    for name in ("exit", "quit"):
        if not hasattr(builtins, name):
            setattr(builtins, name, sys.exit)
    screen.install(host.row, lambda: hooks.reached_first_wait(host), lambda: host.stopping)
    if filter_map and not os.path.exists(filter_map):
        host.note("%s: no filter in the kernel, there is no map at %s" % (tool, filter_map))
        filter_map = None
    try:
        hooks.install(host, tool, filter_map, page_cnt, heal, errors.ended)
    except ImportError:
        # A tool that needs bcc fails by itself, in its own words; others never ask.
        pass
    try:
        runpy.run_path(path, run_name="__main__")
        end = SystemExit()
    except KeyboardInterrupt:
        return ("interrupted", 0, "", "", [])
    except SystemExit as said:
        end = said
    except BaseException as error:
        return ("raised", 1, type(error).__name__, _words(error), _trace(error))
    if errors.ending is None and host.stopping and not end.code:
        return ("interrupted", 0, "", "", [])
    return _exited(errors.ending or end)


def _listen_to_signals(host):
    """SIGINT and SIGTERM are Ctrl-C, raised where the tool can catch it."""
    def stop(_number, _frame):
        first = not host.stopping
        host.request_stop()
        # Inside a callback ctypes would swallow it; the next poll raises it instead.
        if first and not host.in_callback:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _exited(end):
    if not end.code:
        return ("finished", 0, "", "", [])
    if isinstance(end.code, int):
        return ("exited", end.code & 0xFF, "", "", [])
    return ("exited", 1, "", str(end.code), [])


def _words(error):
    """The exception's own text, or why there is none."""
    try:
        return str(error)
    except Exception as second:
        return "(its text cannot be made: %s)" % type(second).__name__


def _trace(error):
    """The end of the traceback, without our own frames and those of bcc, whose errors speak for themselves."""
    try:
        library = os.path.dirname(getattr(sys.modules.get("bcc"), "__file__", None) or "?")
        frames = [f for f in traceback.extract_tb(error.__traceback__)
                  if not f.filename.startswith((_HERE, "<frozen", library))]
        lines = "".join(traceback.format_list(frames)).splitlines()
        # Python 3.11 and later underline the part of a line that failed.
        lines = [line.strip() for line in lines if line.strip(" ~^")]
        return lines[-_TRACE_LINES:]
    except Exception:
        return []
