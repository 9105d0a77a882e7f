"""Where pods go: nodeSelector, affinity, tolerations, and the spread over zones."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.figures import INGRESS, ROUTE_MANAGER, ZONES
from tests.render.harness import Document, pod, render

COMPONENTS = {"ingress": INGRESS, "routeManager": ROUTE_MANAGER}
NODE_AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "arch", "operator": "In", "values": ["a"]}]}]
        }
    }
}
OTHER_AFFINITY = {
    "podAntiAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {
                "weight": 1,
                "podAffinityTerm": {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"a": "b"}},
                },
            }
        ]
    }
}
TOLERATION = {"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}
OTHER_TOLERATION = {"key": "spot", "operator": "Equal", "value": "true"}


def pods(values: dict[str, Any] | None = None, **options: Any) -> dict[str, Document]:
    docs = render(values, **options)
    return {component: pod(docs.one("Deployment", name)) for component, name in COMPONENTS.items()}


@pytest.mark.requirement("8.1", "8.2", "8.3", "8.5")
@pytest.mark.parametrize(
    ("key", "value"),
    [("nodeSelector", {"disk": "ssd"}), ("affinity", NODE_AFFINITY), ("tolerations", [TOLERATION])],
)
def test_the_charts_own_reaches_every_pod(key: str, value: Any) -> None:
    for spec in pods({key: value}).values():
        assert spec[key] == value


@pytest.mark.requirement("8.1", "8.2", "8.3", "8.4")
@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize(
    ("key", "value"),
    [("nodeSelector", {"disk": "ssd"}), ("affinity", NODE_AFFINITY), ("tolerations", [TOLERATION])],
)
def test_a_components_own_reaches_it_alone(component: str, key: str, value: Any) -> None:
    found = pods({component: {key: value}})
    assert found.pop(component)[key] == value
    assert all(key not in spec for spec in found.values())


@pytest.mark.requirement("8.4")
@pytest.mark.parametrize("component", COMPONENTS)
def test_both_together(component: str) -> None:
    spec = pods(
        {
            "nodeSelector": {"disk": "hdd", "zone": "a"},
            "affinity": NODE_AFFINITY,
            "tolerations": [TOLERATION],
            component: {
                "nodeSelector": {"disk": "ssd"},
                "affinity": OTHER_AFFINITY,
                "tolerations": [OTHER_TOLERATION],
            },
        }
    )[component]
    assert spec["nodeSelector"] == {"disk": "ssd", "zone": "a"}
    assert spec["affinity"] == OTHER_AFFINITY
    assert spec["tolerations"] == [TOLERATION, OTHER_TOLERATION]


@pytest.mark.trap("empty-map")
@pytest.mark.requirement("8.5", "14.5")
def test_nothing_is_rendered_when_nothing_is_asked_for() -> None:
    for spec in pods().values():
        assert not {"nodeSelector", "affinity", "tolerations", "topologySpreadConstraints"} & set(spec)


@pytest.mark.requirement("14.1", "14.2", "14.3")
@pytest.mark.parametrize("component", COMPONENTS)
class TestZones:
    def test_anti_affinity_is_only_preferred(self, component: str) -> None:
        anti = pods(ZONES)[component]["affinity"]["podAntiAffinity"]
        assert set(anti) == {"preferredDuringSchedulingIgnoredDuringExecution"}

    def test_both_count_the_components_own_pods(self, component: str) -> None:
        selector = render(ZONES).one("Deployment", COMPONENTS[component])["spec"]["selector"]
        spec = pods(ZONES)[component]
        (term,) = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        (spread,) = spec["topologySpreadConstraints"]
        assert term["podAffinityTerm"]["labelSelector"] == selector
        assert spread["labelSelector"] == selector
        assert 1 <= term["weight"] <= 100

    def test_a_zone_that_is_down_stops_no_pod(self, component: str) -> None:
        (spread,) = pods(ZONES)[component]["topologySpreadConstraints"]
        assert spread["whenUnsatisfiable"] == "ScheduleAnyway"

    @pytest.mark.requirement("14.4")
    def test_the_zone_key_is_configurable(self, component: str) -> None:
        spec = pods({"multiZone": {"enabled": True, "zoneLabel": "example.com/rack"}})[component]
        (term,) = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        (spread,) = spec["topologySpreadConstraints"]
        assert term["podAffinityTerm"]["topologyKey"] == spread["topologyKey"] == "example.com/rack"

    @pytest.mark.requirement("14.5")
    @pytest.mark.parametrize("version", ["1.28.0", "1.37.0"])
    def test_the_spread_is_counted_per_revision(self, component: str, version: str) -> None:
        (spread,) = pods(ZONES, kube_version=version)[component]["topologySpreadConstraints"]
        assert spread["matchLabelKeys"] == ["pod-template-hash"]

    def test_given_affinity_is_kept_beside_it(self, component: str) -> None:
        affinity = {**NODE_AFFINITY, **OTHER_AFFINITY}
        found = pods({**ZONES, "affinity": affinity})[component]["affinity"]
        assert found["nodeAffinity"] == NODE_AFFINITY["nodeAffinity"]
        terms = found["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        keys = [term["podAffinityTerm"]["topologyKey"] for term in terms]
        assert sorted(keys) == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]

    def test_given_spread_is_kept_beside_it(self, component: str) -> None:
        own = {
            "maxSkew": 2,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"a": "b"}},
        }
        found = pods({**ZONES, component: {"topologySpreadConstraints": [own]}})[component]
        assert own in found["topologySpreadConstraints"]
        assert len(found["topologySpreadConstraints"]) == 2


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_spread_without_a_selector_counts_the_components_pods(component: str) -> None:
    """It is what charts fill in that operators come from; Kubernetes counts no pod by a selector that is not there."""
    own = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
    given = [{**own, "matchLabelKeys": ["pod-template-hash"]}, {**own, "topologyKey": "a", "labelSelector": {}}]
    docs = render({component: {"topologySpreadConstraints": given}})
    deployment = docs.one("Deployment", COMPONENTS[component])
    first, second = pod(deployment)["topologySpreadConstraints"]
    assert first == {**given[0], "labelSelector": deployment["spec"]["selector"]}
    assert second == given[1]


@pytest.mark.requirement("14.1")
def test_one_component_s_affinity_does_not_leak_into_the_other() -> None:
    found = pods({**ZONES, "affinity": OTHER_AFFINITY})
    for spec in found.values():
        terms = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        assert len(terms) == 2
