"""The PodDisruptionBudget: what it asks for, and that a node can always be drained."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.figures import HPA, INGRESS, KEDA
from tests.render.harness import Documents, render, render_error

FIELDS = ("minAvailable", "maxUnavailable")


def budget(values: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """The budget's two fields as rendered."""
    spec = render(values, **options).one("PodDisruptionBudget", INGRESS)["spec"]
    return {field: spec[field] for field in FIELDS if field in spec}


def pdb(replicas: int = 10, **fields: Any) -> dict[str, Any]:
    return {"ingress": {"replicaCount": replicas}, "pdb": {"enabled": True, **fields}}


def allowed(fields: dict[str, Any], pods: int) -> int:
    """How many of `pods` healthy pods the disruption controller lets be evicted at once (percentages round up)."""
    (field,) = fields
    wanted = fields[field]
    if isinstance(wanted, str):
        wanted = -(-int(wanted.removesuffix("%")) * pods // 100)
    return int(max(0, pods - wanted) if field == "minAvailable" else min(pods, wanted))


@pytest.mark.requirement("13.1")
def test_api_version() -> None:
    assert render().one("PodDisruptionBudget", INGRESS)["apiVersion"] == "policy/v1"


def test_pods_that_are_not_ready_keep_no_node() -> None:
    docs = render({"routeManager": {"replicaCount": 2}})
    assert {doc["spec"]["unhealthyPodEvictionPolicy"] for doc in docs.all("PodDisruptionBudget")} == {"AlwaysAllow"}
    assert len(docs.all("PodDisruptionBudget")) == 2


@pytest.mark.requirement("13.2")
@pytest.mark.parametrize("values", [{}, {"commonLabels": {"a": "b"}, "podLabels": {"c": "d"}}])
def test_selects_the_ingress_pods(values: dict[str, Any]) -> None:
    docs = render(values)
    found = docs.one("PodDisruptionBudget", INGRESS)["spec"]["selector"]
    assert found == docs.one("Deployment", INGRESS)["spec"]["selector"]


@pytest.mark.trap("percent-as-int")
@pytest.mark.requirement("13.3")
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [0, 1, 3, "0%", "25%", "50%", "99%"])
def test_numbers_and_percentages_arrive_as_written(field: str, value: Any) -> None:
    found = budget(pdb(**{"minAvailable": None, field: value}))
    assert found == {field: value}
    assert type(found[field]) is type(value)


@pytest.mark.requirement("13.3")
def test_both_fields_are_refused() -> None:
    message = render_error(pdb(minAvailable=1, maxUnavailable=1))
    assert "pdb.minAvailable" in message
    assert "pdb.maxUnavailable" in message


@pytest.mark.requirement("13.3")
@pytest.mark.parametrize("value", ["half", "1.5%", "150%", -1, 1.5, "%", "5 %", True])
@pytest.mark.parametrize("field", FIELDS)
def test_anything_else_is_refused(field: str, value: Any) -> None:
    assert field in render_error(pdb(**{"minAvailable": None, field: value}))


@pytest.mark.requirement("13.4")
def test_the_switch_removes_it() -> None:
    assert not render({"pdb": {"enabled": False}}).all("PodDisruptionBudget")


ONE = [
    {"ingress": {"replicaCount": 1}},
    {"ingress": {"replicaCount": 5, "hpa": {"enabled": True, "minReplicas": 1}}},
    {"ingress": {"replicaCount": 5, "hpa": {"minReplicas": 1}}, **KEDA},
    {"ingress": {"replicaCount": 5}, "keda": {"enabled": True, "scaleToZero": True, "activationQuery": "up"}},
]


@pytest.mark.requirement("13.5")
@pytest.mark.parametrize("values", ONE)
@pytest.mark.parametrize(
    "fields",
    [{"minAvailable": 1}, {"minAvailable": "1%"}, {"minAvailable": "50%"}, {"minAvailable": None, "maxUnavailable": 1}],
)
def test_one_effective_replica_never_blocks_a_drain(values: dict[str, Any], fields: dict[str, Any]) -> None:
    docs = render({**values, "pdb": {"enabled": True, **fields}})
    for found in docs.all("PodDisruptionBudget"):
        rendered = {field: found["spec"][field] for field in FIELDS if field in found["spec"]}
        assert allowed(rendered, pods=1) >= 1


@pytest.mark.requirement("13.5")
@pytest.mark.parametrize("values", [HPA, KEDA, {"ingress": {"replicaCount": 2}}])
def test_replica_count_is_not_looked_at_when_a_scaler_rules(values: dict[str, Any]) -> None:
    ingress = {"replicaCount": 1, **values.get("ingress", {})}
    assert budget({**values, "ingress": ingress, "pdb": {"minAvailable": 1}}) == {"minAvailable": 1}


@pytest.mark.requirement("13.5")
def test_default_and_environments_can_be_drained() -> None:
    for files in ((), ("values-dev.yaml",), ("values-staging.yaml",), ("values-prod.yaml",)):
        docs = render(values_files=files)
        for found in docs.all("PodDisruptionBudget"):
            rendered = {field: found["spec"][field] for field in FIELDS if field in found["spec"]}
            assert allowed(rendered, fewest(docs, found)) >= 1, (files, found["metadata"]["name"])


def fewest(docs: Documents, found: dict[str, Any]) -> int:
    """The fewest replicas of the Deployment that a budget selects."""
    (workload,) = [doc for doc in docs.all("Deployment") if doc["spec"]["selector"] == found["spec"]["selector"]]
    for kind, key in (("HorizontalPodAutoscaler", "minReplicas"), ("ScaledObject", "minReplicaCount")):
        for scaler in docs.all(kind):
            if scaler["spec"]["scaleTargetRef"]["name"] == workload["metadata"]["name"]:
                return max(1, int(scaler["spec"][key]))
    return int(workload["spec"]["replicas"])
