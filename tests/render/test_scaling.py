"""Who scales the ingress: the HorizontalPodAutoscaler, KEDA or nobody, and what follows for replicas."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.figures import HPA, INGRESS, KEDA, at, trigger
from tests.render.harness import Documents, render, render_error
from tests.render.notes import notes

SCALE_TO_ZERO: dict[str, Any] = {"keda": {"enabled": True, "scaleToZero": True, "activationQuery": "up"}}


def replicas(docs: Documents) -> Any:
    return docs.one("Deployment", INGRESS)["spec"].get("replicas")


def target_of(scaler: dict[str, Any]) -> tuple[str, str, str]:
    found = scaler["spec"]["scaleTargetRef"]
    return found.get("apiVersion", "apps/v1"), found.get("kind", "Deployment"), found["name"]


@pytest.mark.requirement("6.1", "9.1")
@pytest.mark.parametrize(("kind", "values"), [("HorizontalPodAutoscaler", HPA), ("ScaledObject", KEDA)])
@pytest.mark.parametrize("name", [INGRESS, "edge"])
def test_the_scaler_targets_the_ingress(kind: str, values: dict[str, Any], name: str) -> None:
    docs = render({**values, "ingress": {**values.get("ingress", {}), "name": name}})
    assert target_of(docs.one(kind)) == ("apps/v1", "Deployment", name)
    assert docs.one(kind)["metadata"]["namespace"] == docs.one("Deployment", name)["metadata"]["namespace"]


@pytest.mark.requirement("6.5", "9.5")
@pytest.mark.parametrize("hpa", [True, False])
@pytest.mark.parametrize("keda", [True, False])
def test_one_scaler_at_the_most(hpa: bool, keda: bool) -> None:
    docs = render({"ingress": {"hpa": {"enabled": hpa}}, "keda": {"enabled": keda}})
    assert len(docs.all("HorizontalPodAutoscaler")) == (hpa and not keda)
    assert len(docs.all("ScaledObject")) == keda


@pytest.mark.trap("replicas-beside-scaler")
@pytest.mark.requirement("6.5", "9.5")
@pytest.mark.parametrize("values", [HPA, KEDA, SCALE_TO_ZERO])
def test_a_scaler_owns_the_replicas(values: dict[str, Any]) -> None:
    ingress = {**values.get("ingress", {}), "replicaCount": 9}
    assert "replicas" not in render({**values, "ingress": ingress}).one("Deployment", INGRESS)["spec"]


@pytest.mark.trap("replicas-beside-scaler")
def test_a_scaler_that_is_not_rendered_owns_nothing() -> None:
    docs = render({"keda": {"enabled": True, "renderMode": "skip"}})
    assert not docs.all("ScaledObject")
    assert replicas(docs) == 2


@pytest.mark.requirement("6.2", "9.4")
@pytest.mark.parametrize(
    ("kind", "values", "keys"),
    [
        ("HorizontalPodAutoscaler", HPA, ("minReplicas", "maxReplicas")),
        ("ScaledObject", KEDA, ("minReplicaCount", "maxReplicaCount")),
    ],
)
def test_bounds_come_from_values(kind: str, values: dict[str, Any], keys: tuple[str, str]) -> None:
    hpa = {**(at(values, "ingress", "hpa") or {}), "minReplicas": 4, "maxReplicas": 6}
    spec = render({**values, "ingress": {"hpa": hpa}}).one(kind)["spec"]
    assert (spec[keys[0]], spec[keys[1]]) == (4, 6)


@pytest.mark.requirement("6.2")
def test_bounds_the_wrong_way_round_are_refused() -> None:
    message = render_error({"ingress": {"hpa": {"enabled": True, "minReplicas": 5, "maxReplicas": 4}}})
    assert "minReplicas" in message
    assert "maxReplicas" in message


@pytest.mark.requirement("6.4")
def test_cpu_target_comes_from_values() -> None:
    docs = render({"ingress": {"hpa": {"enabled": True, "cpuUtilization": 85}}})
    (metric,) = docs.one("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["resource"]["target"]["averageUtilization"] == 85


@pytest.mark.requirement("9.5", "6.5")
def test_keda_keeps_the_scaling_behavior() -> None:
    of_hpa = render(HPA).one("HorizontalPodAutoscaler")["spec"]["behavior"]
    scaled = render(KEDA).one("ScaledObject")
    assert at(scaled, "spec", "advanced", "horizontalPodAutoscalerConfig", "behavior") == of_hpa


@pytest.mark.requirement("9.5")
def test_hpa_and_keda_can_follow_each_other_in_one_upgrade() -> None:
    """Helm creates before it deletes, so for a moment both are there."""
    hpa, scaled = render(HPA).one("HorizontalPodAutoscaler"), render(KEDA).one("ScaledObject")
    made_by_keda = at(scaled, "spec", "advanced", "horizontalPodAutoscalerConfig", "name")
    assert made_by_keda not in (None, hpa["metadata"]["name"])
    # KEDA's admission webhook refuses a Deployment that another HPA scales, but for this annotation.
    assert hpa["metadata"]["annotations"]["validations.keda.sh/hpa-ownership"] == "false"


@pytest.mark.requirement("9.2", "9.3")
def test_trigger_comes_from_values() -> None:
    keda = {"enabled": True, "serverAddress": "http://p:9", "query": 'rate(x{a="b"}[5m])', "requestsPerSecond": 250}
    docs = render({"keda": keda})
    assert trigger("metadata", "serverAddress")(docs) == "http://p:9"
    assert trigger("metadata", "query")(docs) == 'rate(x{a="b"}[5m])'
    assert trigger("metadata", "threshold")(docs) == "250"


@pytest.mark.requirement("9.2")
def test_trigger_metadata_are_strings() -> None:
    for entry in render(SCALE_TO_ZERO).one("ScaledObject")["spec"]["triggers"]:
        assert {type(value) for value in entry["metadata"].values()} == {str}


@pytest.mark.requirement("9.4")
class TestScaleToZero:
    def test_minimum_is_zero(self) -> None:
        assert render(SCALE_TO_ZERO).one("ScaledObject")["spec"]["minReplicaCount"] == 0

    def test_the_activation_query_wakes_it(self) -> None:
        triggers = render(SCALE_TO_ZERO).one("ScaledObject")["spec"]["triggers"]
        assert "up" in [entry["metadata"]["query"] for entry in triggers]

    def test_without_it_notes_warn(self) -> None:
        assert "keda.activationQuery" not in notes(SCALE_TO_ZERO)
        assert "keda.activationQuery" in notes({"keda": {"enabled": True, "scaleToZero": True}})

    def test_a_null_switch_is_off(self) -> None:
        keda = {"enabled": True, "scaleToZero": False}
        assert render({"keda": keda}).one("ScaledObject")["spec"]["minReplicaCount"] == 2


@pytest.mark.trap("scaledobject-renamed")
def test_the_scaled_object_keeps_one_name() -> None:
    names = {
        render({**KEDA, **more}, release=release).one("ScaledObject")["metadata"]["name"]
        for release in ("gati", "other")
        for more in ({}, SCALE_TO_ZERO, {"commonLabels": {"a": "b"}})
    }
    assert names == {INGRESS}
