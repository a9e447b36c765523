"""A `curses` that emits lines, for tools that draw a screen and have no line mode (cachetop).

What a tool draws between two refreshes is one picture. At the refresh every row of it becomes one
line: one `addstr` is one line, so text that holds a newline or an escape sequence stays one line
and moves no cursor. Rows 0 and 1 are the title and the column heads, the rows below are events.
"""
import sys
import types

# Larger than any machine's process table and any row: nothing is cut, nothing wraps.
HEIGHT, WIDTH = 1 << 22, 1 << 12
_FIRST_EVENT_ROW = 2
_NO_KEY = -1

_QUIET = ("initscr endwin noecho echo cbreak nocbreak raw noraw start_color use_default_colors "
          "curs_set init_pair flushinp beep flash halfdelay nonl nl doupdate napms").split()
_ATTRIBUTES = "NORMAL STANDOUT UNDERLINE REVERSE BLINK DIM BOLD".split()


class Window:
    """The one window of the stand-in screen."""

    def __init__(self, emit, attached, stopping):
        self._emit, self._attached, self._stopping = emit, attached, stopping
        self._rows = {}
        self._cursor = 0

    def addstr(self, *given):
        """`addstr([y, x,] text[, attribute])`: the text replaces what row y held from x on."""
        column = 0
        if len(given) >= 3:
            self._cursor, column, text = given[0], given[1], given[2]
        else:
            text = given[0]
        if isinstance(text, bytes):
            text = text.decode("utf-8", "surrogateescape")
        before = self._rows.get(self._cursor, "")[:column]
        self._rows[self._cursor] = before.ljust(column) + text

    def getch(self, *_):
        """No key, or `q` once the tool is to stop. The first call means: programs are attached."""
        self._attached()
        return ord("q") if self._stopping() else _NO_KEY

    def getmaxyx(self):
        return HEIGHT, WIDTH

    def clear(self):
        self._rows.clear()
        self._cursor = 0

    erase = clear

    def refresh(self, *_):
        for y in sorted(self._rows):
            row = self._rows[y].encode("utf-8", "surrogateescape")
            self._emit(row, y >= _FIRST_EVENT_ROW)

    def __getattr__(self, name):
        # nodelay, keypad, timeout and the like change nothing here.
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *_, **__: None


def install(emit, attached, stopping):
    """Put the stand-in where `import curses` finds it.

    `emit(row: bytes, is_event: bool)` receives the lines, `attached()` is called when the tool first
    asks for a key, `stopping()` says whether it is to end.
    """
    window = Window(emit, attached, stopping)
    module = types.ModuleType("curses", __doc__)
    module.error = type("error", (Exception,), {})
    module.wrapper = lambda function, *args, **kwargs: function(window, *args, **kwargs)
    for name in _QUIET:
        setattr(module, name, lambda *_, **__: None)
    module.initscr = lambda: window
    for bit, name in enumerate(_ATTRIBUTES):
        setattr(module, "A_" + name, bit << 16)
    module.LINES, module.COLS = HEIGHT, WIDTH
    sys.modules["curses"] = module
