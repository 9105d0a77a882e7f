"""Brings objects to one form: without the defaults that the API server would write anyway, and without empty fields."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from scripts.chart.pods import pod_spec, quantity

# What may be left empty or left out with the same meaning, as any list of what is built in. `emptyDir: {}` and
# `podSelector: {}` are not among them.
_EMPTY = frozenset(
    {"labels", "annotations", "nodeSelector", "tolerations", "affinity", "imagePullSecrets", "env", "envFrom"}
    | {"resources", "limits", "requests", "securityContext", "volumes", "volumeMounts", "initContainers", "args"}
    | {"command", "topologySpreadConstraints", "hostAliases", "loadBalancerSourceRanges", "externalIPs", "finalizers"}
    | {"data", "binaryData", "stringData", "matchExpressions", "ownerReferences", "lifecycle", "secrets"}
    | {"httpHeaders", "scopes"}
)
# Maps whose keys are people's own: an empty text in them is a value.
OWN = frozenset({"labels", "annotations", "matchLabels", "nodeSelector", "selector", "parameters", "volumeAttributes"})
OWN |= {"data", "binaryData", "stringData"}
# What does not mean the same when it is left out.
_TELLING = frozenset({"automountServiceAccountToken", "enableServiceLinks", "allowPrivilegeEscalation", "runAsNonRoot"})
_TELLING |= {"allocateLoadBalancerNodePorts", "attachRequired", "hostUsers", "storageClassName", "ready", "serving"}
# Lists of which the order tells nothing.
_SETS = frozenset({"tolerations", "topologySpreadConstraints", "volumeMounts", "metrics", "tls", "drop"})
_SETS |= {"add", "hosts", "hostnames", "dnsNames", "loadBalancerSourceRanges", "externalIPs", "finalizers"}
_SETS |= {"resourceNames", "scopes", "endpoints", "podMetricsEndpoints"}
# The same, in kinds that are built in.
_KNOWN_SETS = frozenset(
    {"policies", "nodeSelectorTerms", "matchExpressions", "matchFields", "values", "sources", "items"}
)
_KNOWN_SETS |= {"preferredDuringSchedulingIgnoredDuringExecution", "requiredDuringSchedulingIgnoredDuringExecution"}
_KNOWN_SETS |= {"supplementalGroups", "ports", "hostAliases"}
_FIXED = frozenset({"selector", "required"})  # of a workload's pods, a volume's nodes: an order may not change either
_SELECTORS = frozenset({"podSelector", "namespaceSelector", "objectSelector", "labelSelector"})
_AMOUNTS = frozenset({"requests", "limits", "hard", "capacity", "max", "min", "default", "defaultRequest"})
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_PROBE |= {"initialDelaySeconds": 0}
_QUESTIONS = ("livenessProbe", "readinessProbe", "startupProbe")
_BACKEND = {"group": "", "kind": "Service", "weight": 1}
_PODS, _SHARE = ({"type": kind, "value": value, "periodSeconds": 15} for kind, value in (("Pods", 4), ("Percent", 100)))
_FILE_MODE = {"defaultMode": 0o644}
# What is written anyway in a part of an object, or in each item of a list, of that name.
_INSIDE: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(_QUESTIONS, _PROBE),
    "httpGet": {"scheme": "HTTP", "path": "/"}, "fieldRef": {"apiVersion": "v1"}, "resourceFieldRef": {"divisor": "0"},
    "serviceAccountToken": {"expirationSeconds": 3600}, "tolerations": {"operator": "Equal"},
    "configMap": _FILE_MODE, "secret": _FILE_MODE, "projected": _FILE_MODE, "downwardAPI": _FILE_MODE,
    "scaleDown": {"selectPolicy": "Max", "stabilizationWindowSeconds": 300, "policies": [_SHARE]},
    "scaleUp": {"selectPolicy": "Max", "stabilizationWindowSeconds": 0, "policies": [_SHARE, _PODS]},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io"}, "service": {"port": 443},
    "path": {"type": "PathPrefix", "value": "/"}, "matches": {"path": {}}, "rules": {"scope": "*", "matches": [{}]},
    "webhooks": {"failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": 10,
                 "reinvocationPolicy": "Never", "namespaceSelector": {}, "objectSelector": {}},
    "parentRefs": {"group": "gateway.networking.k8s.io", "kind": "Gateway"}, "backendRefs": _BACKEND,
    "listeners": {"allowedRoutes": {"namespaces": {"from": "Same"}}}, "certificateRefs": {"kind": "Secret"},
    "tls": {"mode": "Terminate"},
    "annotations": {"helm.sh/hook-weight": "0", "helm.sh/hook-delete-policy": "before-hook-creation"},
}  # fmt: skip
_CONTAINER: dict[str, Any] = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_CONTAINER |= {"stdin": False, "stdinOnce": False, "tty": False, "ports": {"protocol": "TCP"}}
_POD: dict[str, Any] = {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "hostNetwork": False}
_POD |= {"hostPID": False, "hostIPC": False, "enableServiceLinks": True, "terminationGracePeriodSeconds": 30}
_POD |= {"serviceAccountName": "default", "containers": _CONTAINER, "initContainers": _CONTAINER}
_JOB: dict[str, Any] = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "suspend": False}
_JOB |= {"completionMode": "NonIndexed", "manualSelector": False}
_CLAIM = {"volumeMode": "Filesystem"}


def _rolling(**how: Any) -> Mapping[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": how}


BUILT_IN = re.compile(r"^(|apps|batch|autoscaling|policy|extensions|[a-z.]+\.k8s\.io)$")
_TOP: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("", "Secret"): {"type": "Opaque"},
    ("", "ServiceAccount"): {"automountServiceAccountToken": True},
    ("storage.k8s.io", "StorageClass"): {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    ("scheduling.k8s.io", "PriorityClass"): {"preemptionPolicy": "PreemptLowerPriority", "globalDefault": False},
}
_SPEC: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("apps", "Deployment"): {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600, "paused": False}
    | {"minReadySeconds": 0, "strategy": _rolling(maxSurge="25%", maxUnavailable="25%")},
    ("apps", "StatefulSet"): {"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady"}
    | {"minReadySeconds": 0, "ordinals": {"start": 0}, "updateStrategy": _rolling(partition=0)}
    | {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"}}
    | {"volumeClaimTemplates": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {}, "spec": _CLAIM}},
    ("apps", "DaemonSet"): {"revisionHistoryLimit": 10, "minReadySeconds": 0}
    | {"updateStrategy": _rolling(maxSurge=0, maxUnavailable=1)},
    ("batch", "Job"): _JOB,
    ("batch", "CronJob"): {"suspend": False, "concurrencyPolicy": "Allow", "successfulJobsHistoryLimit": 3}
    | {"failedJobsHistoryLimit": 1, "jobTemplate": {"spec": _JOB}},
    ("", "PersistentVolumeClaim"): _CLAIM,
    ("", "PersistentVolume"): {"volumeMode": "Filesystem", "persistentVolumeReclaimPolicy": "Retain"},
    ("", "Service"): {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}
    | {"externalTrafficPolicy": "Cluster", "publishNotReadyAddresses": False, "allocateLoadBalancerNodePorts": True}
    | {"ipFamilyPolicy": "SingleStack", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}}
    | {"ports": {"protocol": "TCP"}},
    ("storage.k8s.io", "CSIDriver"): {"attachRequired": True, "volumeLifecycleModes": ["Persistent"]}
    | {"fsGroupPolicy": "ReadWriteOnceWithFSType"},
    ("autoscaling", "HorizontalPodAutoscaler"): {"minReplicas": 1, "behavior": {"scaleDown": {}, "scaleUp": {}}},
    ("policy", "PodDisruptionBudget"): {"unhealthyPodEvictionPolicy": "IfHealthyBudget"},
}


def normalised(group: str, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an object in which what the API server would write anyway is left out, and so is what is empty."""
    known = BUILT_IN.match(group) is not None
    # Of Jobs and Pods the API server refuses what differs, be it an order or what is off and was not there.
    item: dict[str, Any] = _lean(data, known, known and kind not in ("Job", "Pod"))
    _drop(item, _TOP.get((group, kind), {}))
    if (group, kind) == ("", "Secret"):
        _secret(item)
    spec = item.get("spec")
    if not isinstance(spec, dict):
        return item
    if (group, kind) == ("keda.sh", "ScaledObject") and isinstance(spec.get("scaleTargetRef"), dict):
        spec["scaleTargetRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", **spec["scaleTargetRef"]}
    if kind == "PodDisruptionBudget" and isinstance(spec.get("selector"), dict):  # which may change
        spec["selector"] = _lean(spec["selector"], known, known, "podSelector")
    _drop(spec, _SPEC.get((group, kind), {}))
    for port in _dicts(spec.get("ports")) if (group, kind) == ("", "Service") else ():
        if port.get("targetPort") == port.get("port"):
            port.pop("targetPort", None)
    if kind == "HorizontalPodAutoscaler" and (share := spec.pop("targetCPUUtilizationPercentage", None)) is not None:
        target = {"type": "Utilization", "averageUtilization": share}  # as autoscaling/v1 has it
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    pod = pod_spec(kind, item)
    if isinstance(pod, dict):
        _pod(pod, restart=kind not in ("Job", "CronJob"), loose=kind not in ("Job", "Pod"))
    return item


