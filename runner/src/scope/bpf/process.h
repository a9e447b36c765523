/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the kernel remembers of one process. The BPF programs include this
 * header; scope/table.rs asserts at compile time that scope/entry.rs mirrors it.
 */
#ifndef XTRACER_PROCESS_H
#define XTRACER_PROCESS_H

/*
 * Levels of nesting kept of a process, counted from the host's own namespace.
 * The kernel allows 32; a container is level 1, one started inside it level 2.
 * Deeper processes are still recognised, because the outermost levels are the ones kept.
 */
#define XTRACER_DEPTH 8

/* Processes remembered, living and dead: the LRU map forgets the oldest first. */
#define XTRACER_PROCESSES 65536

/* Cgroups remembered of those that were made since the start, the latest first. */
#define XTRACER_CGROUPS 16384

struct process {
	/* CLOCK_MONOTONIC, nanoseconds, at the death of the last thread; 0 while one lives. */
	__u64 exited_at;
	/* The number of its cgroup (version 2); 0 is not known. */
	__u64 cgroup;
	/* Depth of the process' own PID namespace: 0 is the host's. */
	__u32 level;
	/* The PID as seen inside that namespace. */
	__u32 pid_ns;
	/* Inodes of the namespaces at level 1, 2, … that the process is in; 0 beyond its own. */
	__u32 chain[XTRACER_DEPTH];
};

#endif
