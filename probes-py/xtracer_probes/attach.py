"""Other attach points for kernels that have lost the one a tool asks for.

Every row holds for one tool and one of its handlers: a target may only be replaced by a function
that hands the handler the same first argument at an equivalent moment. The reasons and their
evidence are in vendor-notes/bcc.md.
"""
import collections

Row = collections.namedtuple("Row", "tool handler targets instead reason")

ROWS = (
    Row("biosnoop", "trace_pid_start",
        ("blk_account_io_start", "__blk_account_io_start"), "blk_mq_start_request",
        "accounting of block I/O is inlined in this kernel; the requester is taken when the request "
        "is issued, which is the submitting task unless a scheduler or a worker issues it"),
    Row("biosnoop", "trace_req_completion",
        ("blk_account_io_done", "__blk_account_io_done", "blk_account_io_completion"),
        "blk_mq_end_request",
        "accounting of block I/O is inlined in this kernel; the request is timed when it ends"),
)


def replacement(tool, handler, target):
    """The row for a `target` that could not be attached, or None."""
    for row in ROWS:
        if row.tool == tool and row.handler == handler and target in row.targets:
            return row
    return None


def replaceable(tool, target):
    """True if some handler of `tool` can do without `target`."""
    return any(row.tool == tool and target in row.targets for row in ROWS)
