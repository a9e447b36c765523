"""The stand-in's settings, read from the environment once."""
import os


def _words(name, default=""):
    return set(filter(None, os.environ.get("XTRACER_STANDIN_" + name, default).split(",")))


CANARY = _words("CANARY")
COMPILE = os.environ.get("XTRACER_STANDIN_COMPILE", "")
END = os.environ.get("XTRACER_STANDIN_END", "idle")
EVENTS = os.environ.get("XTRACER_STANDIN_EVENTS", "")
FUNCTIONS = _words("FUNCTIONS", "blk_account_io_start,blk_account_io_done,blk_mq_start_request,"
                               "folio_account_dirtied")
NEEDS = _words("NEEDS")
REFUSE = _words("REFUSE")
REPEAT = int(os.environ.get("XTRACER_STANDIN_REPEAT", "1"))
TRACEPOINTS = _words("TRACEPOINTS")
_JOURNAL = os.environ.get("XTRACER_STANDIN_JOURNAL", "")


def journal(line):
    """Append what a tool did to the journal, for a test to read."""
    if _JOURNAL:
        with open(_JOURNAL, "a", encoding="utf-8") as out:
            out.write(line + "\n")
