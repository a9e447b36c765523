"""The in-kernel filter: a task passes if its PID namespace, or one above it, is a chosen one.

The tools that can be limited to containers ask `bcc.containers.filter_by_containers` for the text of
a C function and test the current task with it. Ours looks the task's PID namespaces up in a pinned
hash, u64 inode to u32, that the agent keeps. A task has one number per nesting level; the kernel
allows 32 levels below the first one.
"""
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
