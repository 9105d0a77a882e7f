"""Every pair of feature switches, on every supported Kubernetes, renders to objects that a cluster accepts."""

from __future__ import annotations

from typing import Any

import pytest
from allpairspy import AllPairs  # type: ignore[import-untyped]

from tests.render.everything import EVERYTHING, HTTP_ROUTE, merged
from tests.render.harness import KUBERNETES, render_text
from tests.render.valid import findings

INIT = [{"name": "migrate", "image": "example/migrate:1", "command": ["/migrate"]}]
TLS: dict[str, Any] = EVERYTHING["tls"]

# Each factor's levels, as values; the first level is the default.
FACTORS: dict[str, dict[str, dict[str, Any]]] = {
    "route-manager": {
        "on": {},
        "headless": {"routeManager": {"service": {"headless": True}, "replicaCount": 3}},
        "off": {"routeManager": {"enabled": False}, "ingress": {"config": {"ROUTE_MANAGER_ADDR": "routes:1"}}},
    },
    "scaler": {
        "none": {},
        "hpa": {"ingress": {"hpa": {"enabled": True}}},
        "keda": {"keda": {"enabled": True}},
        "zero": {"keda": {"enabled": True, "scaleToZero": True, "activationQuery": "sum(up)"}},
        "keda-skipped": {"keda": {"enabled": True, "renderMode": "skip"}},
    },
    "replicas": {"two": {}, "one": {"ingress": {"replicaCount": 1}}, "none": {"ingress": {"replicaCount": 0}}},
    "budget": {
        "number": {},
        "percentage": {"pdb": {"minAvailable": "50%"}},
        "unavailable": {"pdb": {"minAvailable": None, "maxUnavailable": "25%"}},
        "zero": {"pdb": {"minAvailable": 0}},
        "off": {"pdb": {"enabled": False}},
    },
    "rbac": {
        "on": {},
        "secrets": {"ingress": {"existingSecret": "keys"}, "routeManager": {"existingSecret": "more"}},
        "token": {"ingress": {"automountServiceAccountToken": True}},
        "off": {"rbac": {"create": False}},
    },
    "zones": {"off": {}, "on": {"multiZone": {"enabled": True, "zoneLabel": "example.com/rack"}}},
    "monitoring": {
        "annotations": {},
        "none": {"ingress": {"prometheus": {"scrape": False}}},
        "own-port": {
            "ingress": {"prometheus": {"port": 9102}},
            "prometheusOperator": {"serviceMonitor": {"enabled": True}},
        },
        "all": {
            "prometheusOperator": EVERYTHING["prometheusOperator"],
            "dashboard": {"enabled": True, "namespace": "grafana"},
        },
    },
    "outside": {"none": {}, "ingress": {"externalIngress": EVERYTHING["externalIngress"]}, "route": HTTP_ROUTE},
    "tls": {
        "off": {},
        "secret": {"tls": {"enabled": True, "secretName": "cert"}},
        "cert-manager": {"tls": TLS},
        "ca-only": {"tls": {"caBundle": {"secretName": "private-ca"}}},
    },
    "network": {
        "open": {},
        "policies": {"networkPolicy": {"enabled": True}},
        "dual": {"networking": {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4", "IPv6"]}},
    },
    "pods": {
        "plain": {},
        "init": {"ingress": {"initContainers": INIT}, "routeManager": {"initContainers": INIT}},
        "no-pause": {"shutdown": {"preStopSeconds": 0}},
        "placed": {
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "a", "operator": "Exists"}],
            "priorityClassName": "high",
            "imagePullSecrets": [{"name": "creds"}],
        },
        "digest": {"ingress": {"image": {"digest": "sha256:" + "0" * 64}}},
    },
    "labels": {
        "none": {},
        "all": {
            key: {"example.com/n": 1048576, "flag": True}
            for key in ("commonLabels", "commonAnnotations", "podLabels", "podAnnotations")
        },
    },
    "namespace": {"own": {}, "other": {"global": {"namespace": "edge"}}},
    "tests": {"on": {}, "off": {"tests": {"enabled": False}}},
}


def combinations() -> dict[str, list[dict[str, Any]]]:
    """{Kubernetes version: values}: each pair of levels, version included, is in at least one."""
    found: dict[str, list[dict[str, Any]]] = {version: [] for version in KUBERNETES}
    for version, *levels in AllPairs([list(KUBERNETES), *(list(factor) for factor in FACTORS.values())]):
        values: dict[str, Any] = {}
        for factor, level in zip(FACTORS.values(), levels, strict=True):
            values = merged(values, factor[level])
        found[version].append(values)
    return found


COMBINATIONS = combinations()


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_pair_of_features_validates(version: str) -> None:
    cases = COMBINATIONS[version]
    texts = [render_text(values, kube_version=version) for values in cases]
    wrong = {str(values): found for values, found in zip(cases, findings(texts, version), strict=True) if found}
    assert not wrong


@pytest.mark.parametrize("version", KUBERNETES)
def test_defaults_everything_and_environments_validate(version: str) -> None:
    files: list[tuple[str, ...]] = [(), ("values-dev.yaml",), ("values-staging.yaml",), ("values-prod.yaml",)]
    texts = [render_text(values_files=names, kube_version=version) for names in files]
    texts.append(render_text(EVERYTHING, kube_version=version, namespace="ops"))
    assert findings(texts, version) == [[] for _ in texts]


def test_the_judge_is_awake() -> None:
    text = render_text().replace("minAvailable: 1", "minAvailible: 1")
    (found,) = findings([text], KUBERNETES[-1])
    assert [what for what in found if "minAvailible" in what]


def test_pairs_are_covered() -> None:
    assert sum(map(len, COMBINATIONS.values())) >= len(KUBERNETES) * max(map(len, FACTORS.values()))
    assert all(COMBINATIONS.values())
