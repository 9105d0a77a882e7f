"""What a pod says of the places that it can connect to, and which ways have to be open to whom."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.core.errors import ClusterError
from scripts.e2e import policies as module
from scripts.e2e.policies import _CALL, _Way
from scripts.e2e.report import Broken
from scripts.e2e.subject import Subject
from tests.unit.e2e.world import Given, Object, World, web


def test_only_what_accepts_a_connection_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as gone:
        open_, closed = server.getsockname()[1], gone.getsockname()[1]
        gone.close()
        ends = json.dumps([("127.0.0.1", closed), ("127.0.0.1", open_), ("nobody.invalid", open_)])
        found = subprocess.run([sys.executable, "-c", _CALL, ends], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == [1]
    assert not found.stderr


def way(pod: str, host: str, *, open: bool) -> _Way:  # noqa: A002
    return _Way(f"shop/{pod}", f"the {host}", host, 80, open)


class Walled(Given):
    """A lab whose pods reach the hosts of `reaches`, by pod; without a policy of `needed` they reach all."""

    def __init__(self, reaches: dict[str, set[str]], *, needed: str = "") -> None:
        policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}}}
        meta = {"namespace": "shop", "uid": "1", "resourceVersion": "7"}
        policies = [{**policy, "metadata": {**meta, "name": name, "labels": {"a": "b"}}} for name in ("one", "two")]
        super().__init__(World(*policies))
        self.reaches, self.needed = reaches, needed

    def kubectl(self, namespace: str, *words: str, stdin: str | None = None) -> str:
        super().kubectl(namespace, *words)
        _, pod, *_, ends = words
        everything = bool(self.needed) and self.world.get("NetworkPolicy", self.needed, namespace) is None
        there = [at for at, (host, _) in enumerate(json.loads(ends)) if everything or host in self.reaches[pod]]
        return json.dumps(there)


WAYS = [way("peer", "web", open=True), way("peer", "store", open=False), way("stranger", "web", open=False)]


def test_the_ways_that_are_not_as_they_have_to_be_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    right = {"peer": {"web"}, "stranger": set[str]()}
    lab = Walled(right)
    module._await_right(lab, WAYS)
    assert len(lab.commands) == 2  # a pod is asked once for all of its ways
    monkeypatch.setattr(module, "_FOLLOW", 0)
    with pytest.raises(ClusterError) as late:
        module._await_right(Walled({"peer": {"store"}, "stranger": {"web"}}), WAYS)
    for told in ("peer reaches the web", "peer does not reach the store", "stranger does not reach the web"):
        assert told in str(late.value)


def test_a_policy_matters_where_something_is_wrong_without_it_and_it_is_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    its = cast("Any", SimpleNamespace(namespace="shop"))
    lab = Walled({"peer": {"web"}, "stranger": set()}, needed="one")
    told = module._matters(lab, its, "one", WAYS)
    assert told == "no more: peer does not reach the store; stranger does not reach the web"
    (again,) = (one for one in lab.world.list("NetworkPolicy") if one["metadata"]["name"] == "one")
    assert again["metadata"]["labels"] == {"a": "b"}
    assert "resourceVersion" not in again["metadata"]
    monkeypatch.setattr(module, "_FOLLOW", 0.3)
    with pytest.raises(Broken, match="nothing is different without the NetworkPolicy two"):
        module._matters(lab, its, "two", WAYS)
    assert {one["metadata"]["name"] for one in lab.world.list("NetworkPolicy")} == {"one", "two"}


def running(item: Object) -> Object:
    return {**item, "status": {"phase": "Running", "podIP": f"10.0.0.{len(item['metadata']['name'])}"}}


def ready(name: str, component: str) -> Object:
    labels = {"app.kubernetes.io/name": "gati", "app.kubernetes.io/component": component}
    status = {"conditions": [{"type": "Ready", "status": "True"}], "podIP": "10.0.1.1"}
    return {"kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": labels}, "status": status}


def test_who_has_to_reach_whom() -> None:
    hook = {"kind": "Pod", "metadata": {"name": "test", "annotations": {"helm.sh/hook": "test"}, "labels": {"t": "1"}}}
    world = World(ready("web-1", "ingress"), ready("store-1", "store"), become=running)
    lab = Given(world, hook, found=web(), subject=Subject("gati", backs=("Deployment/store",)))
    its = cast("Any", SimpleNamespace(namespace="shop"))
    ways = module._ways(lab, its, {"upstream": "10.0.2.1", "stranger": "10.0.2.2"}, "watcher")
    assert len({str(one) for one in ways}) == len(ways)
    opened = {str(one) for one in ways if one.open}
    assert {"web-1 reaches the upstream", "watcher reaches the metrics", "peer reaches the ingress"} <= opened
    closed = {str(one) for one in ways if not one.open}
    assert {"stranger does not reach the ingress", "odd does not reach route-manager"} <= closed
    assert "peer does not reach the metrics" in closed
    assert not [one for one in ways if "web-1" in str(one) and one.what in ("the ingress", "the metrics")]
    odd = world.get("Pod", "odd", "shop") or {}
    assert odd["metadata"]["labels"] == {"app.kubernetes.io/name": "gati", "app.kubernetes.io/component": "other"}


def test_a_pod_beside_prometheus_goes_with_the_scenario() -> None:
    lab = Given(World(become=running))
    with module._monitor(lab, "shop") as name:
        assert lab.world.get("Pod", name) is not None
    assert lab.world.done == ["create Pod shop", "delete Pod shop"]
