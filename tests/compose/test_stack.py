"""The stack of a person: one ingress, one route-manager, both ports on this machine."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from docker.models.containers import Container

from scripts.containers.stack import Stack
from scripts.core.command import Argv, Result, Runner
from scripts.core.errors import EngineError
from tests.compose.conftest import MakeStack, running
from tests.contract import generate
from tests.services import wait_for

ROUTES = "routes: [{host: '*', upstream: 'http://first:8080'}]"


def says(container: Container, words: bytes) -> bool:
    return words in container.logs()


def routed(stack: Stack, upstream: str) -> bool:
    """Whether requests are answered by way of `upstream`."""
    return bool(answer(stack).json().get("upstream") == upstream)


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("routes")
    folder.chmod(0o755)
    (folder / "routes.yaml").write_text(ROUTES)
    return folder


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, routes: Path) -> Iterator[Stack]:
    with running(make_stack("single", routes=routes), "1") as started:
        yield started


def answer(stack: Stack, path: str = "/") -> requests.Response:
    return requests.get(stack.url + path, timeout=10)


def left_of(stack: Stack) -> list[object]:
    """What the engine still has of the stack."""
    label = {"label": f"com.docker.compose.project={stack.project}"}
    kinds = stack.engine.networks, stack.engine.volumes
    return [*stack.containers(), *(item for kind in kinds for item in kind.list(filters=label))]


def test_http_goes_through_to_grpc(stack: Stack) -> None:
    body = answer(stack, "/some/path").json()
    (ingress,), (route_manager,) = stack.containers("ingress"), stack.containers("route-manager")
    assert body == {
        "upstream": "http://first:8080",
        "route": {"host": "*", "path": "/"},
        "version": "1",
        "pod": ingress.short_id,
        "routeManager": {"version": "1", "pod": route_manager.short_id},
    }


def test_health_and_metrics(stack: Stack) -> None:
    assert answer(stack, "/healthz").json() == {"status": "ready"}
    assert answer(stack, "/livez").json() == {"status": "alive"}
    assert 'gati_ingress_requests_total{code="200",method="GET"}' in answer(stack, "/metrics").text
    for container in stack.containers():
        assert container.attrs["State"]["Health"]["Status"] == "healthy"


def test_grpc_is_published_and_keeps_the_contract(
    stack: Stack, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(generate(root, tmp_path)))
    import route_manager_pb2
    import route_manager_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{stack.work.config.grpc_port}") as channel:
        request = route_manager_pb2.ResolveRequest(host="a.example.com", path="/x")
        resolved = route_manager_pb2_grpc.RouteManagerStub(channel).Resolve(request, timeout=10)
    assert resolved.upstream == "http://first:8080"
    for name in ("route_manager_pb2", "route_manager_pb2_grpc"):
        sys.modules.pop(name)


def test_containers_are_hardened_and_limited(stack: Stack) -> None:
    for container in stack.containers():
        host = container.attrs["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False)
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert host["Memory"] > 0
        assert host["NanoCpus"] > 0
        assert container.attrs["Config"]["User"] == "65532:65532"
        assert list(container.attrs["NetworkSettings"]["Networks"]) == [f"{stack.project}_gati"]


def test_routes_are_followed_and_a_bad_file_refused(stack: Stack, routes: Path) -> None:
    (routes / "routes.yaml").write_text("routes: [{host: '*', upstream: 'http://second:8080'}]")
    wait_for(lambda: answer(stack).json()["upstream"] == "http://second:8080", "the new routes")
    (routes / "routes.yaml").write_text("routes: [{hots: '*'}]")
    (route_manager,) = stack.containers("route-manager")
    wait_for(lambda: b"routes[0]: unknown key hots" in route_manager.logs(), "the refusal")
    assert answer(stack).json()["upstream"] == "http://second:8080"
    (routes / "routes.yaml").write_text(ROUTES)
    wait_for(lambda: answer(stack).json()["upstream"] == "http://first:8080", "the old routes")


def test_no_routes_file_is_too_large_for_the_memory(stack: Stack, routes: Path) -> None:
    """Nothing that is refused, and nothing that is taken, kills route-manager, whose limit is that of the chart."""
    (route_manager,) = stack.containers("route-manager")
    route_manager.reload()
    began = route_manager.attrs["State"]["StartedAt"]
    large = "routes:\n" + "".join(f"- {{host: h{n}, upstream: 'http://large:1'}}\n" for n in range(100_000))
    assert len(large) > 3_700_000
    for text, said in (
        (large, b"larger than 1048576 bytes"),
        ("routes: [" + "a," * 500_000 + "]", b"more than 209715 keys and values"),
        ("[" * 1_000_000, b"nested deeper than"),
    ):
        (routes / "routes.yaml").write_text(text)
        wait_for(partial(says, route_manager, said), "the refusal", route_manager.logs, seconds=60)
        wait_for(partial(routed, stack, "http://first:8080"), "the routes in force")  # it may be busy with its reading
    for name in ("full", "again"):  # beside those in force
        upstream = f"http://{name}:8080"
        lines = "".join(f"- {{host: h{n}, upstream: 'http://a'}}\n" for n in range(24_000))
        (routes / "routes.yaml").write_text(f"routes:\n- {{upstream: '{upstream}'}}\n{lines}")
        wait_for(partial(routed, stack, upstream), "the new routes", seconds=60)
    (routes / "routes.yaml").write_text(ROUTES)
    wait_for(partial(routed, stack, "http://first:8080"), "the old routes")
    route_manager.reload()
    assert (route_manager.attrs["State"]["StartedAt"], route_manager.attrs["RestartCount"]) == (began, 0)


def test_a_killed_route_manager_turns_ingress_unready_and_back(stack: Stack) -> None:
    (route_manager,) = stack.containers("route-manager")
    wait_for(lambda: answer(stack, "/healthz").status_code == 200, "readiness")
    route_manager.kill()
    begin = time.monotonic()
    wait_for(lambda: answer(stack, "/healthz").status_code == 503, "unreadiness", seconds=10)
    assert time.monotonic() - begin > 1
    assert answer(stack, "/livez").status_code == 200
    assert answer(stack).status_code in (503, 504)
    route_manager.start()
    wait_for(lambda: answer(stack, "/healthz").status_code == 200, "readiness", seconds=30)
    assert answer(stack).status_code == 200


def test_a_service_that_ends_is_started_again(stack: Stack) -> None:
    (route_manager,) = stack.containers("route-manager")
    ended = route_manager.exec_run(["python3", "-c", "import os, signal; os.kill(1, signal.SIGTERM)"])
    assert ended.exit_code == 0

    def restarted() -> bool:
        route_manager.reload()
        return route_manager.attrs["RestartCount"] == 1 and route_manager.status == "running"

    wait_for(restarted, "the restart", seconds=30)
    begin = time.monotonic()
    wait_for(lambda: answer(stack).status_code == 200, "an answer", seconds=30)
    assert time.monotonic() - begin < 10


def test_stopped_ingress_exits_0_and_says_so(stack: Stack) -> None:
    (ingress,) = stack.containers("ingress")
    ingress.stop(timeout=20)
    ingress.reload()
    assert ingress.attrs["State"]["ExitCode"] == 0
    log = ingress.logs().decode()
    assert "told to stop" in log
    assert log.rstrip().endswith("stopped")
    stack.up("1")
    assert answer(stack).status_code == 200


def test_bad_configuration_is_refused_with_its_cause_and_leaves_nothing(make_stack: MakeStack, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "routes.yaml").write_text("routes:\n  - {host: 3, upstream: 'http://a'}\n")
    bad = make_stack("bad", routes=tmp_path)
    with pytest.raises(EngineError) as refusal, running(bad, "1"):
        pytest.fail("a stack with bad routes got healthy")
    assert "/etc/gati/routes/routes.yaml: routes[0].host: expected text, found 3" in str(refusal.value)
    assert left_of(bad) == []


def test_a_start_that_is_interrupted_leaves_nothing(make_stack: MakeStack) -> None:
    class Interrupted(Runner):
        """Ctrl-C once the containers run, and before anybody is told so."""

        def run(self, argv: Argv, **options: Any) -> Result:
            result = super().run(argv, **options)
            if "up" in argv:
                assert interrupted.containers("ingress")
                raise KeyboardInterrupt
            return result

    made = make_stack("interrupted")
    interrupted = dataclasses.replace(made, work=dataclasses.replace(made.work, runner=Interrupted()))
    with pytest.raises(KeyboardInterrupt):
        interrupted.up("1")
    assert left_of(interrupted) == []


def test_prometheus_scrapes_every_replica_and_down_leaves_nothing(make_stack: MakeStack) -> None:
    stack = make_stack("monitoring", replicas=2, monitoring=True)
    with running(stack, "1"):
        names = {container.labels["com.docker.compose.service"] for container in stack.containers()}
        assert names == {"ingress", "route-manager", "balancer", "prometheus"}
        for _ in range(5):
            assert answer(stack).status_code == 200
        url = f"http://127.0.0.1:{stack.work.config.prometheus_port}/api/v1/query"

        def query(text: str) -> list[float]:
            result = requests.get(url, params={"query": text}, timeout=10).json()["data"]["result"]
            return [float(series["value"][1]) for series in result]

        wait_for(lambda: query("up") == [1, 1], "both replicas", seconds=30)
        wait_for(lambda: query('sum(gati_ingress_requests_total{code="200"})') == [5], "the requests", seconds=30)
        assert query("gati_ingress_route_manager_up") == [1, 1]
    assert left_of(stack) == []
    stack.down()  # nothing to do is no error
