"""Owns what every reader of a manifest knows of pods: their spec, what it names, what selects it, its amounts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from scripts.chart.manifests import Document, Manifests, at, mapping, mappings

DIGEST = r"sha\d+:[0-9a-f]{64,}"  # of an image, by which it may be named
# What a pod spec names, by the field: an object that says more of it, or its name alone.
REFERENCES = {
    "secretName": "Secret", "secretRef": "Secret", "secretKeyRef": "Secret", "secret": "Secret",
    "configMap": "ConfigMap", "configMapRef": "ConfigMap", "configMapKeyRef": "ConfigMap",
    "persistentVolumeClaim": "PersistentVolumeClaim",
}  # fmt: skip
NAMES = {
    "priorityClassName": "PriorityClass",
    "runtimeClassName": "RuntimeClass",
    "serviceAccountName": "ServiceAccount",
}
PULL_SECRETS = "imagePullSecrets"
_PLACES = ("env", "envFrom", "volumes")
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod")
"""The kinds that have pods."""
SELECTORS = {
    **dict.fromkeys(("Service", "PodDisruptionBudget", "PodMonitor"), ("selector", WORKLOADS)),
    "NetworkPolicy": ("podSelector", WORKLOADS),
    "ServiceMonitor": ("selector", ("Service",)),
}
"""By which field of its spec an object chooses others by their labels, and of which kinds."""


@dataclass(frozen=True)
class Reference:
    """What a pod spec or another object names, in the field or part `how`: which `keys` of it, where some are named.

    `optional` is what may be absent; `namespace` is where it is, "" for where it is named.
    """

    kind: str
    name: str
    how: str
    keys: tuple[str, ...] = ()
    optional: bool = False
    namespace: str = ""


def pod_template(kind: str, data: Mapping[str, Any]) -> Any:
    """The pod template of a workload: what has `metadata` and `spec`. The object itself for a Pod, None without one."""
    if kind == "Pod":
        return data
    template = at(data, "spec.jobTemplate.spec.template" if kind == "CronJob" else "spec.template")
    return template if kind in WORKLOADS and isinstance(template, dict) else None


def pod_spec(kind: str, data: Mapping[str, Any]) -> Any:
    """The pod spec of a workload, None where there is none."""
    return at(pod_template(kind, data), "spec")


def lasting(spec: Any) -> list[Mapping[str, Any]]:
    """The containers of a pod spec that run all the time, sidecars too."""
    sidecars = (one for one in mappings(mapping(spec).get("initContainers")) if one.get("restartPolicy") == "Always")
    return [*sidecars, *mappings(mapping(spec).get("containers"))]


def referred(node: Any, how: str = "") -> Iterator[Reference]:
    """What a pod spec, or a part of it, names."""
    if isinstance(node, list):
        for item in node:
            yield from referred(item, how)
    elif isinstance(node, Mapping):
        for field, value in node.items():
            kind = REFERENCES.get(field)
            if field in NAMES and isinstance(value, str) and value:
                yield Reference(NAMES[field], value, field)
            elif field == PULL_SECRETS and isinstance(value, list):
                yield from (Reference("Secret", str(one.get("name")), field) for one in value if isinstance(one, dict))
            elif kind is None or not isinstance(value, Mapping):
                yield from referred(value, field if field in _PLACES else how)
            elif name := value.get("name") or value.get("secretName") or value.get("claimName"):
                items = (item for item in value.get("items") or [value] if isinstance(item, Mapping))
                keys = tuple(str(item["key"]) for item in items if "key" in item)
                yield Reference(kind, str(name), how, keys, value.get("optional") is True)


def matches(selector: Any, labels: Mapping[str, Any]) -> bool:
    """Whether `labels` have all that a plain selector names; an empty one matches nothing."""
    return isinstance(selector, Mapping) and bool(selector) and selector.items() <= labels.items()


def selects(selector: Any, labels: Mapping[str, Any]) -> bool:
    """Whether a label selector selects what has `labels`; one that is empty selects all."""
    wanted, terms = mapping(at(selector, "matchLabels")), mappings(at(selector, "matchExpressions"))
    return all(labels.get(key) == value for key, value in wanted.items()) and all(_holds(it, labels) for it in terms)


def chosen(document: Document, manifests: Manifests) -> list[Document]:
    """What an object of SELECTORS chooses, in its own namespace but for a monitor that says in which."""
    how, kinds = SELECTORS.get(document.kind, ("", ()))
    selector, spaces = document.spec.get(how), mapping(document.spec.get("namespaceSelector"))
    if document.kind == "Service":
        selector, kinds = {"matchLabels": selector}, kinds if selector else ()  # without one it chooses nothing
    names = spaces.get("matchNames")
    within = names if isinstance(names, list) and names else [document.space]
    near = [one for one in manifests if one.kind in kinds and (spaces.get("any") is True or one.space in within)]
    bearers = ((one, pod_template(one.kind, one.data) if one.kind in WORKLOADS else one.data) for one in near)
    return [one for one, bearer in bearers if bearer and selects(selector, mapping(at(bearer, "metadata.labels")))]


def quantity(value: Any) -> Decimal | None:
    """A Kubernetes quantity (`500m`, `1Gi`, 2) as a number, None for what is none."""
    found = re.fullmatch(r"([+-]?[0-9.]+(?:[eE][+-]?\d+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|u|n)?", str(value))
    if found is None or isinstance(value, bool):
        return None
    powers = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6, "m": -1, "u": -2, "n": -3}
    unit = found[2] or ""
    try:
        number = Decimal(found[1])
    except InvalidOperation:
        return None
    factor = Decimal(1024) ** powers[unit[0]] if unit.endswith("i") else Decimal(1000) ** powers[unit]
    return number * factor


def directions(policy: Mapping[str, Any]) -> set[str]:
    """What the spec of a NetworkPolicy closes but for its rules: `Ingress`, `Egress`, or both."""
    return set(policy.get("policyTypes") or ["Ingress", *(["Egress"] if policy.get("egress") else [])])


def _holds(term: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    there, value = term.get("key") in labels, labels.get(str(term.get("key")))
    held = {
        "In": there and value in (term.get("values") or ()),
        "NotIn": value not in (term.get("values") or ()),
        "Exists": there,
        "DoesNotExist": not there,
    }
    return held.get(str(term.get("operator")), False)
