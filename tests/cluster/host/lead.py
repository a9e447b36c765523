#!/usr/bin/python3
"""A run of the cluster lab: x-tracer traces one of two pods, as a user has it do, once or several times, and
is judged.

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
# The exit status of x-tracer when no probe could be attached.
BLIND = 5


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


class Cluster:
    """The control plane, the node and the two pods of a run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.plane = ControlPlane(options.tools, options.results / "control-plane")
        say("the control plane is ready")
        self.kubectl = Kubectl(options.tools / "kubectl", self.plane.kubeconfig)
        self.server = None
        self._pods()

    def _pods(self) -> None:
        text = (HERE.parent / "pods.yaml").read_text()
        self.kubectl("create", "namespace", "shop")
        self.kubectl.wait("create", "serviceaccount/default", "-n", "shop")
        self.kubectl("apply", "-f", "-", text=text)
        self.kubectl.wait("create", "node/node-1")
        self.kubectl.wait("condition=Ready", "node/node-1")
        say("the node is ready")
        self.kubectl.wait("condition=Ready", "-n", "shop", "pod/web", "pod/noisy")
        self.web, self.noisy = (Workload(self.kubectl, name) for name in ("web", "noisy"))
        say("the workloads run")

    def users_server(self) -> None:
        """The user's own NATS server, once it listens. It ends with the run."""
        if self.server:
            return
        self.server = subprocess.Popen(["nats-server", "-p", "4222"], stderr=subprocess.PIPE)
        log = open(self.options.results / "nats-server.err", "wb")
        for line in self.server.stderr:
            log.write(line)
            if b"Server is ready" in line:
                threading.Thread(target=log.writelines, args=(self.server.stderr,), daemon=True).start()
                return
        raise SystemExit("nats-server did not start")

    def restart_web(self) -> None:
        """Ends the traced container; the kubelet starts it again."""
        say("the container ends")
        self.web.tell("no such word")
        self.web.process.wait()
        count = self.kubectl.objects("pods", "-n", "shop", "-l", "app=web")[0]["status"]["containerStatuses"][0]["restartCount"]
        self.kubectl.wait(f"jsonpath={{.status.containerStatuses[0].restartCount}}={count + 1}", "-n", "shop", "pod/web")
        self.kubectl.wait("condition=Ready", "-n", "shop", "pod/web")
        self.web = Workload(self.kubectl, "web")


