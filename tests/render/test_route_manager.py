"""Route-manager: its Deployment, its Services, and that it can be off."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.figures import INGRESS, ROUTE_MANAGER, config, probe
from tests.render.harness import Documents, container, render

OFF: dict[str, Any] = {"routeManager": {"enabled": False}}
HEADLESS: dict[str, Any] = {"routeManager": {"service": {"headless": True}}}


@pytest.mark.requirement("3.1")
def test_runs_the_configured_image() -> None:
    docs = render({"routeManager": {"image": {"repository": "app", "tag": "9"}}})
    assert container(docs.one("Deployment", ROUTE_MANAGER))["image"] == "app:9"


@pytest.mark.requirement("3.3")
@pytest.mark.parametrize("replicas", [0, 1, 4])
def test_replicas_come_from_values(replicas: int) -> None:
    docs = render({"routeManager": {"replicaCount": replicas}})
    assert docs.one("Deployment", ROUTE_MANAGER)["spec"]["replicas"] == replicas


@pytest.mark.requirement("3.4")
@pytest.mark.parametrize("which", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_probes_are_native_grpc(which: str) -> None:
    docs = render({"routeManager": {"service": {"targetPort": 6000}}})
    found = container(docs.one("Deployment", ROUTE_MANAGER))[which]
    assert not {"exec", "httpGet", "tcpSocket"} & set(found)
    assert probe(ROUTE_MANAGER, which, "grpc", "port")(docs) == 6000


@pytest.mark.requirement("3.5", "4.4")
def test_the_switch_removes_every_object() -> None:
    kept = {(doc["kind"], doc["metadata"]["name"]) for doc in render(OFF)}
    assert not [name for _, name in kept if ROUTE_MANAGER in name]
    everything = {(doc["kind"], doc["metadata"]["name"]) for doc in render()}
    assert everything - kept == {pair for pair in everything if ROUTE_MANAGER in pair[1]}


@pytest.mark.requirement("3.5", "5.2")
def test_without_it_the_ingress_takes_an_address_of_its_own() -> None:
    docs = render({**OFF, "ingress": {"config": {"ROUTE_MANAGER_ADDR": "routes.example:443"}}})
    assert config("ROUTE_MANAGER_ADDR")(docs) == "routes.example:443"


def headless(docs: Documents) -> list[str]:
    return [doc["metadata"]["name"] for doc in docs.all("Service") if doc["spec"].get("clusterIP") == "None"]


@pytest.mark.requirement("4.4")
def test_headless_service_is_an_option() -> None:
    assert headless(render()) == []
    (name,) = headless(render(HEADLESS))
    service = render(HEADLESS).one("Service", name)
    assert name.startswith(ROUTE_MANAGER)
    assert service["spec"]["ports"][0]["port"] == 50051


@pytest.mark.requirement("4.4", "5.2")
def test_the_ingress_uses_the_headless_service() -> None:
    (name,) = headless(render(HEADLESS))
    assert config("ROUTE_MANAGER_ADDR")(render(HEADLESS)) == f"dns:///{name}.gati.svc:50051"


@pytest.mark.requirement("4.3", "5.2")
def test_the_address_follows_port_name_and_namespace() -> None:
    docs = render({"global": {"namespace": "other"}, "routeManager": {"name": "rm", "service": {"port": 7000}}})
    assert docs.one("Service", "rm")["spec"]["ports"][0]["port"] == 7000
    assert config("ROUTE_MANAGER_ADDR")(docs) == "rm.other.svc:7000"


@pytest.mark.requirement("4.3")
def test_the_port_is_known_to_be_grpc() -> None:
    (port,) = render().one("Service", ROUTE_MANAGER)["spec"]["ports"]
    assert port["name"] == "grpc" or port.get("appProtocol") in ("grpc", "kubernetes.io/h2c")
    assert INGRESS not in str(port)
