"""Values that turn on every feature at once, and how values are laid over each other."""

from __future__ import annotations

from typing import Any

GATEWAY_PARENT = {"name": "public", "namespace": "gateways"}
HTTP_ROUTE: dict[str, Any] = {
    "httpRoute": {"enabled": True, "parentRefs": [GATEWAY_PARENT], "hostnames": ["api.example.com"]}
}

EVERYTHING: dict[str, Any] = {
    "ingress": {"hpa": {"enabled": True}, "existingSecret": "upstream-keys"},
    "routeManager": {"service": {"headless": True}, "existingSecret": "route-keys"},
    "prometheusOperator": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "monitoring"}},
        "prometheusRule": {"enabled": True},
    },
    "multiZone": {"enabled": True},
    "externalIngress": {
        "enabled": True,
        "className": "nginx",
        "tls": [{"secretName": "edge", "hosts": ["gati.local"]}],
    },
    **HTTP_ROUTE,
    "tls": {
        "enabled": True,
        "secretName": "cert",
        "certManager": {"enabled": True, "issuerRef": {"name": "issuer"}},
        "caBundle": {"configMapName": "private-ca"},
    },
    "networkPolicy": {"enabled": True},
    "dashboard": {"enabled": True},
}


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid over `base` as helm lays values: maps merge, everything else is replaced."""
    both = dict(base)
    for key, value in over.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Values that set the key at `path` and no other."""
    for key in reversed(path):
        value = {key: value}
    return value  # type: ignore[no-any-return]
