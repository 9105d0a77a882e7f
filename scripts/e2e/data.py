"""Proves that data is kept: what is written into the volumes of a release's pods is found there afterwards."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.cluster.objects import Object, is_ready
from scripts.core.command import Runner
from scripts.core.errors import ClusterError
from scripts.e2e.lab import Lab
from scripts.e2e.promises import demand
from scripts.e2e.report import Journal

_FILE = ".gati-e2e"
_DEADLINE = 90.0
_DEVICES = "volumeDevices"  # of a container that has a volume without files
_WRITE = f"import sys; open('/data/{_FILE}', 'w').write(sys.argv[1])"
_READ = f"import os; p = '/data/{_FILE}'; print(open(p).read() if os.path.exists(p) else '')"


@dataclass(frozen=True)
class Place:
    """Where a container of a pod keeps data: a claim at `path`, of which `within` is the folder that it sees."""

    pod: str
    container: str
    path: str
    claim: str
    within: str
    node: str

    def __str__(self) -> str:
        within = f", {self.within}" if self.within else ""
        return f"{self.path} of pod {self.pod} (claim {self.claim or 'none'}{within})"


class Data:
    """What was written into every volume of the pods in `namespace`, when this was made; nothing without claims."""

    def __init__(self, lab: Lab, journal: Journal, namespace: str) -> None:
        self._lab, self._journal, self._namespace = lab, journal, namespace
        self._written: dict[Place, str] = {}
        if not lab.found.claims:
            return
        with journal.step("data is written into every volume"):
            lab.await_ready(namespace)
            places, pods = list(self._places()), lab.pods(namespace)
            devices = [pod["metadata"]["name"] for pod in pods for one in pod["spec"]["containers"] if _DEVICES in one]
            once: dict[tuple[str, str], Place] = {}
            for place in places:
                once.setdefault((place.claim, place.path), place)
            for place in once.values():
                # Of these a kubelet gives none to a second pod.
                if not lab.own and self._modes(place.claim) == ["ReadWriteOncePod"]:
                    journal.skip(f"that data stays at {place}, which one pod alone may have (ReadWriteOncePod)")
                    continue
                token = secrets.token_hex(8)
                self._run(place, _WRITE, token)
                self._written[place] = token
            of_pods = [claim for claim in lab.found.claims if not claim.startswith("PersistentVolumeClaim/")]
            demand(bool(places or devices or not of_pods), "no pod mounts a claim", found=", ".join(of_pods))
            if devices:
                journal.skip(f"that data stays on the devices of {', '.join(devices)}, which have no files")
            elif not places:  # a claim by itself may be a Job's
                journal.skip(f"that data stays: no pod that runs all the time mounts {', '.join(lab.found.claims)}")
            journal.detail(", ".join(map(str, self._written)))
            self._demand_attached(places)

    def demand_there(self, what: str) -> None:
        """The data is there after `what`. Raises Broken with the pods that do not find it."""
        if not self._written:
            return
        with self._journal.step(f"{what}: the data is there"):
            self._lab.await_ready(self._namespace)
            now = list(self._places())
            lost = []
            for before, token in self._written.items():
                place = next((one for one in now if _same(one, before)), None)
                if place is None:
                    lost.append(f"nothing keeps data at {before} any more")
                elif self._run(place, _READ) != token:
                    lost.append(f"{place} has nothing of what was written to {before}")
            demand(not lost, f"data is lost by {what}", "what was written before", "\n".join(lost))
            self._journal.detail(f"in {len(self._written)} volumes")

    def lose_nodes(self) -> None:
        """A node that keeps data stops answering, and its pods are made anew elsewhere: the data is there."""
        if not self._written:
            return
        lab, journal = self._lab, self._journal
        if not lab.own or any(map(self._bound, self._written)):
            whose = "volumes are bound to their nodes" if lab.own else "nodes are not ours"
            journal.skip(f"the loss of a node, for the {whose}")
            return
        node = next(iter(self._written)).node
        with journal.step("a node is lost, and its pods run elsewhere"), _paused(lab.runner, node):
            lab.api.cordon(node)
            try:
                many = len(self._movable())
                for pod in lab.pods(self._namespace):
                    if pod["spec"].get("nodeName") == node:
                        lab.api.delete("Pod", pod["metadata"]["name"], self._namespace, grace=0)
                what = f"the pods of {node} to run elsewhere"
                lab.api.wait(lambda: self._moved(node, many), what=what, deadline=lab.deadline)
                self._demand_elsewhere(node)
            finally:
                lab.api.cordon(node, False)
        with journal.step("the node is back"):
            what = f"node {node} to be ready"
            lab.api.wait(lambda: is_ready(lab.api.get("Node", node) or {}), what=what, deadline=_DEADLINE)
        self.demand_there("the loss of a node")

    def _moved(self, node: str, many: int) -> bool:
        """Whether as many pods as there were are ready on other nodes, and none is anywhere else."""
        pods = self._movable()
        elsewhere = [pod for pod in pods if is_ready(pod) and pod["spec"]["nodeName"] != node]
        return len(elsewhere) == len(pods) >= many

    def _movable(self) -> list[Object]:
        """The pods that are made anew on another node: a controller's, but for those that belong to their node."""
        return [
            pod
            for pod in self._lab.pods(self._namespace)
            if {owner["kind"] for owner in pod["metadata"].get("ownerReferences") or ()} - {"DaemonSet"}
        ]

    def _demand_elsewhere(self, node: str) -> None:
        for before, token in self._written.items():
            for place in self._places():
                if _same(place, before) and place.node != node:
                    demand(self._run(place, _READ) == token, f"data is lost with node {node}", found=str(place))

    def _demand_attached(self, places: Iterable[Place]) -> None:
        """No claim that can be on one node is on several: those of a cluster of ours would let it, and no cloud."""
        nodes: dict[str, set[str]] = {}
        for place in places if self._lab.own else ():
            nodes.setdefault(place.claim, set()).add(place.node)
        for claim, on in nodes.items():
            fits = len(on) == 1 or self._modes(claim) != ["ReadWriteOnce"]
            told = "pods on one node, or ReadWriteMany: elsewhere the others wait for the volume", ", ".join(sorted(on))
            demand(fits, f"claim {claim} is ReadWriteOnce, and pods on {len(on)} nodes have it", *told)

    def _bound(self, place: Place) -> bool:
        volume = self._lab.api.get("PersistentVolume", self._claim(place.claim).get("volumeName", "")) or {}
        return bool(volume.get("spec", {}).get("nodeAffinity"))

    def _modes(self, claim: str) -> list[str]:
        return [*self._claim(claim).get("accessModes", ())]

    def _claim(self, claim: str) -> Object:
        live = self._lab.api.get("PersistentVolumeClaim", claim, self._namespace) or {}
        return dict(live.get("spec", {}))

    def _places(self) -> Iterator[Place]:
        """Where the containers that are there keep data."""
        for pod in self._lab.pods(self._namespace):
            spec = pod["spec"]
            if "nodeName" not in spec:
                continue  # one that a scaler has just added: it keeps nothing yet
            claims = {
                volume["name"]: volume["persistentVolumeClaim"]["claimName"]
                for volume in spec.get("volumes") or ()
                if "persistentVolumeClaim" in volume
            }
            for container in spec["containers"]:
                for mount in container.get("volumeMounts") or ():
                    claim = claims.get(mount["name"], "")
                    if claim and not mount.get("readOnly"):
                        place = (pod["metadata"]["name"], container["name"], mount["mountPath"])
                        yield Place(*place, claim, mount.get("subPath", ""), spec["nodeName"])

    def _run(self, place: Place, script: str, *words: str) -> str:
        """Run a script where a container sees its data, as who it runs; what it says. Raises ClusterError."""
        api, namespace = self._lab.api, self._namespace
        pod = api.get("Pod", place.pod, namespace)
        if pod is None:
            raise ClusterError(f"pod {place.pod} is gone while its data is looked at")
        name = f"gati-e2e-data-{secrets.token_hex(3)}"
        image, command = f"{self._lab.images}/ingress:1", ["python3", "-c", script, *words]
        api.create(_helper(name, pod, place, image, command), namespace)

        try:
            what = f", which looks at {place}"
            status = self._lab.await_phase(name, namespace, "Succeeded", "Failed", what=what, deadline=_DEADLINE)
            text = api.logs(name, namespace)
        finally:
            api.delete("Pod", name, namespace, grace=0)
        if status["phase"] == "Failed":
            raise ClusterError(f"data cannot be written or read at {place}", found=text)
        return (text or "").strip()


