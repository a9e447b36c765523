"""The in-kernel filter: a task passes if its PID namespace, or one above it, is a chosen one.

The tools that can be limited to containers ask `bcc.containers.filter_by_containers` for the text of
a C function and test the current task with it. Ours looks the task's PID namespaces up in a pinned
hash, u64 inode to u32, that the agent keeps. A task has one number per nesting level; the kernel
allows 32 levels below the first one.

The other tools get the test written into their program, at the moment in which the tool itself takes
the current task for the one to be named: what passes is what the agent would keep by that name.
"""
import re

_LEVELS = 33
MAP_ENTRIES = 1024

_TEXT = """
#include <linux/sched.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>

BPF_TABLE_PINNED("hash", u64, u32, xtracer_pid_namespaces, %(entries)d, "%(path)s");

static inline int container_should_be_filtered() {
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    struct pid *pid = NULL;
    unsigned int level = 0;
    bpf_probe_read_kernel(&pid, sizeof(pid), &task->thread_pid);
    /* An exiting task may have lost its number: let it pass, the agent decides. */
    if (!pid || bpf_probe_read_kernel(&level, sizeof(level), &pid->level))
        return 0;
    #pragma unroll
    for (unsigned int i = 0; i < %(levels)d; i++) {
        struct pid_namespace *ns = NULL;
        unsigned int inode = 0;
        if (i > level)
            break;
        bpf_probe_read_kernel(&ns, sizeof(ns), &pid->numbers[i].ns);
        bpf_probe_read_kernel(&inode, sizeof(inode), &ns->ns.inum);
        u64 key = inode;
        if (xtracer_pid_namespaces.lookup(&key))
            return 0;
    }
    return 1;
}
"""


def filter_text(path):
    """The C text for a map pinned at `path`."""
    if any(c in path for c in '"\\\n'):
        raise ValueError("a map's path cannot hold quotes, backslashes or newlines: %r" % path)
    return _TEXT % {"entries": MAP_ENTRIES, "path": path, "levels": _LEVELS}


# Where the test goes: (what is looked for, what is put in its place). Each must be found exactly once,
# or the program is not the one that was thought of, and stays as it is.
_INTO = {
    "cachetop": (
        (r"struct key_t key = \{\};", r"if (container_should_be_filtered())\n            return 0;\n        \g<0>"),
    ),
    # The requester is taken when the request starts; the end of the request comes in anybody's context.
    # A foreign request is remembered as such, for one that is not remembered at all is reported as `?`.
    "biosnoop": (
        (r"(struct val_t \{\n    u64 ts;\n    u32 pid;)\n", r"\1\n    u32 foreign;\n"),
        (r"val\.pid = bpf_get_current_pid_tgid\(\) >> 32;", r"\g<0>\n        val.foreign = container_should_be_filtered();"),
        (r"valp = infobyreq\.lookup\((&\w+)\);\n",
         r"\g<0>    if (valp != 0 && valp->foreign) {\n        start.delete(\1);\n        infobyreq.delete(\1);\n"
         r"        return 0;\n    }\n"),
    ),
    # The same, with SYN_SENT and LAST_ACK as the moments; a session that had neither is named after the
    # current task at its end, which for the idle task is nobody: those the agent counts.
    "tcplife": (
        (r"(struct id_t \{\n    u32 pid;)\n", r"\1\n    u32 foreign;\n"),
        (r"struct id_t me = \{\.pid = pid\};", "struct id_t me = {.pid = pid, .foreign = container_should_be_filtered()};"),
        (r"mep = whoami\.lookup\(&sk\);\n    if \(mep != 0\)\n        pid = mep->pid;\n",
         r"\g<0>    if (mep != 0 ? mep->foreign : (pid != 0 && container_should_be_filtered())) {\n"
         r"        whoami.delete(&sk);\n        return 0;\n    }\n"),
    ),
}


def can_be_written_into(tool):
    """True for a tool that has no filter of its own to be replaced."""
    return tool in _INTO


def written_into(tool, program, path):
    """The program with the test in it, for a map pinned at `path`; None if it is not as expected."""
    for looked_for, instead in _INTO[tool]:
        program, count = re.subn(looked_for, instead, program)
        if count != 1:
            return None
    return filter_text(path) + program
