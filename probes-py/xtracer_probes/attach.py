"""What mends a tool on kernels that have lost, or changed, what it asks for; its file stays as it is.

Every row holds for one tool, and a target may only be replaced by functions that hand the handler the
same first argument at an equivalent moment. The reasons and their evidence are in vendor-notes/bcc.md.
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

# A tool that attaches and sees nothing complains of nothing: these rows are used when the agent has
# found out, by an event of its own, that what `dead` names is never reported. `old` is the tool's text
# or attach point; where it is not exactly what is expected, the row does not hold.
Text = collections.namedtuple("Text", "old new")
Function = collections.namedtuple("Function", "old new")
Healing = collections.namedtuple("Healing", "tool dead change reason")

HEALINGS = (
    Healing("tcpaccept", "accepts",
            Text("if (protocol != IPPROTO_TCP)", "if (newsk->sk_protocol != IPPROTO_TCP)"),
            "the tool works out where the socket's protocol is from members that this kernel has elsewhere; "
            "it is read by its name"),
    Healing("cachetop", "MISSES",
            Function("add_to_page_cache_lru", "filemap_add_folio"),
            "pages enter this kernel's cache by filemap_add_folio, and add_to_page_cache_lru is hardly called"),
    Healing("cachetop", "HITS",
            Function("mark_page_accessed", "folio_mark_accessed"),
            "this kernel marks pages by folio_mark_accessed, and mark_page_accessed is hardly called"),
)


def healings(tool, text, exists):
    """The rows that hold for this tool with this program; `exists(name)` knows the kernel's functions."""
    def holds(change):
        if isinstance(change, Text):
            return text.count(change.old) == 1
        return exists(change.new)
    return [row for row in HEALINGS if row.tool == tool and holds(row.change)]


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
