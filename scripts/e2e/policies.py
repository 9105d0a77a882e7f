"""The scenario of enforced network policies: who must reach whom does, nobody else, and each policy matters."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from scripts.cluster.objects import Object
from scripts.cluster.operators import MONITORING
from scripts.core.errors import ClusterError
from scripts.core.parallel import workers
from scripts.e2e.lab import Lab
from scripts.e2e.prometheus import find_targets
from scripts.e2e.promises import demand
from scripts.e2e.report import Journal
from scripts.e2e.scene import Scene, client, ready_pods, scene
from scripts.e2e.steps import pods_of_tests

_FOLLOW = 45.0  # seconds until a changed policy is in force, and pods that it keeps from each other have noticed
_PORT = 8080
_METRICS = 9090
_PEER, _UPSTREAM = {"app": "peer"}, {"app": "upstream"}
# Which of some places, as JSON, can be connected to from inside of a pod, all asked at a time; a name that is not found
# is no connection either, and what has not answered by then never will.
_CALL = """
import json, os, socket, sys, threading
ends = json.loads(sys.argv[1])
open_ends = []
def call(number):
    socket.create_connection(ends[number], 3).close()
    open_ends.append(number)
threading.excepthook = lambda _: None
threads = [threading.Thread(target=call, args=[number], daemon=True) for number in range(len(ends))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(4)
print(json.dumps(open_ends), flush=True)
os._exit(0)
"""
_VALUES = {
    "ingress": {
        "resources": {"requests": {"cpu": "50m"}},
        "hpa": {"maxReplicas": 4},
        "prometheus": {"port": _METRICS},
    },
    "prometheusOperator": {"serviceMonitor": {"interval": "5s"}},
    "networkPolicy": {
        "ingress": {
            "from": [{"podSelector": {"matchLabels": _PEER}}],
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": MONITORING}}}],
            "extraEgress": [{"to": [{"podSelector": {"matchLabels": _UPSTREAM}}]}],
        }
    },
}


@dataclass(frozen=True)
class _Way:
    """A way from a pod ("namespace/name") to a port of a host, and whether it has to be open; `what` is its end."""

    pod: str
    what: str
    host: str
    port: int
    open: bool

    def __str__(self) -> str:
        return f"{self.pod.partition('/')[2]} {'reaches' if self.open else 'does not reach'} {self.what}"


def policies(lab: Lab, journal: Journal) -> None:
    """Production values under enforced policies: what must pass passes, nothing else does, and each policy matters."""
    with scene(lab, journal, "network policies, production values") as its, _monitor(lab, its.namespace) as monitor:
        with its.step("the cluster enforces policies"):
            addresses = _enforced(lab, its.namespace)
        with its.step("install with production values"):
            its.rollout.install(its.target("prod", _VALUES))
        ways = _ways(lab, its, addresses, monitor)
        with its.step("every way that must be open is, and no other"):
            _await_right(lab, ways)
            journal.detail("; ".join(map(str, ways)))
        with its.step("Prometheus reaches the metrics"):
            journal.detail(find_targets(lab, its.namespace))
        with its.step("helm test"):
            its.rollout.test()
        for name in sorted(each["metadata"]["name"] for each in lab.api.list("NetworkPolicy", its.namespace)):
            with its.step(f"without the policy {name} something is wrong"):
                journal.detail(_matters(lab, its, name, ways))


def _enforced(lab: Lab, namespace: str) -> dict[str, str]:
    """A policy that blocks does: the rest proves nothing otherwise. Returns the addresses of pods that serve."""
    for name, labels in (("peer", _PEER), ("stranger", {}), ("upstream", _UPSTREAM)):
        lab.api.create(_server(lab, labels, name), namespace)
    addresses = {name: _address(lab, namespace, name) for name in ("peer", "stranger", "upstream")}

    def await_stranger(*, open: bool) -> None:  # noqa: A002
        _await_right(lab, [_Way(f"{namespace}/stranger", "the upstream", addresses["upstream"], _PORT, open)])

    await_stranger(open=True)
    deny = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "deny"}}
    lab.api.create({**deny, "spec": {"podSelector": {"matchLabels": _UPSTREAM}, "policyTypes": ["Ingress"]}}, namespace)
    await_stranger(open=False)
    lab.api.delete("NetworkPolicy", "deny", namespace)
    await_stranger(open=True)
    return addresses


def _ways(lab: Lab, its: Scene, addresses: dict[str, str], monitor: str) -> list[_Way]:
    front, back = lab.question.service, lab.subject.backs[0].partition("/")[2]
    ingress = ready_pods(lab, its.namespace, lab.front())[0]
    manager = ready_pods(lab, its.namespace, lab.subject.backs[0])[0]
    instance = {key: value for key, value in ingress["metadata"]["labels"].items() if key.startswith("app.kubernetes")}
    lab.api.create(_server(lab, {**instance, "app.kubernetes.io/component": "other"}, "odd"), its.namespace)
    # A pod of `helm test` may ask before the policies know it: one that has its labels stays.
    tested = pods_of_tests(lab, its.namespace)[0].data["metadata"]["labels"]
    lab.api.create(_server(lab, tested, "test"), its.namespace)
    _address(lab, its.namespace, "test")
    ends = {
        "the ingress": (f"{front}.{its.namespace}.svc", 80),
        "route-manager": (f"{back}.{its.namespace}.svc", 50051),
        "the metrics": (ingress["status"]["podIP"], _METRICS),
        "the upstream": (addresses["upstream"], _PORT),
        "the stranger": (addresses["stranger"], _PORT),
        "a pod of the release without a part in it": (_address(lab, its.namespace, "odd"), _PORT),
    }
    names = {pod: pod for pod in ("peer", "stranger", "odd", "test")}
    names |= {"ingress": ingress["metadata"]["name"], "route-manager": manager["metadata"]["name"]}
    pods = {who: f"{its.namespace}/{name}" for who, name in names.items()} | {"monitor": f"{MONITORING}/{monitor}"}
    opened = {
        ("peer", "the ingress"),
        ("ingress", "route-manager"),
        ("ingress", "the upstream"),
        ("test", "the ingress"),
        ("test", "route-manager"),
        ("monitor", "the metrics"),
        *((who, what) for who in ("peer", "stranger", "monitor") for what in ("the upstream", "the stranger")),
    }
    own = {  # the way to itself is nobody's business
        ("ingress", "the ingress"),
        ("ingress", "the metrics"),
        ("route-manager", "route-manager"),
        ("stranger", "the stranger"),
        ("odd", "a pod of the release without a part in it"),
    }
    return [
        _Way(pods[who], what, host, port, open=(who, what) in opened)
        for who in pods
        for what, (host, port) in ends.items()
        if (who, what) not in own
    ]


def _server(lab: Lab, labels: Object, name: str) -> Object:
    pod = client(lab, labels, name=name)
    pod["spec"]["containers"][0]["command"] = ["python3", "-m", "http.server", str(_PORT)]
    return pod


@contextlib.contextmanager
def _monitor(lab: Lab, name: str) -> Iterator[str]:
    """The name of a pod beside Prometheus, which has nothing to call from."""
    lab.api.create(client(lab, {"app": "monitor"}, name=name), MONITORING)
    try:
        _address(lab, MONITORING, name)
        yield name
    finally:
        lab.api.delete("Pod", name, MONITORING, grace=0)


def _matters(lab: Lab, its: Scene, name: str, ways: list[_Way]) -> str:
    """Remove a policy, see what is wrong then, and put it back. Raises Broken where nothing is."""
    document = lab.api.get("NetworkPolicy", name, its.namespace) or {}
    meta = {key: document["metadata"][key] for key in ("name", "labels")}
    lab.api.delete("NetworkPolicy", name, its.namespace)
    try:
        found = _await_wrong(lab, ways)
        demand(bool(found), f"nothing is different without the NetworkPolicy {name}")
    finally:
        again = {**{key: document[key] for key in ("apiVersion", "kind", "spec")}, "metadata": meta}
        lab.api.create(again, its.namespace)
    _await_right(lab, ways)
    return found


def _await_right(lab: Lab, ways: list[_Way]) -> None:
    """Wait until all ways are as they have to be. Raises ClusterError naming those that are not."""
    lab.api.observe(
        lambda: _wrong(lab, ways),
        what="the policies to be in force",
        deadline=_FOLLOW,
        told=lambda wrong: "not true: " + "; ".join(map(str, wrong)),
    )


def _await_wrong(lab: Lab, ways: list[_Way]) -> str:
    """What becomes wrong with the ways within a while, and is a second time; "" where nothing does."""
    before: set[_Way] = set()

    def found() -> set[_Way] | None:
        nonlocal before
        now = set(_wrong(lab, ways))
        both, before = now & before, now
        return both or None

    try:
        wrong = lab.api.wait(found, what="a way to be wrong", deadline=_FOLLOW)
    except ClusterError:
        return ""
    return "no more: " + "; ".join(sorted(map(str, wrong)))


def _wrong(lab: Lab, ways: Iterable[_Way]) -> list[_Way]:
    """The ways that are not as they have to be."""

    def wrong_from(pod: str, ways: list[_Way]) -> list[_Way]:
        namespace, _, name = pod.partition("/")
        ends = json.dumps([(way.host, way.port) for way in ways])
        reached = json.loads(lab.kubectl(namespace, "exec", name, "--", "python3", "-c", _CALL, ends))
        return [way for number, way in enumerate(ways) if (number in reached) != way.open]

    by_pod = {pod: list(own) for pod, own in groupby(ways, attrgetter("pod"))}
    with workers(lab.runner, len(by_pod)) as pool:
        return [way for found in pool.map(wrong_from, by_pod, by_pod.values()) for way in found]


def _address(lab: Lab, namespace: str, name: str) -> str:
    return str(lab.await_phase(name, namespace, "Running", what=" to run", deadline=60)["podIP"])
