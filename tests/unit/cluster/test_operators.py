"""When an operator counts as deployed."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.cluster.operators import _prometheus_version, _ready

AVAILABLE = {"type": "Available", "status": "True"}
ABSENT = {"type": "Available", "status": "False"}


@pytest.mark.parametrize(
    ("spec", "status", "ready"),
    [
        pytest.param({"replicas": 1}, {"readyReplicas": 1}, True, id="all pods are ready"),
        pytest.param({}, {"readyReplicas": 1}, True, id="one pod is the default"),
        pytest.param({"replicas": 2}, {"readyReplicas": 1}, False, id="one of two"),
        pytest.param({"replicas": 1}, {}, False, id="none yet"),
        pytest.param({"replicas": 0}, {}, False, id="nobody wants any"),
        pytest.param({}, {"numberReady": 3, "desiredNumberScheduled": 3}, True, id="a pod on every node"),
        pytest.param({}, {"numberReady": 2, "desiredNumberScheduled": 3}, False, id="a node without"),
        pytest.param({}, {"numberReady": 0, "desiredNumberScheduled": 0}, False, id="nodes unknown yet"),
        pytest.param({"service": {}}, {"conditions": [AVAILABLE]}, True, id="an API that answers"),
        pytest.param({"service": {}}, {"conditions": [ABSENT]}, False, id="one that does not"),
        pytest.param({"service": {}}, {}, False, id="one that nobody has asked yet"),
    ],
)
def test_an_operator_is_ready(spec: dict[str, Any], status: dict[str, Any], ready: bool) -> None:
    kind = "APIService" if "service" in spec else "DaemonSet" if "numberReady" in status else "Deployment"
    assert _ready({"kind": kind, "spec": spec, "status": status}) is ready


@pytest.mark.parametrize("image", ["prom/prometheus:v3.7.3", "gati/prometheus:v0.307.3-0f1e2d3c4b5a"])
def test_the_operator_is_told_which_prometheus_it_runs(image: str) -> None:
    assert _prometheus_version(image) == "v3.7.3"
