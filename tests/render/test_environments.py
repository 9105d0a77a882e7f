"""The values files of dev, staging and prod."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.figures import INGRESS, ROUTE_MANAGER, at, config
from tests.render.harness import Documents, pod, render, render_text

DEV, STAGING, PROD = FILES = ("values-dev.yaml", "values-staging.yaml", "values-prod.yaml")


def environment(name: str, values: dict[str, Any] | None = None) -> Documents:
    return render(values, values_files=(name,))


def bounds(docs: Documents) -> tuple[int, int]:
    """(fewest, most) ingress replicas, whoever scales it."""
    for kind, keys in (
        ("HorizontalPodAutoscaler", ("minReplicas", "maxReplicas")),
        ("ScaledObject", ("minReplicaCount", "maxReplicaCount")),
    ):
        for found in docs.all(kind):
            return found["spec"][keys[0]], found["spec"][keys[1]]
    count = docs.one("Deployment", INGRESS)["spec"]["replicas"]
    return count, count


@pytest.mark.requirement("16.1")
@pytest.mark.parametrize("name", FILES)
def test_each_renders_both_components(name: str) -> None:
    docs = environment(name)
    docs.one("Deployment", INGRESS)
    docs.one("Deployment", ROUTE_MANAGER)


@pytest.mark.requirement("16.2")
def test_replicas_rise_towards_prod() -> None:
    dev, staging, prod = (bounds(environment(name)) for name in FILES)
    assert dev[0] < staging[0] < prod[0]
    assert dev[1] < staging[1] < prod[1]


@pytest.mark.requirement("16.3")
def test_dev_debugs_and_scales_to_zero() -> None:
    docs = environment(DEV)
    assert docs.one("ScaledObject")["spec"]["minReplicaCount"] == 0
    assert config("FEATURE_PLAYGROUND")(docs) == "true"
    assert config("LOG_LEVEL")(docs) == "debug"


@pytest.mark.requirement("16.3")
def test_staging_scales_by_cpu() -> None:
    docs = environment(STAGING)
    assert docs.one("HorizontalPodAutoscaler")
    assert not docs.all("ScaledObject")


@pytest.mark.requirement("16.5")
def test_prod_is_guarded_and_spread() -> None:
    docs = environment(PROD)
    assert docs.one("HorizontalPodAutoscaler")
    spec = pod(docs.one("Deployment", INGRESS))
    assert [spread["topologyKey"] for spread in spec["topologySpreadConstraints"]] == ["topology.kubernetes.io/zone"]
    assert spec["affinity"]["podAntiAffinity"]
    assert docs.one("Deployment", ROUTE_MANAGER)["spec"]["replicas"] >= 2


@pytest.mark.requirement("16.4")
@pytest.mark.parametrize("before", [(DEV,), (STAGING,), (DEV, STAGING), (STAGING, DEV)])
def test_prod_last_is_prod(before: tuple[str, ...]) -> None:
    assert render_text(values_files=(*before, PROD)) == render_text(values_files=(PROD,))


@pytest.mark.requirement("16.4")
def test_staging_after_dev_is_staging() -> None:
    assert render_text(values_files=(DEV, STAGING)) == render_text(values_files=(STAGING,))


@pytest.mark.requirement("16.4")
def test_they_merge_in_order() -> None:
    together = render(values_files=(DEV, PROD))
    assert config("FEATURE_PLAYGROUND")(together) == "false"
    assert config("FEATURE_PLAYGROUND")(render(values_files=(PROD, DEV))) == "true"
    assert (
        config("FEATURE_PLAYGROUND")(environment(PROD, {"ingress": {"config": {"FEATURE_PLAYGROUND": True}}})) == "true"
    )


@pytest.mark.requirement("16.4")
def test_a_small_values_file_merges_over_every_environment() -> None:
    for name in FILES:
        docs = environment(name, {"routeManager": {"replicaCount": 7}})
        assert docs.one("Deployment", ROUTE_MANAGER)["spec"]["replicas"] == 7
        assert at(docs.one("Deployment", INGRESS), "spec", "template", "spec", "containers", 0, "resources", "limits")
