#!/usr/bin/python3
"""A run of the cluster lab: x-tracer traces one of two pods, as a user has it do, and is judged.

The node is starting already (tests/cluster/cluster); it is ended here, whatever happens.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import node
from control_plane import ADDRESS, ControlPlane
from kubectl import Kubectl
from subscriber import Subscriber
from tracer import Tracer

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent.parent / "lab"))

import judge_pods  # noqa: E402

NATS = f"nats://{ADDRESS}:4222"
STARTED = time.monotonic()
# Emulated, and perhaps not alone on its host: what takes longer will not come.
PATIENCE = 600


def say(text: str) -> None:
    """Progress, with the seconds since the run began."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


class Workload:
    """One of the pods, led over its stdin."""

    def __init__(self, kubectl: Kubectl, pod: str) -> None:
        self.pod = pod
        if "ready" not in (said := kubectl.said("shop", pod)):
            raise SystemExit(f"the pod {pod} is not ready: {said!r}")
        self.process = kubectl.attach("shop", pod)

    def tell(self, word: str) -> None:
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def hear(self, word: str) -> dict:
        for line in self.process.stdout:
            if line.startswith("{") and word in (said := json.loads(line)):
                return said[word]
        raise SystemExit(f"the pod {self.pod} ended before it was {word}")


class Run:
    """The programs of one run and what they leave."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.results = options.results
        self.probes = options.probes.split(",")
        self.plane = ControlPlane(options.tools, self.results / "control-plane")
        say("the control plane is ready")
        self.kubectl = Kubectl(options.tools / "kubectl", self.plane.kubeconfig)

    def workloads(self) -> list:
        """The two pods, running; the traced one comes first."""
        text = (HERE.parent / "pods.yaml").read_text()
        self.kubectl("create", "namespace", "shop")
        self.kubectl.wait("create", "serviceaccount/default", "-n", "shop")
        self.kubectl("apply", "-f", "-", text=text)
        self.kubectl.wait("create", "node/node-1")
        self.kubectl.wait("condition=Ready", "node/node-1")
        say("the node is ready")
        self.kubectl.wait("condition=Ready", "-n", "shop", "pod/web", "pod/noisy")
        workloads = [Workload(self.kubectl, name) for name in ("web", "noisy")]
        say("the workloads run")
        return workloads

    def server(self) -> None:
        """The user's own NATS server, once it listens. It ends with the run."""
        server = subprocess.Popen(["nats-server", "-p", "4222"], stderr=subprocess.PIPE)
        log = open(self.results / "nats-server.err", "wb")
        for line in server.stderr:
            log.write(line)
            if b"Server is ready" in line:
                threading.Thread(target=log.writelines, args=(server.stderr,), daemon=True).start()
                return
        raise SystemExit("nats-server did not start")

    def trace(self) -> Tracer:
        """The program under test, as typed."""
        server = ["--nats", NATS] if self.options.server == "mine" else ["--hub-address", ADDRESS]
        command = [
            self.options.binaries / "x-tracer", "trace", "web", "-n", "shop", "--kubeconfig", self.plane.kubeconfig,
            "--image", self.options.image, "--image-pull-policy", "Never", "--no-localtime",
            "--rights", self.options.rights, *server, "--probes", self.options.probes, "-o", "json",
        ]  # fmt: skip
        say("$ " + " ".join(str(getattr(word, "name", word)) for word in command))
        return Tracer(command, self.results)

    def restarted(self, web: Workload, tracer: Tracer) -> Workload:
        """The traced container, ended and started again by the kubelet, once x-tracer follows it."""
        say("the container ends")
        web.tell("no such word")
        web.process.wait()
        self.kubectl.wait("jsonpath={.status.containerStatuses[0].restartCount}=1", "-n", "shop", "pod/web")
        self.kubectl.wait("condition=Ready", "-n", "shop", "pod/web")
        again = Workload(self.kubectl, "web")

        def followed(is_record: bool, news) -> bool:
            if not is_record:
                say(news)
            # The agent's own word.
            return not is_record and news.startswith("x-tracer: tracing container:") and news.endswith(" as well")

        if not tracer.until(followed, PATIENCE):
            raise SystemExit("x-tracer did not follow the container")
        return again

    @staticmethod
    def _containers() -> list:
        """Those of our image."""
        lines = node.run("ctr", "-n", "k8s.io", "containers", "list").splitlines()
        return [line for line in lines if "x-agent" in line]

    def left(self) -> dict:
        """What a session left in the API, in containerd and in the node's kernel, by place."""
        mine = ("pods,secrets,services", "--all-namespaces", "-l", "app.kubernetes.io/managed-by=x-tracer")
        api = [f"{item['kind']}/{item['metadata']['name']}" for item in self.kubectl.objects(*mine)]
        # A container that was started again is itself something that was not there before.
        remains = {} if self.options.restart else node.ask("left", 90)
        # The kubelet removes a pod's containers when the API has forgotten the pod already.
        deadline = time.monotonic() + 90
        while (containers := self._containers()) and time.monotonic() < deadline:
            time.sleep(1)
        remains["containers"] = containers
        return {place: what for place, what in ({"API": api} | remains).items() if what}


