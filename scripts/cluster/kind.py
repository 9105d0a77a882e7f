"""Owns kind clusters: one control plane, a worker in each zone; up in one call and gone when the block ends."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.cluster.objects import labels_of
from scripts.cluster.startup import Obstacle, obstacle, told_by_kind
from scripts.containers.image_load import load_images
from scripts.containers.leftovers import CLUSTER_LABEL, SHARED, empty_shared, remove
from scripts.containers.node_image import NodeImage, node_image
from scripts.core.command import Runner
from scripts.core.config import Config
from scripts.core.errors import ClusterError, CommandFailed, CommandTimeout, ReleaseError
from scripts.core.files import sha256, write_atomic
from scripts.core.interrupt import cleaning, interruptible, put_right
from scripts.core.owner import mark
from scripts.core.parallel import workers
from scripts.core.paths import list_item
from scripts.core.semver import parse
from scripts.core.waiting import locked, until
from scripts.toolchain.crds import CRD_SETS, crd_files
from scripts.workspace import Workspace

ZONES = ("a", "b", "c")
ZONE_LABEL = "topology.kubernetes.io/zone"
PREFIX = "gati-e2e-"
_POD_SUBNET = "10.244.0.0/16"
SERVICE_SUBNET = "10.96.0.0/16"  # kind's own
_CREATE_DEADLINE = 300.0  # seconds; 30 s on two idle cores
_LOOK = 3.0  # seconds between two looks at nodes that come up
_JOIN_DEADLINE = 60.0
_DELETE_DEADLINE = 300.0  # seconds; 2 s on two idle cores
_SETTLE = 3.0
_READY_DEADLINE = 120.0
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_ENOUGH = 512  # two clusters at a time: a node uses about 20
INOTIFY_FIX = "as root: sysctl -w fs.inotify.max_user_instances=1024"
_REFUSES_CGROUP_V1 = "1.31.0"  # the first kubelet that can be told not to, and does as of 1.35
_CGROUP_V2 = Path("/sys/fs/cgroup/cgroup.controllers")
_SHARED_FROM = f'{{{{range .Mounts}}}}{{{{if eq .Destination "{SHARED}"}}}}{{{{.Source}}}}{{{{end}}}}{{{{end}}}}'


@dataclass(frozen=True)
class Node:
    """A node: its `name` is its container's too; `address` is reachable from this machine; `zone` of a worker only."""

    name: str
    address: str
    zone: str | None
    pod_subnet: str

    @property
    def worker(self) -> bool:
        return self.zone is not None


@dataclass(frozen=True)
class KindCluster:
    """A running cluster. `kubeconfig` is a file of its own; `seconds` is how long the cluster took to come up.

    `volumes` is a folder of this machine that every node has as SHARED.
    """

    name: str
    kubeconfig: Path
    image: NodeImage
    nodes: tuple[Node, ...]
    reused: bool
    seconds: float
    volumes: Path
    _runner: Runner = field(repr=False)

    def load_images(self, references: Iterable[str]) -> tuple[str, ...]:
        """Put images of the local engine on every worker; those already there cost nothing.

        The control plane is left out: no pod of ours can be scheduled there. Returns what was not there.
        Raises EngineError for an image that the engine lacks, CommandFailed, CommandTimeout.
        """
        workers = [node.name for node in self.nodes if node.worker]
        return load_images(references, workers, self._runner)


def demand_reachable_nodes(system: str = sys.platform) -> None:
    """Raises ClusterError where the nodes of a kind cluster have addresses in a virtual machine's network only."""
    if system == "darwin":
        raise ClusterError(
            "the nodes of a kind cluster cannot be reached from macOS, and the load is sent to them",
            expected="a machine on which containers have addresses",
            found="Docker in a virtual machine",
            run="run this in a Linux virtual machine, or on a cluster whose nodes can be reached: --kube-context NAME",
        )


def kept_prefix(config: Config) -> str:
    """What the cluster is called that a checkout keeps, but for its recipe."""
    return f"{PREFIX}{config.checkout}-kept-"


def kept_lock(config: Config) -> contextlib.AbstractContextManager[None]:
    """Nobody else has that cluster. Raises ClusterError."""
    what = "the cluster that this checkout kept"
    return locked(config.dist / "e2e/.kept-cluster.lock", what=what, deadline=0, error=ClusterError)


