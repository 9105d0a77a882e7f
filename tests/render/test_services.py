"""Services: ports, type and what they select."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.figures import INGRESS, ROUTE_MANAGER, service_port
from tests.render.harness import render

VARIANTS: list[dict[str, Any]] = [
    {},
    {"routeManager": {"service": {"headless": True}}},
    {"ingress": {"name": "edge"}, "routeManager": {"name": "routes"}},
    {"commonLabels": {"team": "a"}, "podLabels": {"tier": "b"}},
    {"tls": {"enabled": True, "secretName": "cert"}},
]


@pytest.mark.requirement("4.5")
@pytest.mark.parametrize("values", VARIANTS)
@pytest.mark.parametrize("release", ["gati", "a-second-one"])
def test_each_selects_the_pods_of_exactly_one_deployment(values: dict[str, Any], release: str) -> None:
    docs = render(values, release=release)
    for service in docs.all("Service"):
        selector = service["spec"]["selector"]
        matching = [
            doc
            for doc in docs.all("Deployment")
            if selector.items() <= doc["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert len(matching) == 1, service["metadata"]["name"]
        assert selector == matching[0]["spec"]["selector"]["matchLabels"]
        assert service["metadata"]["name"].startswith(matching[0]["metadata"]["name"])


@pytest.mark.requirement("4.5")
def test_two_releases_select_apart() -> None:
    first, second = (render(release=name).one("Service", INGRESS)["spec"]["selector"] for name in ("a", "b"))
    assert first != second


@pytest.mark.requirement("4.1")
def test_ports_come_from_values() -> None:
    docs = render({"ingress": {"service": {"port": 8000, "targetPort": 9000}}})
    assert service_port(INGRESS)(docs) == (8000, 9000)


@pytest.mark.requirement("4.2", "4.3")
@pytest.mark.parametrize("name", [INGRESS, ROUTE_MANAGER])
def test_type_is_cluster_ip_and_not_headless(name: str) -> None:
    spec = render().one("Service", name)["spec"]
    assert spec["type"] == "ClusterIP"
    assert "clusterIP" not in spec, "the API server owns the address"


def test_dual_stack_is_opt_in() -> None:
    for service in render().all("Service"):
        assert not {"ipFamilies", "ipFamilyPolicy"} & set(service["spec"])
    asked = {"networking": {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]}}
    for service in render(asked).all("Service"):
        assert service["spec"]["ipFamilyPolicy"] == "PreferDualStack"
        assert service["spec"]["ipFamilies"] == ["IPv6", "IPv4"]


@pytest.mark.parametrize("component", ["ingress", "routeManager"])
def test_annotations_are_the_components_own(component: str) -> None:
    docs = render({component: {"service": {"annotations": {"a/b": "c"}}}})
    annotated = [doc for doc in docs.all("Service") if doc["metadata"].get("annotations", {}).get("a/b") == "c"]
    assert len(annotated) == 1