class Session:
    """One `x-tracer trace`, from its command to what it left."""

    def __init__(self, cluster: Cluster, options: argparse.Namespace, results: Path) -> None:
        self.cluster = cluster
        self.options = options
        self.results = results
        self.probes = options.probes.split(",")
        results.mkdir()

    def run(self) -> list:
        """All of it; what was wrong with it."""
        mine = self.options.server == "mine"
        if mine:
            self.cluster.users_server()
            tools = self.cluster.options.tools
            subscriber = Subscriber(tools / "nats", NATS, self.results / "sub.jsonl")
        if self.options.paranoid is not None:
            node.run("sysctl", "-w", f"kernel.perf_event_paranoid={self.options.paranoid}")
        node.ask("remember")
        tracer = self._trace()
        patience = PATIENCE + 120 * len(self.probes)
        if self.options.lacks:
            return self._lacking(tracer, patience)
        tracer.attached(self.probes, patience, say)
        did = self._play(tracer)
        first_life = len(tracer.records)
        lives = [(did, tracer.records[:first_life])]
        if self.options.restart:
            self._restart(tracer)
            lives.append((self._play(tracer), tracer.records[first_life:]))
        say("^C")
        status = tracer.stop(120)
        say(f"x-tracer ended with status {status}")
        complaints = self._remains()
        if mine:
            lives = [(did, subscriber.records())]
        verdict = judge_pods.Verdict(self.probes, lives, tracer.records)
        print(verdict.table())
        if status != 0:
            complaints.append(f"x-tracer ended with status {status}")
        return complaints + verdict.complaints()

    def _trace(self) -> Tracer:
        """The program under test, as typed."""
        server = {
            "mine": ["--nats", NATS],
            "own": ["--hub-address", ADDRESS],
            "in-cluster": ["--nats", "in-cluster"],
        }[self.options.server]
        shared = self.cluster.options
        command = [
            shared.binaries / "x-tracer", "trace", "web", "-n", "shop", "--kubeconfig", self.cluster.plane.kubeconfig,
            "--image", shared.image, "--image-pull-policy", "Never", "--no-localtime",
            "--rights", self.options.rights, *server, "--probes", self.options.probes, "-o", self.options.output,
        ]  # fmt: skip
        say("$ " + " ".join(str(getattr(word, "name", word)) for word in command))
        return Tracer(command, self.options.output, self.results)

    def _play(self, tracer: Tracer) -> dict:
        """The load of both pods and a closing round, by which it is known that all records have come; what
        the traced one did."""
        web, noisy = self.cluster.web, self.cluster.noisy
        say("the load")
        noisy.tell("go")
        web.tell("go")
        did = web.hear("done")
        noisy.hear("done")
        # The neighbour's first: by the time its closing round was dropped, ours is on its way.
        noisy.tell("mark")
        noisy.hear("marked")
        web.tell("mark")
        missing = {probe: count for probe, count in web.hear("marked").items() if probe in self.probes}

        def all_marked(is_record: bool, news) -> bool:
            if is_record and news["comm"] == "mark-web":
                missing[news["probe"]] -= 1
            return not any(count > 0 for count in missing.values())

        if not tracer.until(all_marked, 90):
            say(f"never came: {missing}")
        return did

    def _restart(self, tracer: Tracer) -> None:
        """The container is started anew, and x-tracer follows it."""
        node.ask("restarting")
        self.cluster.restart_web()

        def followed(is_record: bool, news) -> bool:
            if not is_record:
                say(news)
            # The agent's own word.
            return not is_record and news.startswith("x-tracer: tracing container:") and news.endswith(" as well")

        if not tracer.until(followed, PATIENCE):
            raise SystemExit("x-tracer did not follow the container")
        node.ask("restarted")

    def _lacking(self, tracer: Tracer, patience: float) -> list:
        """It must end by itself, with the status of the blind, and name what it lacks."""
        said: list = []

        def hear(is_record: bool, news) -> bool:
            if not is_record:
                say(news)
                said.append(news)
            return False

        tracer.until(hear, patience)
        status = tracer.stop(120)
        say(f"x-tracer ended with status {status}")
        complaints = self._remains()
        if status != BLIND:
            complaints.append(f"x-tracer ended with status {status} instead of {BLIND}")
        complaints += [
            f"{probe}: nobody said that {self.options.lacks} is missing"
            for probe in self.probes
            if not any(f"{probe}: " in line and f"lacks {self.options.lacks}:" in line for line in said)
        ]
        return complaints + [f"a record came: {record}" for record in tracer.records]

    def _containers(self) -> list:
        """Those of our image."""
        lines = node.run("ctr", "-n", "k8s.io", "containers", "list").splitlines()
        return [line for line in lines if "x-agent" in line]

    def _remains(self) -> list:
        """What the session left in the API, in containerd and in the node's kernel, a complaint for each place."""
        mine = ("pods,secrets,services", "--all-namespaces", "-l", "app.kubernetes.io/managed-by=x-tracer")
        api = [f"{item['kind']}/{item['metadata']['name']}" for item in self.cluster.kubectl.objects(*mine)]
        remains = node.ask("left", 90)
        # The kubelet removes a pod's containers when the API has forgotten the pod already.
        deadline = time.monotonic() + 90
        while (containers := self._containers()) and time.monotonic() < deadline:
            time.sleep(1)
        say("the session's remains were looked for")
        places = {"API": api, "containers": containers} | remains
        return [f"{place}: {len(what)} remain, such as {what[:5]}" for place, what in places.items() if what]


def options_of(words: list) -> tuple:
    """The run's options, and those of each of its sessions."""
    run = argparse.ArgumentParser(description=__doc__, add_help=False)
    run.add_argument("--results", type=Path, required=True)
    run.add_argument("--tools", type=Path, required=True, help="kubectl, kube-apiserver and the others")
    run.add_argument("--binaries", type=Path, required=True, help="x-tracer")
    run.add_argument("--image", required=True, help="the agent's image, by its name in the node")
    shared, rest = run.parse_known_args(words)
    session = argparse.ArgumentParser(description="A session; --then begins the options of another.", prog="test")
    session.add_argument("--probes", default="execsnoop,tcpconnect")
    session.add_argument(
        "--server",
        default="mine",
        choices=["mine", "own", "in-cluster"],
        help="NATS: one that is there, with nats sub; the hub's; a pod",
    )
    session.add_argument("--output", default="json", choices=["json", "classic"], help="x-tracer's; classic goes with --server mine")
    session.add_argument("--restart", action="store_true", help="the traced container ends in between; not with --server mine")
    session.add_argument("--rights", default="admin", choices=["admin", "bpf"])
    session.add_argument("--paranoid", type=int, help="the node's kernel.perf_event_paranoid from here on (default: Debian's)")
    session.add_argument("--lacks", metavar="RIGHT", help="this right is missing, which must be said of each probe")
    sessions = []
    while True:
        here = rest.index("--then") if "--then" in rest else len(rest)
        options = session.parse_args(rest[:here])
        if options.restart and options.server == "mine":
            session.error("--restart does not go with --server mine: others' servers carry no orders to agents")
        if options.output == "classic" and options.server != "mine":
            session.error("--output classic goes with --server mine: only records tell what lines are right")
        sessions.append(options)
        if here == len(rest):
            return shared, sessions
        rest = rest[here + 1 :]


def main() -> None:
    shared, sessions = options_of(sys.argv[1:])
    complaints = []
    try:
        cluster = Cluster(shared)
        for number, options in enumerate(sessions, 1):
            found = Session(cluster, options, shared.results / str(number)).run()
            complaints += [f"session {number}: {complaint}" for complaint in found]
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