@contextlib.contextmanager
def cluster(work: Workspace, *, keep: bool = False) -> Iterator[KindCluster]:
    """A cluster whose nodes and DNS are ready and that knows the operators' custom resources.

    What killed runs left is removed first. The cluster is deleted when the block ends, by success, failure, Ctrl-C,
    SIGTERM or SIGHUP, unless `keep`. One that an earlier run kept is used again when it still is what this run would
    make, and deleted otherwise.
    Raises EngineError, ToolError, ClusterError, CommandFailed, CommandTimeout.
    """
    begin = time.monotonic()
    remove(work)
    image, say = node_image(work), work.say
    maker = _Maker(work, image)
    with interruptible(), contextlib.ExitStack() as stack:
        name = maker.kept(stack, keep=keep)
        reused = name is not None
        if name is None:
            name = maker.kept_name if keep else maker.fresh_name
        complete = reused

        def end() -> None:
            if keep and complete:
                say(f"cluster {name} is kept until invoke down --all: kubectl --kubeconfig {maker.kubeconfig(name)}")
            else:
                with cleaning(f"deleting the cluster {name}"):
                    maker.delete(name, settle=0 if complete else _SETTLE)

        with put_right(end, say):
            if not reused:
                maker.create(name)
            nodes = maker.ready(name)
            complete = True
            seconds = time.monotonic() - begin
            say(f"cluster {name} is {'found' if reused else 'up'}: {len(nodes)} nodes, DNS ready, in {seconds:.0f} s")
            volumes = maker.volumes(name)
            yield KindCluster(name, maker.kubeconfig(name), image, nodes, reused, seconds, volumes, work.runner)


def kind_config(image: NodeImage, *, cgroup_v1: bool, volumes: Path | None = None) -> dict[str, Any]:
    """What kind is asked for: a control plane and one labelled worker a zone, without a network kind cannot find.

    Every node has the folder `volumes` of this machine.
    """
    document: dict[str, Any] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"podSubnet": _POD_SUBNET, "disableDefaultCNI": not image.has_cni},
        "nodes": [
            {"role": "control-plane", "image": image.reference},
            *({"role": "worker", "image": image.reference, "labels": {ZONE_LABEL: zone}} for zone in ZONES),
        ],
    }
    for node in document["nodes"] if volumes else ():
        node["extraMounts"] = [{"hostPath": str(volumes), "containerPath": SHARED}]
    if cgroup_v1 and parse(image.kubernetes.removeprefix("v")) >= parse(_REFUSES_CGROUP_V1):
        kubelet = {"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1", "failCgroupV1": False}
        document["kubeadmConfigPatches"] = [json.dumps(kubelet)]
    return document


def network_script(node: Node, others: Sequence[Node]) -> str:
    """The shell script that joins `node` to the pod network, for an image without one.

    A pair of interfaces a pod (ptp) with an address of the node's own range, a route to the range of every other
    node, and the node's own address for what leaves the pod network. Network policies are not enforced.
    """
    ranges = {"ranges": [[{"subnet": node.pod_subnet}]], "routes": [{"dst": "0.0.0.0/0"}]}
    pair = {"type": "ptp", "ipam": {"type": "host-local", **ranges}}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    plugins = {"cniVersion": "1.0.0", "name": "gati", "plugins": [pair, ports]}
    outside = f"POSTROUTING -s {node.pod_subnet} ! -d {_POD_SUBNET} -j MASQUERADE"
    lost = f"POSTROUTING -d {SERVICE_SUBNET} -j DROP"
    return "\n".join(
        (
            "set -e",
            *(f"ip route replace {other.pod_subnet} via {other.address}" for other in others),
            # Each pod has a more special route. Without this one, what is sent to a pod that ended leaves the cluster.
            f"ip route replace unreachable {node.pod_subnet}",
            f"iptables -t nat -C {outside} 2>/dev/null || iptables -t nat -A {outside}",
            # What is still sent to a Service here has nobody behind it, and a firewall may have let it pass where it
            # would have been refused: whoever answers outside of the cluster would answer in the Service's place.
            f"iptables -t mangle -C {lost} 2>/dev/null || iptables -t mangle -A {lost}",
            # Last and whole: the container runtime takes the network for ready as soon as the file is there.
            "cat > /tmp/gati.conflist <<'END'",
            json.dumps(plugins),
            "END",
            "mv /tmp/gati.conflist /etc/cni/net.d/10-gati.conflist",
            "",
        )
    )


def read_nodes(items: Iterable[Mapping[str, Any]]) -> tuple[Node, ...]:
    """The nodes out of the items of a NodeList, by name; left out are those without an address or a pod range yet."""
    nodes = []
    for item in items:
        addresses = [entry["address"] for entry in item["status"].get("addresses", ()) if entry["type"] == "InternalIP"]
        address = next((text for text in addresses if ipaddress.ip_address(text).version == 4), None)
        pod_subnet = item["spec"].get("podCIDR")
        if address is not None and pod_subnet is not None:
            nodes.append(Node(item["metadata"]["name"], address, labels_of(item).get(ZONE_LABEL), pod_subnet))
    return tuple(sorted(nodes, key=lambda node: node.name))