def _lean(value: Any, known: bool, loose: bool, name: str = "") -> Any:
    """A copy without nulls, which mean "not there", and without empty fields; equal amounts are written alike.

    `known`: it is of a kind that is built in. `loose`: what is off, or "", is not there either. `name` is the field's.
    """
    if isinstance(value, dict):  # what is read from YAML; a tenth of the time that asking for a Mapping takes
        if name in _AMOUNTS:
            return {key: _amount(item) for key, item in value.items() if item is not None}
        bare = loose and name not in OWN
        lean = {}
        for key, item in value.items():
            if item is None or (bare and (item is False or item == "") and key not in _TELLING):
                continue
            item = _lean(item, known, loose and key not in _FIXED, key)
            if item or (key not in _EMPTY and not (known and item == [])):
                lean[key] = item
        if name in _SELECTORS and loose == known:
            _plain(lean)
        if known and name in _INSIDE:
            _drop(lean, _INSIDE[name])
        return lean
    if not isinstance(value, list):
        return _amount(value) if name == "sizeLimit" else value
    items = [_lean(item, known, loose, name if name in _INSIDE else "") for item in value]
    unordered = (name in _SETS and loose == known) or (name in _KNOWN_SETS and loose)
    return sorted(items, key=lambda one: json.dumps(one, sort_keys=True, default=str)) if unordered else items


