# The containers of the lab: pause, the workload, and the packages' layer of the agent's image. All are
# unpacked into the node's containerd while the node is built, natively: under emulation that would
# take minutes of each run.

# container_pack TREE NAME FILE WORD…: a folder as an image with one layer.
container_pack() {
  local tree=$1 name=$2 file=$3 word words=()
  shift 3
  for word in "$@"; do words+=("--entrypoint=$word"); done
  as_root tar --create --directory "$tree" --numeric-owner . | gzip -1 -n >"$file.layer.gz"
  python3 "$IMAGE_HOME/oci.py" --name "$name" "${words[@]}" --output "$file" "$file.layer.gz"
  rm "$file.layer.gz"
}

# Holds a pod's namespaces and ends when it is told to, as process 1 only does with a trap.
containers_pause() {
  local tree
  tree=$(mktemp -d)
  cp "$(command -v busybox)" "$tree/sh"
  container_pack "$tree" lab.local/pause:1 "$1/pause.tar" /sh -c "trap 'exit 0' TERM; while :; do sleep 3600 & wait \$!; done"
  rm -r "$tree"
}

# What the lab's workloads need: Python and coreutils' programs.
containers_work() {
  as_root mmdebstrap --quiet --variant=extract --include=base-files,coreutils,python3 \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/*' \
    "$release_codename" "$1/work" "$release_sources" >&2 || die "mmdebstrap could not unpack the workload's packages"
  container_pack "$1/work" lab.local/work:1 "$1/work.tar" python3
  as_root rm -rf --one-file-system "$1/work"
}

# containers_import ROOT: runs the node's own containerd, without Kubernetes' part of it.
containers_import() {
  local root=$1 made
  made=$(mktemp -d)
  say "the images of pause and workload"
  containers_pause "$made"
  containers_work "$made"
  python3 "$IMAGE_HOME/oci.py" --name lab.local/agent-base:1 --entrypoint=/bin/sh --output "$made/base.tar" "$base"
  say "unpacking the images into the node"
  # shellcheck disable=SC2016  # expanded by the inner shell, from its arguments
  as_root unshare -m bash -euc '
    root=$1 made=$2
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/tmp"
    echo "version = 2
disabled_plugins = [\"io.containerd.grpc.v1.cri\"]" >"$root/tmp/import.toml"
    chroot "$root" containerd --config /tmp/import.toml >"$made/containerd.log" 2>&1 &
    server=$!
    until chroot "$root" ctr version >/dev/null 2>&1; do
      kill -0 "$server" || { cat "$made/containerd.log" >&2; exit 1; }
      sleep 0.1
    done
    for image in "$made"/*.tar; do
      cp "$image" "$root/tmp/image.tar"
      chroot "$root" ctr -n k8s.io images import --snapshotter overlayfs /tmp/image.tar >&2
    done
    kill "$server"
    wait "$server"
  ' bash "$root" "$made" || die "the node's containerd did not take the images"
  rm -r "$made"
}