def play(web: Workload, noisy: Workload, run: Run, tracer: Tracer) -> dict:
    """The load of both pods and a closing round, by which it is known that all records have come; what
    the traced one did."""
    say("the load")
    noisy.tell("go")
    web.tell("go")
    did = web.hear("done")
    noisy.hear("done")
    # The neighbour's first: by the time its closing round was dropped, ours is on its way.
    noisy.tell("mark")
    noisy.hear("marked")
    web.tell("mark")
    missing = {probe: count for probe, count in web.hear("marked").items() if probe in run.probes}

    def all_marked(is_record: bool, news) -> bool:
        if is_record and news["comm"] == "mark-web":
            missing[news["probe"]] -= 1
        return not any(count > 0 for count in missing.values())

    if not tracer.until(all_marked, 90):
        say(f"never came: {missing}")
    return did


def lead(run: Run) -> list:
    """The run; what was wrong with it."""
    web, noisy = run.workloads()
    mine = run.options.server == "mine"
    if mine:
        run.server()
        subscriber = Subscriber(run.options.tools / "nats", NATS, run.results / "sub.jsonl")
    if run.options.paranoid is not None:
        node.run("sysctl", "-w", f"kernel.perf_event_paranoid={run.options.paranoid}")
    node.ask("remember")
    tracer = run.trace()
    tracer.attached(run.probes, PATIENCE + 120 * len(run.probes), say)
    did = play(web, noisy, run, tracer)
    first_life = len(tracer.records)
    lives = [(did, tracer.records[:first_life])]
    if run.options.restart:
        web = run.restarted(web, tracer)
        lives.append((play(web, noisy, run, tracer), tracer.records[first_life:]))
    say("^C")
    status = tracer.stop(120)
    say(f"x-tracer ended with status {status}")
    complaints = [f"{place}: {len(what)} remain, such as {what[:5]}" for place, what in run.left().items()]
    say("the session's remains were looked for")
    if mine:
        lives = [(did, subscriber.records())]
    verdict = judge_pods.Verdict(run.probes, lives, tracer.records)
    print(verdict.table())
    if status != 0:
        complaints.append(f"x-tracer ended with status {status}")
    return complaints + verdict.complaints()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--tools", type=Path, required=True, help="kubectl, kube-apiserver and the others")
    parser.add_argument("--binaries", type=Path, required=True, help="x-tracer")
    parser.add_argument("--image", required=True, help="the agent's image, by its name in the node")
    parser.add_argument("--probes", default="execsnoop,tcpconnect")
    parser.add_argument(
        "--server", default="mine", choices=["mine", "own"], help="NATS: one that is there, with nats sub, or the hub's"
    )
    parser.add_argument("--restart", action="store_true", help="the traced container ends in between; with --server own")
    parser.add_argument("--rights", default="admin", choices=["admin", "bpf"])
    parser.add_argument("--paranoid", type=int, help="the node's kernel.perf_event_paranoid (default: Debian's)")
    options = parser.parse_args()
    if options.restart and options.server != "own":
        parser.error("--restart goes with --server own: others' servers carry no orders to agents")
    try:
        complaints = lead(Run(options))
    finally:
        end_node()
    for complaint in complaints:
        print(f"WRONG: {complaint}")
    print("passed" if not complaints else f"failed: {len(complaints)} complaints")
    sys.exit(bool(complaints))


def end_node() -> None:
    """Powers the node off, so that its logs come home. One that does not hear it is ended by `cluster`."""
    try:
        node.ask("end")
    except OSError as error:
        print(f"the node cannot be told to end: {error}", file=sys.stderr)


main()