def _plain(selector: dict[str, Any]) -> None:
    """A label that may have one value stands among those that are simply named."""
    labels = selector.setdefault("matchLabels", {})
    for one in _dicts(selector.get("matchExpressions")):
        key, values = str(one.get("key")), one.get("values") if one.get("operator") == "In" else None
        if isinstance(values, list) and len(values) == 1 and isinstance(labels, dict):
            if labels.setdefault(key, values[0]) != values[0]:
                continue  # it matches nothing
            selector["matchExpressions"] = [other for other in selector["matchExpressions"] if other != one]
    for key in ("matchLabels", "matchExpressions"):
        if not selector.get(key):
            selector.pop(key, None)


def _drop(data: Any, defaults: Mapping[str, Any]) -> None:
    """Take away what is the default, in each item of a list; what stands in a map is that of the map of that name."""
    for item in data if isinstance(data, list) else [data]:
        for key, value in defaults.items() if isinstance(item, dict) else ():
            if isinstance(value, Mapping):
                _drop(item.get(key), value)
                value = {}
            if key in item and item[key] == value and type(item[key]) is type(value):
                del item[key]


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _secret(item: dict[str, Any]) -> None:
    """What is written as text stands with the rest, encoded, as the API server keeps it."""
    texts = item.pop("stringData", None)
    if isinstance(texts, Mapping):
        coded = {key: b64encode(str(text).encode("utf-8", "surrogateescape")).decode() for key, text in texts.items()}
        item["data"] = {**(item.get("data") or {}), **coded}


def _pod(pod: dict[str, Any], *, restart: bool, loose: bool) -> None:
    _drop(pod, _POD)
    if restart:
        _drop(pod, {"restartPolicy": "Always"})
    for container in (*_dicts(pod.get("containers")), *_dicts(pod.get("initContainers"))):
        latest = re.search(r":(?!latest$)[^/:]+$|@", str(container.get("image"))) is None
        _drop(container, {"imagePullPolicy": "Always" if latest else "IfNotPresent"})
        _referring(_dicts(container.get("env")))
        names = {}
        for port in _dicts(container.get("ports")):
            if loose and "protocol" not in port and "name" in port:
                names[port.get("containerPort")] = port["name"]
        for asked in _QUESTIONS:
            for how in ("httpGet", "tcpSocket"):
                where = (container.get(asked) or {}).get(how)
                if isinstance(where, dict) and where.get("port") in names:
                    where["port"] = names[where["port"]]
        if isinstance(amounts := container.get("resources"), dict) and isinstance(amounts.get("limits"), dict):
            amounts["requests"] = {**amounts["limits"], **(amounts.get("requests") or {})}


def _referring(variables: list[dict[str, Any]]) -> None:
    """A variable is put in where it stands before; else, as behind `$$`, the words stay as they are."""
    later = {one.get("name") for one in variables}
    for one in variables:
        if "$(" in (value := str(one.get("value"))):
            one["value"] = re.sub(r"\$(\$|\((.*?)\))", lambda found: "$" * (found[2] in later) + found[0], value)
        later.discard(one.get("name"))


def _amount(value: Any) -> Any:
    """A quantity in the one way of writing that equal ones share: 1Gi for 1024Mi, 1 for 1000m."""
    number = quantity(value)
    if number is None:
        return value
    units = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
    while number and not number % 1024 and len(units) > 1:
        number, units = number / 1024, units[1:]
    return f"{number.normalize():f}{units[0]}"
