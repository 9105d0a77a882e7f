"""What needs operators goes red for a chart with a fault: one each for some scenarios, all on one cluster."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.cluster.kind import PREFIX
from scripts.e2e import autoscale
from scripts.e2e.report import FAILED, Outcome
from scripts.workspace import Workspace
from tests.conftest import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

Fault = tuple[str, str, str, str]

# What is replaced in which file of the chart, and what the scenario says of it.
FAULTS: dict[str, Fault] = {
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
        # By what KEDA makes of its other trigger at the beginning, the test may find the first pod still.
        "Pod gati-ingress-test: .* timed out|waited .* a pod for the client(.|\\n)*triggers are not active",
    ),
    "keda": (
        "templates/ingress/scaledobject-ingress.yaml",
        '(include "gati.ingress.series" .)',
        '`namespace="elsewhere"`',
        "waited .* every query of KEDA to count requests",
    ),
    "monitoring": (  # there alone: the policies have a ServiceMonitor, too
        "templates/ingress/servicemonitor-ingress.yaml",
        '{{- include "gati.selectorLabels" $component | nindent 6 }}',
        '{{- include "gati.selectorLabels" $component | nindent 6 }}\n'
        '      app.kubernetes.io/version: {{ eq $monitor.namespace "monitoring" | ternary "0" "1.0.0" | quote }}',
        "waited .* each ready pod to be a target once(.|\\n)*no target",
    ),
    "policies": (
        "templates/tests/networkpolicy-test.yaml",
        "(.Values.networkPolicy).enabled",
        "false",
        "not true: test reaches the ingress",
    ),
}


# Found before the other fault of the same scenario: an alert that nothing here makes fire, one that nobody can read.
ALONE: dict[str, Fault] = {
    "uncaused": (
        "templates/ingress/prometheusrule-ingress.yaml",
        "        {{- with $rule.extraRules }}",
        "        - {alert: GatiNeverSeen, expr: vector(0) > 1, for: 1m}\n        {{- with $rule.extraRules }}",
        "alerts and causes differ(.|\\n)*GatiNeverSeen",
    ),
    "unread": (
        "templates/ingress/prometheusrule-ingress.yaml",
        "            )) > {{ include",
        "            ) > {{ include",
        "rules cannot be read(.|\\n)*GatiIngressSlow: .*parse error",
    ),
}


class Faulty:
    """Runs scenarios on copies of the chart with faults, on a cluster that stays until the last of them."""

    def __init__(self, work: Workspace, folder: Path) -> None:
        self._work = work
        self._folder = folder

    def run(self, faults: dict[str, Fault]) -> dict[str, Outcome]:
        """How each scenario went."""
        chart = self._folder / "gati"
        shutil.rmtree(chart, ignore_errors=True)
        shutil.copytree(ROOT / "helm" / "gati", chart)
        for name, old, new, _ in faults.values():
            text = (chart / name).read_text()
            assert text.count(old) == 1, name
            (chart / name).write_text(text.replace(old, new))
        work = self._work.having(chart=chart, dist=self._folder / "dist")
        report = autoscale.run(work, autoscale.Options(tuple(faults), keep=True))
        return {outcome.scenario: outcome for outcome in report.outcomes}


@pytest.fixture(scope="module")
def faulty(work: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    """Charts with faults, one after the other; the cluster is gone at the end, whichever tests were chosen."""
    yield Faulty(work, tmp_path_factory.mktemp("faulty"))
    kind = work.tools.path("kind")
    for name in work.runner.run((kind, "get", "clusters")).stdout.split():
        if name.startswith(f"{PREFIX}{work.config.checkout}-kept-"):
            work.runner.run((kind, "delete", "cluster", f"--name={name}"))


@pytest.fixture(scope="module")
def outcomes(faulty: Faulty) -> dict[str, Outcome]:
    """How each scenario went on a chart with all of FAULTS."""
    return faulty.run(FAULTS)


@pytest.mark.parametrize("scenario", FAULTS)
def test_a_fault_is_found_and_named(outcomes: dict[str, Outcome], scenario: str) -> None:
    assert outcomes[scenario].state == FAILED
    assert re.search(FAULTS[scenario][-1], outcomes[scenario].error), outcomes[scenario].error


@pytest.mark.parametrize("fault", ALONE)
@pytest.mark.usefixtures("outcomes")  # whose cluster is used
def test_another_of_the_same_scenario(faulty: Faulty, fault: str) -> None:
    outcome = faulty.run({"monitoring": ALONE[fault]})["monitoring"]
    assert outcome.state == FAILED
    assert re.search(ALONE[fault][-1], outcome.error), outcome.error
