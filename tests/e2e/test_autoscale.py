"""What needs operators goes red for a chart with a fault: one each for some scenarios, all on one cluster."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from scripts.e2e import autoscale
from scripts.e2e.report import FAILED, Outcome
from scripts.workspace import Workspace
from tests.conftest import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(1500)]

# What is replaced in which file of the chart, and what the scenario says of it.
FAULTS = {
    "hpa": (
        "templates/ingress/hpa-ingress.yaml",
        "averageUtilization: {{ . }}",
        "averageUtilization: {{ mul . 100 }}",
        "waited .* at least four pods under load",
    ),
    "dev": (
        "values-dev.yaml",
        "podSelector: app.kubernetes.io/component in (client,test)",
        "podSelector: app.kubernetes.io/component in (nobody)",
        "gati-ingress-test",
    ),
    "policies": (
        "templates/tests/networkpolicy-test.yaml",
        "(.Values.networkPolicy).enabled",
        "false",
        "gati-ingress-test",
    ),
}


@pytest.fixture(scope="module")
def outcomes(work: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """How each scenario went on a chart with all of the faults."""
    folder = tmp_path_factory.mktemp("faulty")
    chart = Path(shutil.copytree(ROOT / "helm" / "gati", folder / "gati"))
    for name, old, new, _ in FAULTS.values():
        text = (chart / name).read_text()
        assert text.count(old) == 1, name
        (chart / name).write_text(text.replace(old, new))
    report = autoscale.run(work.having(chart=chart, dist=folder / "dist"), autoscale.Options(tuple(FAULTS)))
    return {outcome.scenario: outcome for outcome in report.outcomes}


@pytest.mark.parametrize("scenario", FAULTS)
def test_a_fault_is_found_and_named(outcomes: dict[str, Outcome], scenario: str) -> None:
    assert outcomes[scenario].state == FAILED
    assert re.search(FAULTS[scenario][-1], outcomes[scenario].error), outcomes[scenario].error
