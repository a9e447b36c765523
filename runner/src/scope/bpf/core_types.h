/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The few kernel types that the programs read, each with the few members they
 * use. `preserve_access_index` has libbpf look the real offsets up in the running
 * kernel's BTF, so neither vmlinux.h nor kernel headers are needed.
 */
#ifndef XTRACER_CORE_TYPES_H
#define XTRACER_CORE_TYPES_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

/* From the kernel's stable interface, linux/bpf.h. */
enum { BPF_MAP_TYPE_LRU_HASH = 9 };
enum { BPF_ANY = 0 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	/* One per level; as many as `level + 1` in the kernel. */
	struct upid numbers[1];
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	/* Threads of the process that have not died. */
	atomic_t live;
};

struct kernfs_node {
	/* Never given again, and the inode of the cgroup's folder on 64-bit machines. */
	__u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct css_set {
	/* The cgroup of version 2; its root where only version 1 is in use. */
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	int pid;
	int tgid;
	struct pid *thread_pid;
	struct task_struct *group_leader;
	struct signal_struct *signal;
	struct css_set *cgroups;
};

#pragma clang attribute pop

#endif
