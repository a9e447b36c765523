# The node: the lab's machine with a container runtime, a kubelet, and the images that its pods are
# made of. These functions stand in for the lab's own: tests/lab/lib/images.sh calls them.

# The guest's packages, one a line.
release_packages() {
  local kernel=${LAB_KERNEL:-cloud-amd64}
  printf '%s\n' "linux-image-$kernel" "linux-headers-$kernel" ca-certificates containerd \
    containernetworking-plugins iproute2 iptables kmod mount procps python3 runc util-linux
}

# What else goes into the root, for the name in the cache.
machine_ingredients() {
  echo "$kubernetes $base"
  cat "$CLUSTER_HOME/lib/node.sh" "$CLUSTER_HOME/lib/containers.sh" "$IMAGE_HOME/oci.py"
}

# machine_finish ROOT
machine_finish() {
  as_root cp "$kubernetes/kubelet" "$1/usr/local/bin/kubelet"
  node_files "$1"
  containers_import "$1"
}

# node_write FILE: from stdin.
node_write() {
  as_root mkdir -p "$(dirname "$1")"
  as_root tee "$1" >/dev/null
}

# The node's configuration. Nothing can be pulled here, so nothing is ever thrown away either.
node_files() {
  tr -d - </proc/sys/kernel/random/uuid | node_write "$1/etc/machine-id"
  node_write "$1/etc/resolv.conf" <<<''
  node_write "$1/etc/containerd/config.toml" <<'FILE'
version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "lab.local/pause:1"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "/etc/cni/net.d"
FILE
  # Leases lie under /run, so that they end with the boot.
  node_write "$1/etc/cni/net.d/10-lab.conflist" <<'FILE'
{"cniVersion": "0.4.0", "name": "lab", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": "/run/cni/networks"}}]}
FILE
  node_write "$1/etc/kubernetes/kubelet.yaml" <<'FILE'
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
clusterDNS: [10.96.0.10]
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
failSwapOn: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "0%", nodefs.available: "0%", imagefs.available: "0%"}
runtimeRequestTimeout: 10m
makeIPTablesUtilChains: false
FILE
  node_write "$1/etc/kubernetes/kubelet.conf" <<'FILE'
apiVersion: v1
kind: Config
current-context: lab
clusters: [{name: lab, cluster: {server: "https://10.0.2.2:6443", insecure-skip-tls-verify: true}}]
contexts: [{name: lab, context: {cluster: lab, user: node}}]
users: [{name: node, user: {token: node-token}}]
FILE
}
