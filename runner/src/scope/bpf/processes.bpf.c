// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Keeps, for every process, which PID namespaces and which cgroup it is in, from before
 * its first instruction until long after its death. A BCC tool prints a PID some time after
 * the event; by then the process may be gone from /proc, but not from this table.
 *
 * Raw tracepoints need neither tracefs nor kprobes. Their arguments are those of
 * the kernel's own trace_sched_process_*() and trace_cgroup_*() calls.
 */
#include "core_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "process.h"

/* Some BPF helpers are open to programs under a GPL-compatible licence only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Thread-group leaders only: the tools print the thread group's number. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, XTRACER_PROCESSES);
	__type(key, __u32);
	__type(value, struct process);
} processes SEC(".maps");

/* A cgroup's number to that of the one above it; for those made from now on. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, XTRACER_CGROUPS);
	__type(key, __u64);
	__type(value, __u64);
} cgroups SEC(".maps");

/* Processes that the map had no room for at that moment. */
__u64 unrecorded = 0;

/* Counts every change of the map, after it: what was read at this number still holds at this number. */
__u64 changes = 0;

/* Carries the type to the Rust side, which checks its own against it. */
const volatile struct process layout = {};

static __always_inline void forget(__u32 pid)
{
	bpf_map_delete_elem(&processes, &pid);
	__sync_fetch_and_add(&changes, 1);
}

static __always_inline void record(struct task_struct *leader, __u64 exited_at)
{
	__u32 tgid = BPF_CORE_READ(leader, tgid);
	struct pid *pid = BPF_CORE_READ(leader, thread_pid);
	struct process process = { .exited_at = exited_at };
	__u32 level = BPF_CORE_READ(pid, level);
	/* `numbers[i]` with a variable index is beyond CO-RE: offset and size are looked up apart. */
	void *numbers = (void *)pid + bpf_core_field_offset(struct pid, numbers);
	__u64 step = bpf_core_type_size(struct upid);
	struct upid *own = numbers + level * step;

	process.cgroup = BPF_CORE_READ(leader, cgroups, dfl_cgrp, kn, id);
	process.level = level;
	process.pid_ns = BPF_CORE_READ(own, nr);
	for (__u32 i = 0; i < XTRACER_DEPTH; i++) {
		struct upid *at = numbers + (i + 1) * step;

		if (i >= level)
			break;
		process.chain[i] = BPF_CORE_READ(at, ns, ns.inum);
	}
	/*
	 * On failure the number may still name its former owner. No answer is better
	 * than that one: without an entry the agent asks /proc.
	 */
	if (bpf_map_update_elem(&processes, &tgid, &process, BPF_ANY)) {
		forget(tgid);
		__sync_fetch_and_add(&unrecorded, 1);
	} else {
		__sync_fetch_and_add(&changes, 1);
	}
}

/* (parent, child): the child exists but has not run. */
SEC("raw_tp/sched_process_fork")
int on_fork(__u64 *ctx)
{
	struct task_struct *child = (struct task_struct *)ctx[1];
	__u32 pid = BPF_CORE_READ(child, pid);

	if (pid == BPF_CORE_READ(child, tgid))
		record(child, 0);
	else
		/* A thread now has the number; a dead process with it must not speak for the thread. */
		forget(pid);
	return 0;
}

/* (task, old_pid, binprm): a thread that calls exec has become the leader by now. */
SEC("raw_tp/sched_process_exec")
int on_exec(__u64 *ctx)
{
	record((struct task_struct *)ctx[0], 0);
	return 0;
}

/* (cgroup, path, task, threadgroup): the task has been moved there. */
SEC("raw_tp/cgroup_attach_task")
int on_attach(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[2];

	record(BPF_CORE_READ(task, group_leader), 0);
	return 0;
}

/* (cgroup, path): it exists and has nobody in it. */
SEC("raw_tp/cgroup_mkdir")
int on_mkdir(__u64 *ctx)
{
	struct cgroup *cgroup = (struct cgroup *)ctx[0];
	__u64 number = BPF_CORE_READ(cgroup, kn, id);
	__u64 above = BPF_CORE_READ(cgroup, self.parent, cgroup, kn, id);

	bpf_map_update_elem(&cgroups, &number, &above, BPF_ANY);
	return 0;
}

/*
 * (task): one call a thread. `live` has been counted down already, so 0 says that
 * this was the last one; the leader may have been gone for hours.
 */
SEC("raw_tp/sched_process_exit")
int on_exit(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];

	if (BPF_CORE_READ(task, signal, live.counter) == 0)
		record(BPF_CORE_READ(task, group_leader), bpf_ktime_get_ns());
	return 0;
}
