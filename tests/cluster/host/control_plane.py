"""The cluster's control plane: etcd, API server, scheduler and controllers, as processes of this host.

The run has a network of its own, so that every port is the usual one, and a PID namespace of its own, so
that nothing outlives it.
"""

import subprocess
import time
from pathlib import Path

ADDRESS = "10.0.2.2"
TOKENS = 'admin-token,admin,1,"system:masters"\nnode-token,system:node:node-1,2,"system:nodes"\n'


class ControlPlane:
    """Running when it is made; its files are in `folder`."""

    def __init__(self, tools: Path, folder: Path) -> None:
        self.tools = tools
        self.folder = folder
        folder.mkdir()
        self.kubeconfig = folder / "admin.conf"
        self.running: dict = {}
        self._keys()
        self._etcd()
        self._api_server()
        self._controllers()

    def check(self) -> None:
        """Complains about one that has ended."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise SystemExit(f"{name} ended with status {process.returncode}: see {self.folder}/{name}.log")

    def _start(self, program: Path, *arguments: str) -> None:
        with open(self.folder / f"{program.name}.log", "wb") as log:
            self.running[program.name] = subprocess.Popen(
                [program, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )

    def _keys(self) -> None:
        key = self.folder / "sa.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        subprocess.run(
            ["openssl", "rsa", "-in", key, "-pubout", "-out", self.folder / "sa.pub"], check=True, capture_output=True
        )
        (self.folder / "tokens.csv").write_text(TOKENS)
        self.kubeconfig.write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: lab\n"
            f"clusters: [{{name: lab, cluster: {{server: 'https://{ADDRESS}:6443', certificate-authority: certs/apiserver.crt}}}}]\n"
            "contexts: [{name: lab, context: {cluster: lab, user: admin}}]\n"
            "users: [{name: admin, user: {token: admin-token}}]\n"
        )

    def _etcd(self) -> None:
        installed = Path("/usr/bin/etcd")
        unpacked = self.tools.parent / "etcd/usr/bin/etcd"
        self._start(installed if installed.exists() else unpacked, "--unsafe-no-fsync", f"--data-dir={self.folder}/data")

    def _api_server(self) -> None:
        self._start(
            self.tools / "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--bind-address={ADDRESS}",
            f"--advertise-address={ADDRESS}",
            "--cert-dir=certs",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-key-file=sa.pub",
            "--service-account-signing-key-file=sa.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--token-auth-file=tokens.csv",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
        )
        while not self._ready():
            self.check()
            time.sleep(0.2)

    def _ready(self) -> bool:
        kubectl = [self.tools / "kubectl", f"--kubeconfig={self.kubeconfig}", "get", "--raw=/readyz"]
        return subprocess.run(kubectl, capture_output=True, check=False).returncode == 0

    def _controllers(self) -> None:
        kubeconfig = f"--kubeconfig={self.kubeconfig}"
        self._start(self.tools / "kube-scheduler", kubeconfig, "--leader-elect=false")
        self._start(
            self.tools / "kube-controller-manager",
            kubeconfig,
            "--leader-elect=false",
            "--service-account-private-key-file=sa.key",
            "--root-ca-file=certs/apiserver.crt",
            # The node is emulated, and late now and then.
            "--node-monitor-grace-period=5m",
        )