def _same(one: Place, before: Place) -> bool:
    """Whether a place is what `before` was: that of the same pod of a StatefulSet, or of a pod in place of another."""
    return (one.container, one.path) == (before.container, before.path) and (
        one.pod == before.pod or one.claim == before.claim
    )


def _helper(name: str, pod: Object, place: Place, image: str, command: list[str]) -> Object:
    """A pod on the same node with the same claim, run as the container is."""
    spec = pod["spec"]
    container: Mapping[str, Any] = next(one for one in spec["containers"] if one["name"] == place.container)
    user: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        **{key: value for key, value in (container.get("securityContext") or {}).items() if key.startswith("runAs")},
    }
    mount = {"name": "data", "mountPath": "/data", **({"subPath": place.within} if place.within else {})}
    helper: Object = {"name": "data", "image": image, "imagePullPolicy": "IfNotPresent", "command": command}
    helper |= {"volumeMounts": [mount], "securityContext": user}
    helper |= {"resources": {"requests": {"cpu": "10m", "memory": "32Mi"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {"helm.sh/hook": "none"}},
        "spec": {
            "nodeName": place.node,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": spec.get("securityContext") or {},
            "tolerations": [{"operator": "Exists"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": place.claim}}],
            "containers": [helper],
        },
    }


@contextlib.contextmanager
def _paused(runner: Runner, node: str) -> Iterator[None]:
    """The container of a node stands still while the block runs: nothing of it answers."""
    runner.run(("docker", "pause", node))
    try:
        yield
    finally:
        runner.run(("docker", "unpause", node), check=False)
