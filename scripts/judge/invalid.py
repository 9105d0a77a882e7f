"""Owns what the API server refuses of an object whatever it was before, and no schema of its kind says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.chart.manifests import mapping, mappings
from scripts.chart.pods import pod_spec
from scripts.judge.defaults import quantity

Checked = Iterator[tuple[str, Any, str]]
"""Path, what stands there, and why that is refused ("" where it is not)."""

_WHERE = {"CronJob": "spec.jobTemplate.spec.template.spec", "Pod": "spec"}
_RESTARTS = {"Job": ("OnFailure", "Never"), "CronJob": ("OnFailure", "Never"), "Pod": ("Always", "OnFailure", "Never")}
_HANDLERS = {"exec", "httpGet", "tcpSocket", "grpc", "sleep"}
_NONE = (0, "0", "0%")


def refusals(kind: str, data: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """What is looked at, by its path: what stands there, and why the API server refuses it ("" where it does not)."""
    return {path: (value, why) for path, value, why in _checked(kind, data, mapping(data.get("spec")))}


def _checked(kind: str, data: Mapping[str, Any], spec: Mapping[str, Any]) -> Checked:
    if kind in ("Deployment", "DaemonSet"):
        yield from _replaced(kind, spec)
    elif kind == "HorizontalPodAutoscaler":
        most, least = (quantity(spec.get(key, 1)) for key in ("maxReplicas", "minReplicas"))
        fewer = most is not None and least is not None and most < least
        yield "spec.maxReplicas", spec.get("maxReplicas"), "it is below spec.minReplicas" if fewer else ""
    elif kind == "PodDisruptionBudget":
        both = [key for key in ("minAvailable", "maxUnavailable") if spec.get(key) not in (None, "")]
        yield "spec", {key: spec[key] for key in both}, "it may say one of both" if len(both) > 1 else ""
    elif kind == "Service":
        ports = mappings(spec.get("ports"))
        names = [port.get("name") for port in ports]
        told = "each of several ports has a name of its own" if len({*names} - {None}) < len(ports) > 1 else ""
        yield "spec.ports", names, told
        outside = spec.get("clusterIP") == "None" and spec.get("type") in ("NodePort", "LoadBalancer")
        yield "spec.clusterIP", spec.get("clusterIP"), f"a {spec.get('type')} has an address" if outside else ""
    elif kind.endswith("WebhookConfiguration") and str(data.get("apiVersion")).endswith("/v1"):
        for one in mappings(data.get("webhooks")):
            path, effects, wait = f"webhooks[{one.get('name')}]", one.get("sideEffects"), one.get("timeoutSeconds", 10)
            yield f"{path}.sideEffects", effects, "" if effects in ("None", "NoneOnDryRun") else "None or NoneOnDryRun"
            yield f"{path}.timeoutSeconds", wait, "" if isinstance(wait, int) and 0 < wait <= 30 else "1 to 30"
    if isinstance(pod := pod_spec(kind, data), Mapping):
        yield from _pod(kind, data, pod)


def _replaced(kind: str, spec: Mapping[str, Any]) -> Checked:
    """How pods are replaced: some have to go first, or to come first."""
    key, surge = ("strategy", "25%") if kind == "Deployment" else ("updateStrategy", 0)
    strategy = mapping(spec.get(key))
    rolling, why = mapping(strategy.get("rollingUpdate")), ""
    idle = [rolling.get("maxSurge", surge) in _NONE, rolling.get("maxUnavailable", 1) in _NONE]
    if all(idle):
        why = "maxSurge and maxUnavailable are both 0"
    elif kind == "DaemonSet" and not any(idle):
        why = "maxSurge beside maxUnavailable"
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        why = "rollingUpdate is of another type" if rolling else ""
    yield f"spec.{key}.rollingUpdate", rolling or None, why


def _pod(kind: str, data: Mapping[str, Any], pod: Mapping[str, Any]) -> Checked:
    path = _WHERE.get(kind, "spec.template.spec")
    policy, allowed = pod.get("restartPolicy") or "Always", _RESTARTS.get(kind, ("Always",))
    yield f"{path}.restartPolicy", policy, "" if policy in allowed else " or ".join(allowed)
    volumes, claims = mappings(pod.get("volumes")), mappings(mapping(data.get("spec")).get("volumeClaimTemplates"))
    for one in volumes:
        sources = sorted(key for key, value in one.items() if isinstance(value, Mapping))
        told = "one volume of one source" if len(sources) > 1 or _several(one, volumes) else ""
        yield f"{path}.volumes[{one.get('name')}]", sources, told
    known = {str(one.get("name")) for one in (*volumes, *(mapping(claim.get("metadata")) for claim in claims))}
    for key in ("initContainers", "containers"):
        for one in mappings(pod.get(key)):
            yield from _container(f"{path}.{key}[{one.get('name')}]", one, known)


def _several(one: Mapping[str, Any], others: list[Mapping[str, Any]]) -> bool:
    return len([other for other in others if other.get("name") == one.get("name")]) > 1


def _container(path: str, one: Mapping[str, Any], volumes: set[str]) -> Checked:
    asked = {f"{path}.{key}": one.get(key) for key in ("livenessProbe", "readinessProbe", "startupProbe")}
    asked |= {f"{path}.lifecycle.{key}": mapping(one.get("lifecycle")).get(key) for key in ("preStop", "postStart")}
    for where, how in asked.items():
        if isinstance(how, Mapping) and how:
            ways = [key for key in _HANDLERS & how.keys() if how[key] is not None]
            told = "" if len(ways) == 1 else "it is one of exec, httpGet, tcpSocket, grpc, sleep"
            if how.get("successThreshold", 1) != 1 and not where.endswith("readinessProbe"):
                told = "successThreshold is 1"
            yield where, how, told
    amounts = mapping(one.get("resources"))
    limits = mapping(amounts.get("limits"))
    for name, amount in mapping(amounts.get("requests")).items():
        wanted, most = quantity(amount), quantity(limits.get(name))
        over = wanted is not None and most is not None and wanted > most
        yield f"{path}.resources.requests.{name}", amount, f"it is above the limit, {limits.get(name)}" if over else ""
    for each in mappings(one.get("env")):
        both = each.get("value") not in (None, "") and each.get("valueFrom") is not None
        yield f"{path}.env[{each.get('name')}]", each, "value beside valueFrom" if both else ""
    mounts = mappings(one.get("volumeMounts"))
    for each in mounts:
        told = "" if str(each.get("name")) in volumes else "the pod has no such volume"
        yield f"{path}.volumeMounts[{each.get('mountPath')}]", each.get("name"), told
    for what, names in (
        ("volumeMounts", [each.get("mountPath") for each in mounts]),
        ("ports", [each["name"] for each in mappings(one.get("ports")) if each.get("name")]),
    ):
        twice = [str(name) for name, times in Counter(names).items() if times > 1]
        yield f"{path}.{what}", names, f"{', '.join(twice)} stands there twice" if twice else ""
