"""The load asks the real Service: what is offered outside is what the Service is, and follows it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from scripts.cluster.api import Api
from scripts.core.errors import ClusterError
from scripts.e2e import outside
from scripts.e2e.outside import Outside


def service(target: Any = 8080, *, app: str = "web", port: int = 80, name: str = "http") -> dict[str, Any]:
    ports = [{"name": name, "port": port, "targetPort": target, "protocol": "TCP"}, {"name": "more", "port": 9}]
    spec = {"type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": {"app": app}, "ports": ports}
    return {"metadata": {"uid": "first"}, "spec": spec}


class Cluster:
    """A Service `web`, what was applied, and where each Service leads."""

    def __init__(self) -> None:
        self.real: dict[str, Any] | None = service()
        self.applied: list[dict[str, Any]] = []
        self.places: dict[str, list[int]] = {"web": [8080], "gati-e2e-web": [8080]}

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        assert kind == "Service"
        if name.startswith("gati-e2e-web"):
            return {"spec": {**self.applied[-1], "ports": [{"nodePort": 30_001}]}} if self.applied else None
        return self.real

    def apply(self, document: dict[str, Any], namespace: str) -> dict[str, Any]:
        self.applied.append(document["spec"])
        first = {"nodePort": 30_001, **document["spec"]["ports"][0]}
        return {"spec": {**document["spec"], "ports": [first]}}

    def list(self, kind: str, namespace: str, *, labels: str) -> tuple[dict[str, Any], ...]:
        name = labels.partition("=")[2]
        ports = [{"name": "http", "port": port} for port in self.places[name]]
        return ({"endpoints": [{"addresses": ["10.1.0.1"]}], "ports": [*ports, {"name": "more", "port": 9}]},)

    def observe(self, look: Any, good: Any, *, what: str, deadline: float, told: Any) -> Any:
        if not good(seen := look()):
            raise ClusterError(f"waited for {what}", found=told(seen))
        return seen


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def twin(cluster: Cluster) -> Outside:
    made = Outside(cast(Api, cluster), "space", "web")
    made.follow()
    return made


def test_it_is_the_service_on_every_node(cluster: Cluster, twin: Outside) -> None:
    (spec,) = cluster.applied
    assert (spec["type"], spec["selector"]) == ("NodePort", {"app": "web"})
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    assert (twin.node_port, twin.scheme) == (30_001, "http")


def test_nothing_is_done_while_the_service_stays(cluster: Cluster, twin: Outside) -> None:
    twin.follow()
    assert len(cluster.applied) == 1


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        (service(8081), {"targetPort": 8081}),
        (service("http"), {"targetPort": "http"}),
        (service(8443, name="https"), {"targetPort": 8443}),
    ],
)
def test_it_follows_the_service_at_the_same_port_of_the_nodes(
    cluster: Cluster, twin: Outside, changed: dict[str, Any], shown: dict[str, Any]
) -> None:
    cluster.real = changed
    twin.follow()
    port = cluster.applied[-1]["ports"][0]
    assert shown.items() <= port.items()
    assert port["nodePort"] == twin.node_port == 30_001
    assert twin.scheme == changed["spec"]["ports"][0]["name"]
    assert [line.partition(" ")[2] for line in twin.asked] == [
        "web: 80 to 8080, 9 to None of app=web",
        f"web: {port['port']} to {port['targetPort']}, 9 to None of app=web",
    ]


def test_a_port_that_clients_know_and_the_service_no_longer_has_leads_to_nobody(
    cluster: Cluster, twin: Outside
) -> None:
    cluster.real = service(port=8000)
    twin.follow()
    assert cluster.applied[-1]["selector"] == outside._NOBODY
    cluster.real = service()
    twin.follow()
    assert cluster.applied[-1]["selector"] == {"app": "web"}


def test_who_finds_pods_on_its_own_node_alone_finds_no_others_from_outside(cluster: Cluster, twin: Outside) -> None:
    assert cluster.real is not None
    cluster.real["spec"]["internalTrafficPolicy"] = "Local"
    twin.follow()
    assert cluster.applied[-1]["externalTrafficPolicy"] == "Local"


def test_a_service_that_is_gone_leads_to_nobody(cluster: Cluster, twin: Outside) -> None:
    cluster.real = None
    twin.follow()
    assert cluster.applied[-1]["selector"] == outside._NOBODY


@pytest.mark.parametrize("headless", [False, True])
def test_a_service_that_is_made_anew_is_told_unless_it_has_no_address(
    cluster: Cluster, twin: Outside, headless: bool
) -> None:
    cluster.real = None
    twin.follow()
    cluster.real = {**service(), "metadata": {"uid": "second"}}
    if headless:
        cluster.real["spec"]["clusterIP"] = "None"
    twin.follow()
    assert [line.endswith(outside.ANEW) for line in twin.asked] == [False, False, not headless]
    cluster.real["metadata"]["uid"] = "third"
    twin.follow()
    assert twin.asked[-1].endswith(outside.ANEW) is not headless


def test_what_leads_elsewhere_than_the_service_is_told(cluster: Cluster, twin: Outside) -> None:
    assert twin.demand_same() == "1 places behind Service web"
    cluster.places["web"] = [8081]
    with pytest.raises(ClusterError, match="the load to ask what Service web asks"):
        twin.demand_same()


def test_a_second_offer_keeps_the_port_of_the_first(cluster: Cluster, twin: Outside) -> None:
    again = Outside(cast(Api, cluster), "space", "web")
    again.follow()
    assert cluster.applied[-1]["ports"][0]["nodePort"] == again.node_port == 30_001


def test_another_port_than_the_first_is_asked_by_name(cluster: Cluster) -> None:
    cluster.real = service()
    cluster.real["spec"]["ports"].append({"name": "https", "port": 443, "targetPort": "https", "protocol": "TCP"})
    twin = Outside(cast(Api, cluster), "space", "web", port="https")
    twin.follow()
    assert cluster.applied[-1]["ports"] == [{"name": "https", "port": 443, "targetPort": "https", "protocol": "TCP"}]
    assert twin.scheme == "https"
    assert twin.name != Outside(cast(Api, cluster), "space", "web", port="http").name  # both can be asked at a time


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}, "web: 80 to http of app=web"),
        ({"ports": [{"port": 53, "targetPort": 53, "protocol": "UDP"}]}, "web: 53 to 53 by UDP of nobody"),
        ({"type": "ExternalName", "externalName": "example.org"}, "web: another name for example.org"),
    ],
)
def test_a_service_is_told_in_a_line(spec: dict[str, Any], told: str) -> None:
    assert outside.describe("web", {"spec": spec}) == told
