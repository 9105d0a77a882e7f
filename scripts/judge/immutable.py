"""Owns which fields of which kinds the API server lets nobody change."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scripts.chart.pods import quantity

Found = tuple[str, Any, Any]
"""Path, old and new value of a field that may not change and does."""

# Every field of a StatefulSet's and a Job's spec but these is immutable.
_STATEFUL_SET_OPEN = frozenset(
    {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "minReadySeconds"}
    | {"persistentVolumeClaimRetentionPolicy"}
)
_JOB_OPEN = frozenset({"parallelism", "suspend", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"})
_POD_OPEN = frozenset({"activeDeadlineSeconds", "terminationGracePeriodSeconds", "containers", "initContainers"})
_CLAIM_OPEN = frozenset({"resources", "volumeAttributesClassName"})
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
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (
        "spec.scope",
        "spec.group",
        "spec.names.plural",
        "spec.names.kind",
    ),
    ("", "Secret"): ("type",),
    ("", "ResourceQuota"): ("spec.scopes",),
}

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
    paths = (*_FIXED.get((group, kind), ()), *(path for where, path in more if where == (group, kind)))
    found = [_pair(path, old, new) for path in paths]
    found = [one for one in found if one[1] != one[2]]
    special = _SPECIAL.get((group, kind))
    return (*found, *(special(old, new) if special else ()))


def at(data: Any, path: str) -> Any:
    """What stands at a dotted path, None where nothing does."""
    for key in path.split("."):
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _pair(path: str, old: Any, new: Any) -> Found:
    return path, at(old, path), at(new, path)


def _spec_but(free: frozenset[str], old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    """Every change in `spec` outside of the keys `free`."""
    before, after = (side.get("spec") or {} for side in (old, new))
    for key in sorted({*before, *after} - free):
        if before.get(key) != after.get(key):
            yield f"spec.{key}", before.get(key), after.get(key)


def _stateful_set(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    yield from _spec_but(_STATEFUL_SET_OPEN, old, new)
    yield from _left_over("spec.updateStrategy", "OnDelete", old, new)


def _left_over(path: str, kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    """A strategy of another type beside the `rollingUpdate` that the API server has written, and nobody takes away; but
    helm 3, which sends what differs of a Deployment's as a whole."""
    was, now = at(old, path) or {}, at(new, path) or {}
    if was.get("type") != kind and now.get("type") == kind and "rollingUpdate" not in was:
        yield path, was or None, now


def _job(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    for found in _spec_but(_JOB_OPEN, old, new):
        spec = new.get("spec") or {}
        elastic = found[0] == "spec.completions" and spec.get("completionMode") == "Indexed"
        if not (elastic and spec.get("completions") == spec.get("parallelism")):
            yield found


def _pod(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    for path, before, after in _spec_but(_POD_OPEN, old, new):
        if path == "spec.tolerations" and all(one in (after or []) for one in before or []):
            continue
        yield path, before, after
    for key in ("containers", "initContainers"):
        before, after = (
            [{**one, "image": ""} for one in (side.get("spec") or {}).get(key) or [] if isinstance(one, Mapping)]
            for side in (old, new)
        )
        if before != after:
            yield f"spec.{key}", before, after


def _claim(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    yield from _spec_but(_CLAIM_OPEN, old, new)
    path = "spec.resources.requests.storage"
    before, after = quantity(at(old, path)), quantity(at(new, path))
    if before is not None and (after is None or after < before):
        yield _pair(path, old, new)


def _volume(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    """The source of a volume, the one key of its spec that no other field has, and its mode."""
    plain = {"accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy"}
    plain |= {"storageClassName", "volumeAttributesClassName"}
    yield from _spec_but(frozenset(plain), old, new)
    if at(old, "spec.nodeAffinity") not in (None, at(new, "spec.nodeAffinity")):
        yield _pair("spec.nodeAffinity", old, new)


def _service(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    before, after = (side.get("spec") or {} for side in (old, new))
    if "ExternalName" in (before.get("type"), after.get("type")):
        return
    was, now = before.get("clusterIP"), after.get("clusterIP")
    # Without a word about it the address stays; "None" is not an address that can stay when it is taken away.
    if was != now and ("None" in (was, now) or (was and now)):
        yield "spec.clusterIP", was, now
    was, now = ((side.get("ipFamilies") or [None])[0] for side in (before, after))
    if was and now and was != now:
        yield "spec.ipFamilies", before.get("ipFamilies"), after.get("ipFamilies")
    was, now = before.get("healthCheckNodePort"), after.get("healthCheckNodePort")
    if was and now and was != now:
        yield "spec.healthCheckNodePort", was, now
    was, now = before.get("loadBalancerClass"), after.get("loadBalancerClass")
    if was != now and before.get("type") == after.get("type") == "LoadBalancer":
        yield "spec.loadBalancerClass", was, now


def _frozen(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    """A ConfigMap or Secret that is declared immutable."""
    if old.get("immutable") is True:
        for key in ("immutable", "data", "binaryData", "stringData"):
            if old.get(key) != new.get(key):
                yield key, old.get(key), new.get(key)


Special = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterator[Found]]
_SPECIAL: Mapping[tuple[str, str], Special] = {
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "Deployment"): functools.partial(_left_over, "spec.strategy", "Recreate"),
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "PersistentVolume"): _volume,
    ("", "Service"): _service,
    ("", "ConfigMap"): _frozen,
    ("", "Secret"): _frozen,
}