def inotify_hint() -> str | None:
    """What to run where several clusters on one machine are short of inotify instances; None where they are not."""
    with contextlib.suppress(OSError, ValueError):
        if int(INOTIFY.read_text(encoding="utf-8")) < INOTIFY_ENOUGH:
            return f"delete other kind clusters, or {INOTIFY_FIX}; then try again"
    return None


class _Maker:
    def __init__(self, work: Workspace, image: NodeImage) -> None:
        self._config, self._folder = work.config, work.config.dist / "e2e"
        self._toolchain = toolchain = work.tools
        self._runner, self._say, self._image = work.runner, work.say, image
        self._kind = toolchain.path("kind")
        self._document = kind_config(image, cgroup_v1=not _CGROUP_V2.exists())
        own = Path(__file__).read_text(encoding="utf-8")
        recipe = json.dumps([self._document, own, *map(toolchain.version, CRD_SETS)])
        self.kept_name = f"{kept_prefix(work.config)}{sha256(recipe)[:8]}"
        # It says whose the cluster is: one that outlives its process belongs to nobody.
        self.fresh_name = f"{PREFIX}{work.config.checkout}-{mark()}-{secrets.token_hex(1)}"

    def kubeconfig(self, name: str) -> Path:
        return self._folder / f"{name}.kubeconfig"

    def volumes(self, name: str) -> Path:
        """What its nodes have as SHARED, of the run that made them: that of a kept one may have had other results."""
        words = ("docker", "inspect", f"--format={_SHARED_FROM}", f"{name}-control-plane")
        made = self._runner.run(words, check=False).stdout.strip()
        return Path(made) if made else self._folder / f"{name}.volumes"

    def kept(self, stack: contextlib.ExitStack, *, keep: bool) -> str | None:
        """The cluster that an earlier run of this checkout kept, if it answers; one that is outdated goes."""
        names = self._runner.run((self._kind, "get", "clusters"), deadline=60).stdout.split()
        mine = [name for name in names if name.startswith(kept_prefix(self._config))]
        if mine or keep:
            stack.enter_context(kept_lock(self._config))
        for name in mine:
            if name == self.kept_name and self._answers(name):
                return name
            self._say(f"deleting cluster {name}: it was kept by an earlier run and is out of date or does not answer")
            self.delete(name)
        return None

    def create(self, name: str) -> None:
        """Nodes up, Kubernetes running, pods connected. Logs of the nodes are left in dist/e2e on a failure.

        Raises ClusterError with what ends again and again on a node, as soon as that is seen.
        """
        what = f"Kubernetes {self._image.kubernetes}, a control plane and {len(ZONES)} workers"
        self._say(f"creating cluster {name}: {what}")
        self.volumes(name).mkdir(parents=True, exist_ok=True)
        document = kind_config(self._image, cgroup_v1=not _CGROUP_V2.exists(), volumes=self.volumes(name))
        log, asked = self._folder / f"{name}.create.log", self._folder / f"{name}.kind.json"
        write_atomic(asked, json.dumps(document))
        argv = (
            *(self._kind, "create", "cluster", f"--name={name}", f"--config={asked}", "--retain", "-v=1"),
            *("--wait=0s", f"--kubeconfig={self.kubeconfig(name)}"),
        )
        with self._runner.start(argv, log=log) as process:
            end = time.monotonic() + _CREATE_DEADLINE
            seen: Obstacle | None = None
            while (status := process.wait(_LOOK)) is None and seen is None and time.monotonic() < end:
                seen = obstacle(name, self._runner)
            process.stop()
        if status != 0:
            seen = seen or obstacle(name, self._runner)
            logs = self._folder / f"{name}.logs"
            with contextlib.suppress(CommandTimeout):  # a node that hangs has none to give
                self._runner.run((self._kind, "export", "logs", f"--name={name}", logs), deadline=60, check=False)
            said = seen.said if seen else told_by_kind(process.log_tail(10_000)) or "no output"
            raise ClusterError(
                f"the cluster {name} does not come up: {seen}" if seen else f"kind could not create the cluster {name}",
                found=f"{said}\nthe logs of its nodes are in {logs}, kind's in {log}",
                run=inotify_hint(),
            )
        for file in (log, asked):
            file.unlink()
        if not self._image.has_cni:
            self._connect(name)

    def ready(self, name: str) -> tuple[Node, ...]:
        """Custom resources known, every node ready, DNS answering. Raises ClusterError."""
        self._define(name)
        timeout = f"--timeout={_READY_DEADLINE:.0f}s"
        try:
            self._kubectl(name, "wait", "node", "--all", "--for=condition=Ready", timeout)
            dns = ("deployment/coredns", "--namespace=kube-system", "--for=condition=Available")
            self._kubectl(name, "wait", *dns, timeout)
        except CommandFailed as error:
            seen = self._kubectl(name, "get", "nodes,pods", "--all-namespaces", "--output=wide")
            raise ClusterError(
                f"the cluster {name} is up but not ready",
                found=f"{error.stderr}\n{seen}",
                run=inotify_hint(),
                doctor="memory, inotify",
            ) from error
        return self._nodes(name)

    def _define(self, name: str) -> None:
        """Have the cluster know the operators' custom resources, as far as a Kubernetes of its age can."""
        files = [file for crd_set in CRD_SETS for file in crd_files(crd_set, self._toolchain)]
        named = [f"--filename={list_item(file)}" for file in files]
        try:
            self._kubectl(name, "apply", "--server-side", "--force-conflicts", *named)
        except CommandFailed:
            if parse(self._image.kubernetes.removeprefix("v")) >= parse(f"{self._toolchain.minors[-1]}.0"):
                raise
            # Fields that it does not know are left out so, but rules in functions that it lacks are refused.
            self._kubectl(name, "create", "--validate=ignore", *named, check=False)
            there = self._kubectl(name, "get", "customresourcedefinitions", "--output=name").split()
            known = {entry.partition("/")[2] for entry in there}
            wanted = (re.search(r"^  name: (\S+)", file.read_text(encoding="utf-8"), re.MULTILINE) for file in files)
            lacking = [found[1] for found in wanted if found and found[1] not in known]
            if len(lacking) == len(files):
                raise
            if lacking:
                self._say(f"Kubernetes {self._image.kubernetes} refuses the definitions of {', '.join(lacking)}")

    def delete(self, name: str, *, settle: float = 0) -> None:
        """Remove every container of the cluster, and its kubeconfig; a cluster that is not there is fine.

        kind's own delete looks once. Here it is looked until none was seen for `settle` seconds: the engine goes
        on with what an interrupted creation had asked of it. Raises ClusterError for what cannot be removed.
        """
        empty_since: float | None = None
        complaint = ""
        if (volumes := self.volumes(name)).is_dir():
            empty_shared(f"{name}-control-plane", self._runner)

        def gone() -> bool:
            nonlocal empty_since, complaint
            listing = ("docker", "ps", "--all", "--quiet", f"--filter=label={CLUSTER_LABEL}={name}")
            if containers := self._runner.run(listing).stdout.split():
                complaint, empty_since = ", ".join(containers), None
                with contextlib.suppress(CommandTimeout):  # a busy engine goes on with what it was asked
                    removal = self._runner.run(("docker", "rm", "--force", "--volumes", *containers), check=False)
                    complaint = removal.stderr.strip() or complaint
                return False
            empty_since = empty_since or time.monotonic()
            return time.monotonic() - empty_since >= settle

        until(
            gone,
            what=f"cluster {name} to be gone",
            deadline=_DELETE_DEADLINE,
            interval=0.2,
            state=lambda: complaint,
            error=ClusterError,
            run=f"docker rm --force --volumes $(docker ps -aq --filter label={CLUSTER_LABEL}={name})",
        )
        self.kubeconfig(name).unlink(missing_ok=True)
        shutil.rmtree(volumes, ignore_errors=True)

    def _answers(self, name: str) -> bool:
        kubeconfig = self.kubeconfig(name)
        kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._runner.run((self._kind, "export", "kubeconfig", f"--name={name}", f"--kubeconfig={kubeconfig}"))
            self._kubectl(name, "get", "--raw=/readyz", deadline=15)
        except ReleaseError:
            return False
        return True

    def _nodes(self, name: str) -> tuple[Node, ...]:
        return read_nodes(json.loads(self._kubectl(name, "get", "nodes", "--output=json"))["items"])

    def _connect(self, name: str) -> None:
        """Lay the pod network of an image that brings none."""
        nodes: list[Node] = []
        number = len(self._document["nodes"])

        def joined() -> bool:
            nodes[:] = self._nodes(name)
            return len(nodes) == number

        until(
            joined,
            what=f"{number} nodes of {name} to join and be given pod addresses",
            deadline=_JOIN_DEADLINE,
            interval=0.3,
            state=lambda: ", ".join(node.name for node in nodes) or "none",
            error=ClusterError,
            run=inotify_hint(),
        )

        def connect(node: Node) -> None:
            script = network_script(node, [other for other in nodes if other != node])
            self._runner.run(("docker", "exec", "--interactive", node.name, "sh", "-s"), stdin=script)

        with workers(self._runner) as pool:
            list(pool.map(connect, nodes))

    def _kubectl(self, name: str, *words: str, deadline: float = _READY_DEADLINE + 10, check: bool = True) -> str:
        kubectl = self._toolchain.path("kubectl")
        argv = (str(kubectl), f"--kubeconfig={self.kubeconfig(name)}", *words)
        return self._runner.run(argv, deadline=deadline, check=check).stdout
