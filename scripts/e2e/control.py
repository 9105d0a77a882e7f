"""Keeps the control: a server on each node that the chart has no part in, under the same load at the same time.

What the control loses, the machine lost: a node that stood still, packets that were dropped, no processor to be had.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from string import Template

from scripts.cluster.api import Api
from scripts.cluster.objects import Object, address_of, is_ready
from scripts.core.yaml_read import load as load_yaml
from scripts.e2e.k6 import TIMEOUT, Load, Request
from scripts.e2e.subject import Question

_PORTS = range(21_000, 29_000)  # below those of NodePorts
_NAME = "control"
QUESTION = Question("control", proof="pod", kept_method="POST")
_READY_DEADLINE = 120.0
_SHARE = Decimal("0.1")  # of a processor: as much as a small server asks for
_POD = Path(__file__).with_name("control.yaml")


class Control:
    """The control while it is under load, which it is from `begin` on (seconds since 1970)."""

    def __init__(self, running: Load) -> None:
        self._load = running
        self.begin = time.time()

    def between(self, begin: float, end: float, *, certain: bool = False) -> list[Request]:
        """The requests that were under way from `begin` to `end` (seconds since 1970).

        `certain` waits until each of them has an outcome. Raises ToolError where the load on it ended by itself.
        """
        if certain:
            self._load.go_on(end + TIMEOUT + 0.5)
        return [request for request in self._load.requests() if request.end >= begin and request.at <= end]


def start(api: Api, namespace: str, nodes: Sequence[Object], image: str, number: int, share: Decimal) -> list[str]:
    """Put a server on every one of `nodes` into `namespace`; the URLs to load. Raises ApiError, ClusterError.

    Half of the requests go straight to the servers, half to a NodePort of them, which leads from any node to any.
    `image` is one with Python that the nodes can have, `number` whatever tells this run from another, `share` the cores
    that the chart's containers are sure of.
    """
    port = _PORTS[number % len(_PORTS)]
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}  # the network of the host
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    # A pod is refused until the namespace has its account.
    account = "the account of a new namespace"
    api.wait(lambda: api.get("ServiceAccount", "default", namespace), what=account, deadline=_READY_DEADLINE)
    places = {node["metadata"]["name"]: address_of(node) for node in nodes}
    template = Template(_POD.read_text(encoding="utf-8"))
    for node, address in places.items():
        words = {"name": f"{_NAME}-{node}"[:253], "node": node, "address": address, "image": image, "port": port}
        words["cpu"] = str(min(share, _SHARE))
        api.create(load_yaml(template.substitute(words)), namespace)
    spec = {"type": "NodePort", "selector": {"app": _NAME}, "ports": [{"port": 80, "targetPort": port}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": _NAME}, "spec": spec}
    outside = api.create(service, namespace)["spec"]["ports"][0]["nodePort"]

    api.observe(
        lambda: api.list("Pod", namespace),
        lambda pods: all(map(is_ready, pods)),
        what="the control's servers to run",
        deadline=_READY_DEADLINE,
        told=lambda pods: ", ".join(f"{pod['metadata']['name']} {pod['status'].get('phase')}" for pod in pods),
    )
    return [f"http://{address}:{number}/" for number in (port, outside) for address in places.values()]
