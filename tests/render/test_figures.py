"""Every documented figure stands in what the chart renders, and a chart with another one is found out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.render.figures import FIGURES, Figure
from tests.render.harness import CHART
from tests.render.mutants import Default, Mutant


@pytest.mark.parametrize(
    "figure",
    [pytest.param(figure, id=figure.name, marks=pytest.mark.requirement(figure.requirement)) for figure in FIGURES],
)
def test_figure(figure: Figure) -> None:
    assert figure.found() == figure.expected


def default(key: str, new: str) -> Mutant:
    return Default("values.yaml", key, new)


def prod(key: str, new: str) -> Mutant:
    return Default("values-prod.yaml", key, new)


SCALING = "templates/_scaling.tpl"
SCALED_OBJECT = "templates/ingress/scaledobject-ingress.yaml"
HPA_TEMPLATE = "templates/ingress/hpa-ingress.yaml"

# At least one wrong value for each figure, where the figure stands in the chart.
MUTANTS: dict[str, list[Mutant]] = {
    "ingress-replicas": [default("ingress.replicaCount", "3")],
    "gati-ingress-requests-cpu": [default("ingress.resources.requests.cpu", "251m")],
    "gati-ingress-requests-memory": [default("ingress.resources.requests.memory", "255Mi")],
    "gati-ingress-limits-cpu": [default("ingress.resources.limits.cpu", "999m")],
    "gati-ingress-limits-memory": [default("ingress.resources.limits.memory", "513Mi")],
    "ingress-container-port": [default("ingress.service.targetPort", "8081")],
    "ingress-readiness-path": [
        default("ingress.readinessProbe.path", "/health"),
        default("ingress.readinessProbe.path", "/livez"),
    ],
    "ingress-readiness-port": [default("ingress.service.targetPort", "8081")],
    "ingress-liveness-path": [
        default("ingress.livenessProbe.path", "/live"),
        default("ingress.livenessProbe.path", "/healthz"),
    ],
    "ingress-liveness-port": [default("ingress.service.targetPort", "8081")],
    "route-manager-replicas": [default("routeManager.replicaCount", "2")],
    "route-manager-requests-cpu": [default("routeManager.resources.requests.cpu", "101m")],
    "route-manager-requests-memory": [default("routeManager.resources.requests.memory", "127Mi")],
    "route-manager-limits-cpu": [default("routeManager.resources.limits.cpu", "501m")],
    "route-manager-limits-memory": [default("routeManager.resources.limits.memory", "257Mi")],
    "route-manager-container-port": [default("routeManager.service.targetPort", "50052")],
    "route-manager-readiness-port": [default("routeManager.service.targetPort", "50052")],
    "route-manager-liveness-port": [default("routeManager.service.targetPort", "50052")],
    "ingress-service-ports": [
        default("ingress.service.port", "81"),
        default("ingress.service.targetPort", "8081"),
    ],
    "ingress-service-type": [default("ingress.service.type", "NodePort")],
    "route-manager-service-ports": [
        default("routeManager.service.port", "50052"),
        default("routeManager.service.targetPort", "50052"),
    ],
    "route-manager-service-type": [default("routeManager.service.type", "LoadBalancer")],
    "config-route-manager": [default("routeManager.service.port", "50052")],
    "config-timescape": [default("ingress.config.TIMESCAPE_ADDR", "timescape:1")],
    "config-playground": [default("ingress.config.FEATURE_PLAYGROUND", "true")],
    "hpa-api": [Mutant(HPA_TEMPLATE, "autoscaling/v2", "autoscaling/v1")],
    "rbac-verbs": [
        Mutant("templates/rbac/role-rbac.yaml", "[get, list, watch]", "[get, list]"),
        Mutant("templates/rbac/role-rbac.yaml", "[get, list, watch]", "[get, list, watch, update]"),
    ],
    "hpa-minimum": [default("ingress.hpa.minReplicas", "1")],
    "hpa-maximum": [default("ingress.hpa.maxReplicas", "11")],
    "hpa-cpu": [
        default("ingress.hpa.cpuUtilization", "61"),
        Mutant(HPA_TEMPLATE, "type: Utilization", "type: AverageValue"),
    ],
    "hpa-down-window": [default("ingress.hpa.behavior.scaleDown.stabilizationWindowSeconds", "301")],
    "hpa-down-policies": [
        Mutant("values.yaml", "value: 50\n", "value: 51\n"),
        Mutant("values.yaml", "periodSeconds: 60\n", "periodSeconds: 61\n"),
    ],
    "hpa-up-window": [default("ingress.hpa.behavior.scaleUp.stabilizationWindowSeconds", "1")],
    "hpa-up-select": [default("ingress.hpa.behavior.scaleUp.selectPolicy", "Min")],
    "hpa-up-policies": [
        Mutant("values.yaml", "value: 100\n", "value: 99\n"),
        Mutant("values.yaml", "value: 2\n", "value: 3\n"),
        Mutant("values.yaml", "value: 100\n            periodSeconds: 15", "value: 100\n            periodSeconds: 16"),
        Mutant("values.yaml", "value: 2\n            periodSeconds: 15", "value: 2\n            periodSeconds: 16"),
    ],
    "monitor-namespace": [default("prometheusOperator.serviceMonitor.namespace", "prometheus")],
    "monitor-interval": [default("prometheusOperator.serviceMonitor.interval", "16s")],
    "monitor-path": [default("ingress.prometheus.path", "/metric")],
    "monitor-port": [default("ingress.prometheus.port", "8081")],
    "monitor-honor-labels": [
        Mutant("templates/ingress/servicemonitor-ingress.yaml", "honorLabels: true", "honorLabels: false")
    ],
    "keda-trigger": [Mutant(SCALED_OBJECT, "type: prometheus", "type: cpu")],
    "keda-query": [
        default("keda.query", "sum(rate(gati_ingress_requests_total[1m]))"),
        Mutant(SCALED_OBJECT, "[1m]", "[2m]"),
        Mutant("templates/_monitoring.tpl", "namespace=%q,pod=~%q", "namespace=%q,pod!~%q"),
    ],
    "keda-threshold": [default("keda.requestsPerSecond", "101")],
    "keda-minimum": [default("ingress.hpa.minReplicas", "1")],
    "keda-maximum": [default("ingress.hpa.maxReplicas", "11")],
    "keda-minimum-zero": [Mutant(SCALING, "\n0\n", "\n1\n")],
    "pdb-minimum": [default("pdb.minAvailable", "0"), default("pdb.minAvailable", "50%")],
    "pdb-eviction": [Mutant("templates/_scaling.tpl", "AlwaysAllow", "IfHealthyBudget")],
    "zone-key": [default("multiZone.zoneLabel", "failure-domain.beta.kubernetes.io/zone")],
    "zone-skew": [Mutant("templates/_pod.tpl", '"maxSkew" 1', '"maxSkew" 2')],
    "zone-revision": [Mutant("templates/_pod.tpl", ' "matchLabelKeys" (list "pod-template-hash")', "")],
    "shutdown-pause": [default("shutdown.preStopSeconds", "14")],
    "shutdown-pause-old": [
        default("shutdown.preStopSeconds", "14"),
        Mutant("templates/_capabilities.tpl", ">=1.30.0-0", ">=1.29.0-0"),
    ],
    "shutdown-pause-first-native": [Mutant("templates/_capabilities.tpl", ">=1.30.0-0", ">=1.31.0-0")],
    "shutdown-grace": [default("shutdown.terminationGracePeriodSeconds", "29")],
    "rollout-unavailable": [
        default("ingress.strategy.rollingUpdate.maxUnavailable", "1"),
        default("routeManager.strategy.rollingUpdate.maxUnavailable", "25%"),
    ],
    "rollout-surge": [
        default("ingress.strategy.rollingUpdate.maxSurge", "2"),
        default("routeManager.strategy.rollingUpdate.maxSurge", "25%"),
    ],
    "namespace-policy": [Mutant("templates/namespace.yaml", '"keep"', '"delete"')],
    "namespace-security": [Mutant("templates/namespace.yaml", '"restricted"', '"baseline"')],
    "tls-service-ports": [default("tls.servicePort", "444"), default("tls.targetPort", "8444")],
    "prod-replicas": [prod("ingress.hpa.minReplicas", "2"), prod("ingress.hpa.maxReplicas", "19")],
    "prod-budget": [prod("pdb.minAvailable", "1")],
    "prod-playground": [prod("ingress.config.FEATURE_PLAYGROUND", "true")],
}


def test_every_figure_has_a_mutant() -> None:
    assert set(MUTANTS) == {figure.name for figure in FIGURES}


@pytest.mark.parametrize(
    ("name", "mutant"),
    [
        pytest.param(name, mutant, id=f"{name}-{number}")
        for name, mutants in MUTANTS.items()
        for number, mutant in enumerate(mutants)
    ],
)
def test_a_wrong_figure_is_found_out(name: str, mutant: Mutant, tmp_path: Path) -> None:
    (figure,) = [figure for figure in FIGURES if figure.name == name]
    assert figure.found(mutant.write(CHART, tmp_path)) != figure.expected
