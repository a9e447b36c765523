"""kubectl, and what the lab asks of it."""

import json
import subprocess
from pathlib import Path

PATIENCE = "--timeout=240s"


class Kubectl:
    """The real program, as the administrator."""

    def __init__(self, program: Path, kubeconfig: Path) -> None:
        self.command = [program, f"--kubeconfig={kubeconfig}"]

    def __call__(self, *arguments: str, text: str | None = None) -> str:
        done = subprocess.run([*self.command, *arguments], input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def objects(self, *arguments: str) -> list:
        """The items of a list."""
        return json.loads(self("get", "-o", "json", *arguments))["items"]

    def wait(self, condition: str, *what: str) -> None:
        """Until it is so."""
        self("wait", f"--for={condition}", PATIENCE, *what)

    def said(self, namespace: str, pod: str) -> str:
        """The first line that a pod's process says, once it does."""
        command = [*self.command, "logs", "--follow", "-n", namespace, pod]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as logs:
            line = logs.stdout.readline()
            logs.terminate()
        return line

    def attach(self, namespace: str, pod: str) -> subprocess.Popen:
        """Stdin and stdout of a pod's process."""
        return subprocess.Popen(
            [*self.command, "attach", "--stdin", "--quiet", "-n", namespace, pod],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
