# The Debian releases that the lab knows. A new one is a new line here and nothing else:
# kernel modules, kernel version and image size are found out, not written down.

# release_select NUMBER: sets release_number, release_codename, release_python, release_sources,
# release_clang (a package with clang 12 or newer, for our own BPF program) and release_nats
# (`package` where the archive has nats-server, else `host`).
release_select() {
  release_number=$1
  case $1 in
    11) release_codename=bullseye release_python=3.9  release_clang=clang-13 release_nats=host    ;;
    12) release_codename=bookworm release_python=3.11 release_clang=clang    release_nats=package ;;
    13) release_codename=trixie   release_python=3.13 release_clang=clang    release_nats=package ;;
    *) die "DEBIAN=$1 is not a release that the lab knows" "Use DEBIAN=11, 12 or 13, or add it to tests/lab/lib/releases.sh" ;;
  esac
  # The main archive alone. A release's kernel, headers and tools are there in versions that fit
  # each other; the security archive of an old release lists kernels that it no longer carries.
  release_sources="deb ${XTRACER_DEBIAN_MIRROR:-http://deb.debian.org/debian} $release_codename main"
}

# The guest's packages, one a line. LAB_KERNEL=6.1.0-49-cloud-amd64 asks for that kernel instead
# of the release's newest.
release_packages() {
  local kernel=${LAB_KERNEL:-cloud-amd64}
  printf '%s\n' "linux-image-$kernel" "linux-headers-$kernel" \
    bpfcc-tools python3-bpfcc python3 "libpython$release_python" \
    iproute2 kmod mount procps util-linux
  [ "$release_nats" = host ] || echo nats-server
}
