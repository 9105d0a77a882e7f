"""Owns which fields of which kinds the API server lets nobody change."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from scripts.chart.manifests import at, mappings
from scripts.chart.pods import quantity

Found = tuple[str, Any, Any]
"""Path, old and new value of a field that may not change and does."""

_NAMES = ("spec.names.plural", "spec.names.kind")  # of what is defined
_FIXED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("apps", "Deployment"): ("spec.selector",),
    ("apps", "DaemonSet"): ("spec.selector",),
    ("apps", "ReplicaSet"): ("spec.selector",),
    ("apps", "ControllerRevision"): ("data",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
    ("storage.k8s.io", "VolumeAttributesClass"): ("driverName", "parameters"),
    ("storage.k8s.io", "CSIDriver"): ("spec.attachRequired", "spec.volumeLifecycleModes"),
    ("scheduling.k8s.io", "PriorityClass"): ("value", "preemptionPolicy"),
    ("node.k8s.io", "RuntimeClass"): ("handler",),
    ("networking.k8s.io", "IngressClass"): ("spec.controller",),
    ("discovery.k8s.io", "EndpointSlice"): ("addressType",),
    ("gateway.networking.k8s.io", "GatewayClass"): ("spec.controllerName",),
    ("resource.k8s.io", "ResourceClaim"): ("spec",),
    ("resource.k8s.io", "ResourceClaimTemplate"): ("spec",),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): ("spec.scope", "spec.group", *_NAMES),
    ("", "Secret"): ("type",),
    ("", "ResourceQuota"): ("spec.scopes",),
}

# Of these kinds every field of `spec` is immutable but these; of a PersistentVolume that is its source, and its mode.
_OPEN: Mapping[tuple[str, str], frozenset[str]] = {
    ("apps", "StatefulSet"): frozenset(
        {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "minReadySeconds"}
        | {"persistentVolumeClaimRetentionPolicy"}
    ),
    ("batch", "Job"): frozenset(
        {"parallelism", "suspend", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"}
    ),
    ("", "Pod"): frozenset({"activeDeadlineSeconds", "terminationGracePeriodSeconds", "containers", "initContainers"}),
    ("", "PersistentVolumeClaim"): frozenset({"resources", "volumeAttributesClassName"}),
    ("", "PersistentVolume"): frozenset(
        {"accessModes", "capacity", "claimRef", "mountOptions", "persistentVolumeReclaimPolicy", "storageClassName"}
        | {"volumeAttributesClassName"}
    ),
}
_HELD = ("immutable", "data", "binaryData", "stringData")  # in a ConfigMap or Secret that is declared immutable

Fixed = tuple[tuple[tuple[str, str], str], ...]
"""Fields that may not change, each with the group and the kind that it is of."""
_UNTIL: Mapping[int, Fixed] = {33: ((("apps", "StatefulSet"), "spec.revisionHistoryLimit"),)}


def fixed_in(minor: str) -> Fixed:
    """What may not change in this Kubernetes minor and may in newer ones."""
    return tuple(one for opened, fields in _UNTIL.items() if int(minor.split(".")[1]) < opened for one in fields)


def refused(
    group: str, kind: str, old: Mapping[str, Any], new: Mapping[str, Any], more: Fixed = ()
) -> tuple[Found, ...]:
    """The changes from `old` to `new` that the API server refuses, `more` among them. Both are without defaults that
    are written out."""
    here = (group, kind)
    paths = [*_FIXED.get(here, ()), *(path for where, path in more if where == here)]
    if here in _OPEN:
        paths += [f"spec.{key}" for key in sorted({*_spec(old), *_spec(new)} - _OPEN[here])]
    paths += _HELD if group == "" and old.get("immutable") is True else ()
    special = _SPECIAL.get(here)
    found = [path for path in paths if at(old, path) != at(new, path) and not _borne(path, old, new)]
    return tuple((path, at(old, path), at(new, path)) for path in (*found, *(special(old, new) if special else ())))


def _spec(side: Mapping[str, Any]) -> Mapping[str, Any]:
    return side.get("spec") or {}


def _borne(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a field may change so: to as many pods of a Job as run at once, by more tolerations, to first nodes."""
    was, spec = at(old, path), _spec(new)
    if path == "spec.completions":
        return spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    further = path == "spec.tolerations" and all(one in (spec.get("tolerations") or []) for one in was or [])
    return further or (path == "spec.nodeAffinity" and was is None)


def _left_over(path: str, kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """A strategy of another type beside the `rollingUpdate` that the API server has written, and nobody takes away; but
    helm 3, which sends what differs of a Deployment's as a whole."""
    was, now = at(old, path) or {}, at(new, path) or {}
    if was.get("type") != kind and now.get("type") == kind and "rollingUpdate" not in was:
        yield path


def _pod(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in ("containers", "initContainers"):
        before, after = ([{**one, "image": ""} for one in mappings(_spec(side).get(key))] for side in (old, new))
        if before != after:
            yield f"spec.{key}"


def _claim(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    path = "spec.resources.requests.storage"
    before, after = quantity(at(old, path)), quantity(at(new, path))
    if before is not None and (after is None or after < before):
        yield path


def _service(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = _spec(old), _spec(new)
    if "ExternalName" in (before.get("type"), after.get("type")):
        return
    was, now = before.get("clusterIP"), after.get("clusterIP")
    # Without a word about it the address stays, and a named one is not the one that was given out; "None" is not an
    # address that can stay when it is taken away.
    if was != now and (now or was == "None"):
        yield "spec.clusterIP"
    was, now = (side.get("ipFamilies") or [None] for side in (before, after))
    if was[0] and now[0] and was[0] != now[0]:
        yield "spec.ipFamilies"
    was, now = before.get("healthCheckNodePort"), after.get("healthCheckNodePort")
    if was and now and was != now:
        yield "spec.healthCheckNodePort"
    was, now = before.get("loadBalancerClass"), after.get("loadBalancerClass")
    if was != now and before.get("type") == after.get("type") == "LoadBalancer":
        yield "spec.loadBalancerClass"


Special = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterable[str]]
_SPECIAL: Mapping[tuple[str, str], Special] = {
    ("apps", "StatefulSet"): functools.partial(_left_over, "spec.updateStrategy", "OnDelete"),
    ("apps", "Deployment"): functools.partial(_left_over, "spec.strategy", "Recreate"),
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
}
