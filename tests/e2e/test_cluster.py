"""The test cluster itself: three zones, names that resolve, Pod Security enforced, gone when told to stop."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster.api import Api
from scripts.cluster.kind import ZONE_LABEL, ZONES, KindCluster
from scripts.core.command import Runner
from scripts.core.errors import ApiError
from scripts.toolchain.crds import CRD_SETS, crd_files
from scripts.toolchain.finder import Toolchain
from tests.e2e.charts import PAUSE, RESTRICTED, new_namespace

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def restricted(api: Api, request: pytest.FixtureRequest) -> Iterator[str]:
    name = "restricted-" + re.sub(r"[^a-z0-9]+", "-", request.node.name)[:40].strip("-")
    with new_namespace(api, name, labels={"pod-security.kubernetes.io/enforce": "restricted"}) as namespace:
        yield namespace


def pod(name: str, *, security: dict[str, Any] | None, **spec: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "main", "image": PAUSE, "imagePullPolicy": "Never"}
    if security is not None:
        container["securityContext"] = security
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
    }


def running(api: Api, name: str, namespace: str) -> dict[str, Any]:
    def probe() -> dict[str, Any] | None:
        found = api.get("Pod", name, namespace)
        return found if found and found["status"].get("phase") == "Running" else None

    return api.wait(probe, what=f"pod {name} to run", deadline=60)


def test_every_zone_has_one_ready_worker(api: Api) -> None:
    nodes = api.list("Node")
    zones = [node["metadata"]["labels"].get(ZONE_LABEL) for node in nodes]
    assert sorted(zone for zone in zones if zone) == sorted(ZONES)
    assert len(nodes) == len(ZONES) + 1
    for node in nodes:
        conditions = {condition["type"]: condition["status"] for condition in node["status"]["conditions"]}
        assert conditions["Ready"] == "True", node["metadata"]["name"]


def test_it_runs_the_kubernetes_that_the_image_says(made: KindCluster, api: Api) -> None:
    assert api.version == made.image.kubernetes


def test_the_users_kubeconfig_is_left_alone(made: KindCluster) -> None:
    users = Path.home() / ".kube" / "config"
    assert made.kubeconfig != users
    assert not users.exists() or made.name not in users.read_text(encoding="utf-8")
    assert made.kubeconfig.stat().st_mode & 0o077 == 0


def test_names_of_services_resolve_from_every_node(made: KindCluster, api: Api, runner: Runner) -> None:
    """A query sent by each node to the cluster's DNS service: its pods, their network and kube-proxy all take part."""
    service = api.get("Service", "kube-dns", "kube-system")
    target = api.get("Service", "kubernetes", "default")
    assert service is not None
    assert target is not None
    labels = ("kubernetes", "default", "svc", "cluster", "local")
    question = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0\0\1\0\1"
    query = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0" + question
    escaped = "".join(f"\\x{byte:02x}" for byte in query)
    script = (
        f"exec 3<>/dev/udp/{service['spec']['clusterIP']}/53; "
        f"printf '{escaped}' | dd bs=512 iflag=fullblock status=none >&3; "  # one datagram
        "timeout 5 dd bs=512 count=1 status=none <&3 | od -An -v -tu1"
    )
    for node in made.nodes:
        answer = runner.run(("docker", "exec", node.name, "bash", "-c", script)).stdout.split()
        assert ".".join(answer[-4:]) == target["spec"]["clusterIP"], node.name


def test_pods_of_different_zones_reach_each_other(made: KindCluster, api: Api, runner: Runner, restricted: str) -> None:
    worker, other = [node for node in made.nodes if node.worker][:2]
    api.create(pod("here", security=RESTRICTED, nodeName=worker.name), restricted)
    address = running(api, "here", restricted)["status"]["podIP"]

    # The pod listens to nothing: a refused connection says that packets go there and back, a lost one times out.
    script = f"exec 3<>/dev/tcp/{address}/9"
    result = runner.run(("docker", "exec", other.name, "timeout", "5", "bash", "-c", script), check=False)
    assert "Connection refused" in result.stderr


def test_what_is_sent_to_a_pod_that_is_gone_does_not_leave_the_cluster(made: KindCluster, runner: Runner) -> None:
    for node in made.nodes:
        unused = node.pod_subnet.rpartition(".")[0] + ".250"
        route = runner.run(("docker", "exec", node.name, "ip", "route", "get", unused), check=False)
        assert "No route to host" in route.stderr + route.stdout, route


