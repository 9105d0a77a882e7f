"""Ports by name, the Service as a way in from outside, and the rollout that follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.chart.manifests import read_manifests
from tests.render.everything import EVERYTHING, merged
from tests.render.figures import INGRESS, ROUTE_MANAGER, at
from tests.render.harness import Documents, container, environment, pod, render, render_error, render_text
from tests.render.notes import notes
from tests.render.test_upgrade_safety import published  # noqa: F401 - a fixture
from tests.render.upgrade import refusals

COMPONENTS = {"ingress": INGRESS, "routeManager": ROUTE_MANAGER}
CASES = [{}, EVERYTHING, {"ingress": {"prometheus": {"port": 9102}}}, {"routeManager": {"tls": {"enabled": True}}}]


def names(docs: Documents, name: str) -> set[str]:
    return {entry["name"] for entry in container(docs.one("Deployment", name))["ports"]}


@pytest.mark.parametrize("values", CASES, ids=["default", "everything", "management", "grpcs"])
def test_services_and_policies_name_ports_that_the_containers_have(values: dict[str, Any]) -> None:
    docs = render(merged(values, {"networkPolicy": {"enabled": True}}))
    for service in docs.all("Service"):
        owner = service["metadata"]["name"].removesuffix("-headless")
        for entry in service["spec"]["ports"]:
            assert entry["targetPort"] in names(docs, owner), "a number leads to pods that do not listen there yet"
    every = names(docs, INGRESS) | names(docs, ROUTE_MANAGER)
    for policy in docs.all("NetworkPolicy"):
        for rule in [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]:
            for entry in rule.get("ports", []):
                assert entry["port"] == 53 or entry["port"] in every


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"ingress": {"service": {"targetPort": 9090}}}),
        ({}, {"tls": {"enabled": True}}),
        ({"tls": {"enabled": True}}, {"tls": {"enabled": True, "targetPort": 9443}}),
        ({}, {"routeManager": {"service": {"targetPort": 6000}}}),
        ({}, {"routeManager": {"tls": {"enabled": True}}}),
    ],
)
def test_every_port_that_was_offered_leads_to_old_and_new_pods(before: dict[str, Any], after: dict[str, Any]) -> None:
    """A client of before finds its port at the pods of both revisions, at every moment of the upgrade."""
    old, new = render(before), render(after)
    for name in COMPONENTS.values():
        offered = {entry["port"] for entry in old.one("Service", name)["spec"]["ports"]}
        after_it = {entry["port"]: entry["targetPort"] for entry in new.one("Service", name)["spec"]["ports"]}
        assert offered <= set(after_it)
        for port in offered:
            assert after_it[port] in names(old, name) & names(new, name)


def test_the_pods_of_the_published_versions_have_the_names(published: Path) -> None:  # noqa: F811
    """What an upgrade from them meets: the new Service, before any new pod is there."""
    for values in ({}, {"tls": {"enabled": True, "secretName": "cert"}}, {"ingress": {"prometheus": {"port": 9102}}}):
        old, new = render(values, chart=published), render(values)
        for name in COMPONENTS.values():
            targets = {entry["targetPort"] for entry in new.one("Service", name)["spec"]["ports"]}
            assert targets <= names(old, name)


@pytest.mark.parametrize("component", COMPONENTS)
class TestFrontDoor:
    def service(self, component: str, **service: Any) -> dict[str, Any]:
        spec: dict[str, Any] = render({component: {"service": service}}).one("Service", COMPONENTS[component])["spec"]
        return spec

    def test_nothing_of_it_by_default(self, component: str) -> None:
        assert set(self.service(component)) == {"type", "selector", "ports"}

    def test_a_load_balancer_as_asked_for(self, component: str) -> None:
        asked = {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "loadBalancerClass": "example.com/internal",
            "loadBalancerSourceRanges": ["192.0.2.0/24", "2001:db8::/32"],
        }
        assert self.service(component, **asked).items() >= asked.items()

    @pytest.mark.parametrize("network", ["10.0.0.0/33", "300.0.0.0/8", "10.0.0/8", "10.0.0.0", "::/129"])
    def test_networks_that_are_none(self, component: str, network: str) -> None:
        service = {"type": "LoadBalancer", "loadBalancerSourceRanges": [network]}
        message = render_error({component: {"service": service}})
        assert f"/{component}/service/loadBalancerSourceRanges/0" in message

    def test_a_port_on_every_node(self, component: str) -> None:
        (entry,) = self.service(component, type="NodePort", nodePort=30080)["ports"]
        assert entry["nodePort"] == 30080

    def test_a_client_kept_at_one_pod(self, component: str) -> None:
        spec = self.service(component, sessionAffinity="ClientIP", sessionAffinityTimeoutSeconds=60)
        assert spec["sessionAffinity"] == "ClientIP"
        assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 60}}

    @pytest.mark.parametrize(
        ("policy", "pause", "grace"), [("Cluster", 15, 30), ("Local", 45, 60), ("", 15, 30)], ids=str
    )
    def test_behind_local_traffic_the_balancers_check_notices_first(
        self, component: str, policy: str, pause: int, grace: int
    ) -> None:
        service = {"type": "LoadBalancer", "externalTrafficPolicy": policy}
        workload = render({component: {"service": service}}).one("Deployment", COMPONENTS[component])
        assert at(container(workload), "lifecycle", "preStop", "sleep", "seconds") == pause
        assert pod(workload)["terminationGracePeriodSeconds"] == grace

    def test_a_longer_pause_of_ones_own_stays(self, component: str) -> None:
        service = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckSeconds": 20}
        values = {component: {"service": service}, "shutdown": {"preStopSeconds": 25}}
        workload = render(values).one("Deployment", COMPONENTS[component])
        assert at(container(workload), "lifecycle", "preStop", "sleep", "seconds") == 25
        assert pod(workload)["terminationGracePeriodSeconds"] == 30

    def test_the_rollout_comes_from_values(self, component: str) -> None:
        strategy = {"rollingUpdate": {"maxUnavailable": "10%", "maxSurge": 3}}
        values = {component: {"minReadySeconds": 7, "strategy": strategy}}
        spec = render(values).one("Deployment", COMPONENTS[component])["spec"]
        assert spec["minReadySeconds"] == 7
        assert spec["strategy"] == {"type": "RollingUpdate", **strategy}

    def test_recreate_says_nothing_of_a_rolling_update(self, component: str) -> None:
        docs = render({component: {"strategy": {"type": "Recreate"}}})
        assert docs.one("Deployment", COMPONENTS[component])["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("kind", ["LoadBalancer", "NodePort"])
def test_the_port_of_management_is_not_opened_to_the_outside(kind: str) -> None:
    monitor = {"prometheusOperator": {"serviceMonitor": {"enabled": True}}, "networkPolicy": {"enabled": True}}
    docs = render({**monitor, "ingress": {"service": {"type": kind}, "prometheus": {"port": 9102}}})
    assert [entry["name"] for entry in docs.one("Service", INGRESS)["spec"]["ports"]] == ["http"]
    assert names(docs, INGRESS) == {"http", "metrics"}
    (endpoint,) = docs.one("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["targetPort"] == 9102
    opened = [rule["ports"] for rule in docs.one("NetworkPolicy", INGRESS)["spec"]["ingress"]]
    assert opened == [[{"port": name, "protocol": "TCP"}] for name in ("http", "metrics")]


def test_the_port_of_management_is_there_whoever_scrapes_it() -> None:
    docs = render({"ingress": {"prometheus": {"port": 9102, "scrape": False}}})
    assert names(docs, INGRESS) == {"http", "metrics"}
    assert environment(docs.one("Deployment", INGRESS))["GATI_METRICS_PORT"] == "9102"


def test_a_headless_service_is_asked_for_the_containers_port() -> None:
    values = {"routeManager": {"service": {"headless": True, "port": 7000, "targetPort": 6000}}}
    address = render(values).one("ConfigMap", f"{INGRESS}-config")["data"]["ROUTE_MANAGER_ADDR"]
    assert address == "dns:///route-manager-headless.gati.svc:6000"


def test_a_headless_service_takes_no_front_door() -> None:
    service = {"headless": True, "type": "LoadBalancer", "externalTrafficPolicy": "Local", "nodePort": 30051}
    spec = render({"routeManager": {"service": service}}).one("Service", f"{ROUTE_MANAGER}-headless")["spec"]
    assert (spec["type"], spec["clusterIP"]) == ("ClusterIP", "None")
    assert "externalTrafficPolicy" not in spec
    assert "nodePort" not in spec["ports"][0]


def test_notes_say_where_a_front_door_is() -> None:
    for component, name in COMPONENTS.items():
        text = notes({component: {"service": {"type": "LoadBalancer"}}})
        assert f"get service {name}" in text
        assert "LoadBalancer" in text


@pytest.mark.parametrize("values", CASES[:2])
def test_a_change_of_type_replaces_no_object(values: dict[str, Any]) -> None:
    door = merged(values, {"ingress": {"service": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}}})
    old, new = read_manifests(render_text(values)), read_manifests(render_text(door))
    assert refusals(old, new) == []
    assert refusals(new, old) == []
