"""The one place that names what is tested: the chart's workloads, its values keys, what its answers say."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """What a scenario has to know of a chart and cannot read out of it.

    `front` is the Deployment and Service that answer clients, `back` the Deployment that it asks, `components` their
    labels. `values` are what every installation is given, with {namespace}, {images} and {version} in it; `changes`
    are values by the name of what they change; `optional` values for a cluster that knows a kind ("Kind.group"), and
    for one that does not. An answer of the front says at `proof` who behind it gave it, at `route` where it leads.
    """

    release: str
    front: str
    back: str
    front_component: str
    back_component: str
    values: Values
    changes: Mapping[str, Values]
    optional: Mapping[str, tuple[Values, Values]]
    proof: str
    route: str
    scraped: bool
    configured_path: str
    configured_key: str
    tls_secret: str

    def overlay(
        self, *, namespace: str, images: str, version: str, changes: Sequence[str], knows: Callable[[str], bool]
    ) -> dict[str, Any]:
        """The values of an installation on a cluster that `knows` kinds."""
        given: dict[str, Any] = {}
        for values in (
            self.values,
            *((with_it if knows(kind) else without) for kind, (with_it, without) in self.optional.items()),
            *(self.changes[name] for name in changes),
        ):
            merge(given, values)
        return cast("dict[str, Any]", _filled(given, {"namespace": namespace, "images": images, "version": version}))


def merge(into: dict[str, Any], values: Values) -> dict[str, Any]:
    """Lay `values` over `into`, map by map, as helm does; returns `into`."""
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)
    return into


def answer(document: Mapping[str, Any], path: str) -> str:
    """What an answer says at "a.b"; "" where it says nothing there."""
    found: Any = document
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return str(found or "")


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _filled(item, words) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, words) for item in value]
    return value.format(**words) if isinstance(value, str) else value


# The reference ingress without a graceful end of its own: SIGTERM ends it as it stands. What protects a request then is
# the chart: its preStop, its readiness. Not so route-manager: a call over a connection that is kept ends with it.
_ABRUPT = {"extraEnv": [{"name": "STOP_MODE", "value": "abrupt"}]}

GATI = Subject(
    release="gati",
    front="gati-ingress",
    back="route-manager",
    front_component="ingress",
    back_component="route-manager",
    values={
        "global": {"namespace": "{namespace}"},
        "ingress": {"image": {"repository": "{images}/ingress", "tag": "{version}"}},
        "routeManager": {"image": {"repository": "{images}/route-manager", "tag": "{version}"}},
    },
    changes={
        "configuration": {"ingress": {"config": {"FEATURE_PLAYGROUND": True}}},
        "routes": {"routeManager": {"routes": [{"host": "*", "path": "/", "upstream": "http://changed.invalid"}]}},
        "scaler": {"ingress": {"hpa": {"enabled": True, "minReplicas": 2, "maxReplicas": 4}}},
        "abrupt": {"ingress": _ABRUPT},
        "tls": {"tls": {"enabled": True, "secretName": "gati-e2e-tls"}},
        "labels": {"commonLabels": {"gati-e2e/mark": "set"}, "commonAnnotations": {"gati-e2e/mark": "set"}},
        "init": {
            "ingress": {
                "initContainers": [
                    {
                        "name": "prepare",
                        "image": "{images}/ingress:1",
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["python3", "-c", "raise SystemExit('told to fail')"],
                    }
                ]
            }
        },
        "apart": {
            "ingress": {
                "replicaCount": 3,
                "resources": {"requests": {"cpu": "50m"}},  # there must be room beside other scenarios on every node
                "affinity": {
                    "podAntiAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "topologyKey": "kubernetes.io/hostname",
                                "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "ingress"}},
                            }
                        ]
                    }
                },
            }
        },
    },
    optional={
        "ServiceMonitor.monitoring.coreos.com": (
            {
                "prometheusOperator": {
                    "serviceMonitor": {"enabled": True, "namespace": "{namespace}"},
                    "prometheusRule": {"enabled": True, "namespace": "{namespace}"},
                }
            },
            {"prometheusOperator": {"renderMode": "skip"}},
        ),
        "ScaledObject.keda.sh": ({}, {"keda": {"renderMode": "skip"}}),
    },
    proof="routeManager.pod",
    route="upstream",
    scraped=True,
    configured_path="playground/delay?seconds=0",
    configured_key="seconds",
    tls_secret="gati-e2e-tls",  # noqa: S106 - the name of a Secret
)
