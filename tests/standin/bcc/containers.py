"""The container filter under the name that tools import."""


def filter_by_containers(args):
    if getattr(args, "mntnsmap", None) or getattr(args, "cgroupmap", None):
        return 'BPF_TABLE_PINNED("hash", u64, u32, chosen, 1024, "%s");\n' % (
            args.mntnsmap or args.cgroupmap) + "static inline int container_should_be_filtered() { return 0; }\n"
    return "static inline int container_should_be_filtered() { return 0; }\n"