def test_a_node_port_is_reached_from_outside(made: KindCluster, api: Api, runner: Runner, restricted: str) -> None:
    """The API server's own endpoints behind a NodePort: nothing but the path to it is under test."""
    import socket

    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "outside", "labels": {"kubernetes.io/service-name": "outside"}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
        "endpoints": [{"addresses": [node.address]} for node in made.nodes if not node.worker],
    }
    ports = [{"name": "https", "port": 443, "targetPort": 6443}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "outside"},
        "spec": {"type": "NodePort", "ports": ports},
    }
    port = api.create(service, restricted)["spec"]["ports"][0]["nodePort"]
    api.create(endpoints, restricted)
    address = next(node.address for node in made.nodes if node.worker)

    def connected() -> bool | None:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            return None
        return True

    assert api.wait(connected, what="the node port to answer", deadline=20)


def test_pod_security_is_enforced(api: Api, restricted: str) -> None:
    with pytest.raises(ApiError, match='violates PodSecurity "restricted') as refusal:
        api.create(pod("plain", security=None), restricted)
    assert refusal.value.status == 403

    api.create(pod("modest", security=RESTRICTED), restricted)
    running(api, "modest", restricted)


def test_where_it_is_not_enforced_the_same_pod_is_admitted(api: Api) -> None:
    with new_namespace(api, "unrestricted") as namespace:
        api.create(pod("plain", security=None), namespace)


@pytest.mark.parametrize("name", CRD_SETS)
def test_the_operators_resources_are_known(api: Api, toolchain: Toolchain, name: str) -> None:
    import yaml

    known = {(kind.group, kind.name) for kind in api.kinds(refresh=True)}
    for file in crd_files(name, toolchain):
        spec = yaml.load(file.read_text(encoding="utf-8"), yaml.BaseLoader)["spec"]
        assert (spec["group"], spec["names"]["kind"]) in known


def test_a_watch_sees_a_pod_come_and_go(api: Api, restricted: str) -> None:
    with api.watch(("Pod",), restricted) as watch:
        api.create(pod("brief", security=RESTRICTED), restricted)
        running(api, "brief", restricted)
        api.delete("Pod", "brief", restricted, wait=30, grace=0)
        api.wait(lambda: watch.changes()[-1].type == "DELETED", what="the deletion to be seen", deadline=5)
        types = [change.type for change in watch.changes("Pod")]
        times = [change.at for change in watch.changes()]
    assert types[0] == "ADDED"
    assert types[-1] == "DELETED"
    assert set(types[1:-1]) == {"MODIFIED"}
    assert times == sorted(times)


def test_a_drain_respects_a_budget(made: KindCluster, api: Api, restricted: str) -> None:
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "keep"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "kept"}}},
    }
    api.create(budget, restricted)
    api.create(pod("kept", security=RESTRICTED, nodeName=made.nodes[1].name), restricted)
    running(api, "kept", restricted)

    def counted() -> bool | None:
        status = (api.get("PodDisruptionBudget", "keep", restricted) or {}).get("status", {})
        return True if status.get("currentHealthy") == 1 else None

    api.wait(counted, what="the budget to count the pod", deadline=30)
    assert api.evict("kept", restricted) is False

    api.delete("PodDisruptionBudget", "keep", restricted, wait=10)
    assert api.evict("kept", restricted) is True


SCRIPT = """
import sys, time
from pathlib import Path
from scripts.cluster.kind import cluster
from scripts.workspace import open_workspace
from tests.e2e.charts import PAUSE, RESTRICTED, new_namespace

say = lambda text: print(text, flush=True)
with cluster(open_workspace(Path(sys.argv[1]), say=say, dist=Path(sys.argv[2]))):
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_it_is_gone_after_a_signal_in_the_middle_of_its_creation(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(ROOT), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        name = next(match[1] for line in process.stdout if (match := re.search(r"creating cluster (\S+):", line)))
        try:
            end = time.monotonic() + 60
            while len(containers(name)) < 2:
                assert time.monotonic() < end
                assert process.poll() is None
                time.sleep(0.2)
            process.send_signal(number)
            time.sleep(0.3)
            process.send_signal(number)  # an impatient second one does not stop the clean-up
            process.wait(timeout=90)
            assert containers(name) == []
            assert process.returncode != 0
            assert list(tmp_path.rglob("*.kubeconfig")) == []
        finally:
            process.kill()


def containers(name: str) -> list[str]:
    """The containers of a kind cluster, running or not."""
    listing = subprocess.run(
        ["docker", "ps", "--all", "--format", "{{json .Names}}", "--filter", f"label=io.x-k8s.kind.cluster={name}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return [json.loads(line) for line in listing.stdout.splitlines()]
