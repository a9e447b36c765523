"""Other attach points for kernels that have lost, or changed, the one a tool asks for.

Every row holds for one tool and one of its handlers: a target may only be replaced by functions that
hand the handler the same first argument at an equivalent moment. The reasons and their evidence are in
vendor-notes/bcc.md.
"""
import collections

Row = collections.namedtuple("Row", "tool handler targets instead reason")

ROWS = (
    Row("biosnoop", "trace_pid_start",
        ("blk_account_io_start", "__blk_account_io_start"),
        ("blk_mq_start_request",),
        "accounting of block I/O is inlined in this kernel; the requester is taken when the request is "
        "issued, which is the submitting task unless a scheduler or a worker issues it"),
    # The handler forgets a request when it has reported it, so the first of these to come counts:
    # an interrupt's completion (nvme ends requests in batches, past the others), the update that
    # every driver makes (SCSI), the plain end (virtio and most others).
    Row("biosnoop", "trace_req_completion",
        ("blk_account_io_done", "__blk_account_io_done", "blk_account_io_completion"),
        ("blk_mq_complete_request_remote", "blk_update_request", "blk_mq_end_request"),
        "accounting of block I/O is inlined in this kernel; a request is timed when its driver ends it"),
)

# Tracepoints that some releases of a tool read at the wrong offset: (tool, tracepoints, first release
# with the mistake, first one without, field that moved the others).
MISREAD = (
    ("biosnoop", ("block_io_start", "block_io_done"), (0, 29), (0, 36), "ioprio"),
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


def misread(tool, tracepoint, release, fields):
    """The field that makes `tool` of this `release`, e.g. "0.31.0", misread a tracepoint whose format is
    `fields`, or None."""
    try:
        release = tuple(int(part) for part in release.split(".")[:2])
    except ValueError:
        return None
    for name, tracepoints, first, fixed, field in MISREAD:
        if name == tool and tracepoint in tracepoints and first <= release < fixed and " %s;" % field in fields:
            return field
    return None
