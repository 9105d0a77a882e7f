"""Owns what a change of a single field means, by the kind of object and the path of the field."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from scripts.chart.manifests import FieldChange
from scripts.chart.pods import WORKLOADS, quantity
from scripts.judge.images import is_tagged, judge_image
from scripts.judge.invalid import OWNER
from scripts.judge.network import ROUTES
from scripts.judge.noise import label_key
from scripts.judge.reason import Level, bears

_WORKLOADS = "|".join(WORKLOADS)
_C = r"(?:initC|c)ontainers\[[^\]]+\]"

# (kinds, path, level, meaning): the first that matches holds.
_RULES: tuple[tuple[str, str, Level, str], ...] = (
    (_WORKLOADS, r"robe\.(initialDelaySeconds|periodSeconds|timeoutSeconds|failureThreshold|successThreshold)$",
     "patch", "the kubelet asks at other times"),
    (_WORKLOADS, r"(liveness|readiness|startup)Probe", "minor", "pods are judged healthy by another question"),
    (_WORKLOADS, r"\.resources\b", "minor", "a pod may use, or sets aside, another amount: nodes must have it"),
    (_WORKLOADS, rf"{_C}\.terminationMessage\w+$", "patch", "how the kubelet runs it"),
    (_WORKLOADS, rf"{_C}\.imagePullPolicy$", "minor", "whether a pod can start without the image's registry"),
    (_WORKLOADS, r"^spec\.(revisionHistoryLimit|progressDeadlineSeconds|minReadySeconds|\w+JobsHistoryLimit|"
                 r"ttlSecondsAfterFinished)$", "patch", "how the workload is kept"),
    (_WORKLOADS, r"^spec\.replicas$", "minor", "another number of pods"),
    (_WORKLOADS, rf"{_C}\.ports", "minor", "who reaches the pods' ports by themselves has to follow"),
    (_WORKLOADS, rf"{_C}\.(env|envFrom)\b", "minor", "the application is set up otherwise"),
    (_WORKLOADS, rf"{_C}\.(command|args)", "minor", "the application is started otherwise"),
    (_WORKLOADS, r"\b(nodeSelector|affinity|tolerations|topologySpreadConstraints|nodeName|runtimeClassName)\b",
     "minor", "pods may be placed elsewhere, or nowhere"),
    (_WORKLOADS, r"serviceAccountName$|automountServiceAccountToken$", "minor", "pods have other rights"),
    (_WORKLOADS, r"securityContext", "minor", "pods run under another user or with other rights"),
    (_WORKLOADS, r"(lifecycle|terminationGracePeriodSeconds)", "minor", "a pod ends, or starts, otherwise"),
    (_WORKLOADS, r"\.(volumes|volumeMounts)", "minor", "other files are in the pods"),
    (_WORKLOADS, r"(initC|c)ontainers\[[^\]]+\]$", "minor", "a container came or went"),
    ("StatefulSet", r"^spec\.ordinals", "major", "pods have other names, and with them new volumes"),
    ("HorizontalPodAutoscaler|ScaledObject|ScaledJob", r"^spec", "minor", "the number of pods follows otherwise"),
    ("PodDisruptionBudget", r"^spec", "minor", "a drain may take another number of pods at once"),
    ("ServiceMonitor|PodMonitor|PrometheusRule|Probe", r"^spec", "minor", "metrics or alerts are others"),
    ("Certificate|Issuer|ClusterIssuer", r"^spec", "minor", "other certificates are issued"),
    ("ConfigMap", r"^(data|binaryData)", "minor", "the configuration is another one"),
    ("Secret", r"^(data|stringData)", "minor", "the secret is another one"),
    ("ClusterRole", r"^aggregationRule", "minor", "its rights are gathered from other roles, or no longer"),
    ("CronJob", r"^spec\.(schedule|timeZone|suspend)$", "minor", "runs at other times"),
    ("Service", r"^spec\.(externalTrafficPolicy|internalTrafficPolicy|sessionAffinity|trafficDistribution)",
     "minor", "connections are spread over the pods otherwise"),
    ("Service", r"^spec\.ip", "minor", "addresses of other IP families"),
    ("ServiceAccount", r"^(imagePullSecrets|secrets)", "minor", "pods of the account get other secrets"),
    ("ServiceAccount", r"^automount", "minor", "pods that leave it to the account get a token, or none"),
)  # fmt: skip

ALL_AT_ONCE = "every upgrade from now on stops all pods before new ones start: downtime"
_HOSTS = "spec.template.spec.hostNetwork"  # what every port of a pod is one of its node by
_TAKES_IN = ("port", "protocol", "hostname")  # of a listener, what decides which requests it takes
_NO_DRAIN = {("maxUnavailable", "0"), ("maxUnavailable", "0%"), ("minAvailable", "100%")}
_WHOLE_DRAIN = {("minAvailable", "0"), ("minAvailable", "0%"), ("maxUnavailable", "100%")}
# What people and other charts read of a Secret that a chart makes; in capitals it is an application's own environment.
_CREDENTIAL = re.compile(
    r"data(?!\.[A-Z\d_]+$)[.\[].*?(?i:pass(word)?\b|passwd|token|secret|user(name)?\b|[-_.](key|crt|pem)\b|\b(uri|url|dsn)\b)"
)
# Who reads the annotations of these kinds acts on them: controllers, clouds.
_HEEDED = re.compile(
    r"^(Service|Ingress|Gateway|HTTPRoute|ServiceAccount|PersistentVolumeClaim|Namespace|StorageClass|IngressClass)$"
)
_DESCRIPTIVE = re.compile(
    r"^(app\.kubernetes\.io/(managed-by|part-of|version)|helm\.sh/|chart$|heritage$|release-name$)"
)
_INJECTING = re.compile(
    r"^istio-injection$|\bistio\.io/|\b(inject|injection|injector)\b|^azure\.workload\.identity/use$"
)
# Who looks for objects of these kinds by their labels: operators, sidecars, Services, policies.
_SELECTED = re.compile(
    r"^(Service|Namespace|ConfigMap|Secret|ServiceMonitor|PodMonitor|PrometheusRule|Probe|IngressClass|HTTPRoute|"
    r"Certificate|Pod|PersistentVolumeClaim)$"
)


def judge_field(kind: str, change: FieldChange, versions: Iterable[tuple[str, str]]) -> tuple[Level, str]:
    """The level and the meaning of a changed field, for what is judged by no better rule. `versions` as for `bears`."""
    if (key := label_key(change.path)) is not None:
        return _label(kind, change, *key)
    if re.search(rf"{_C}\.image$", change.path) and isinstance(change.old, str) and isinstance(change.new, str):
        return judge_image(change.old, change.new)
    if re.search(r"\.\w*[iI]mage(Name)?$", change.path) and is_tagged(change.old) and is_tagged(change.new):
        return judge_image(change.old, change.new)  # of what an operator runs
    if given := _handed_on(change):
        return given
    if special := _special(kind, change):
        return special
    if bears(change.old, change.new, versions):
        return "patch", "bears the version"
    for kinds, path, level, meaning in _RULES:
        if re.fullmatch(kinds, kind) and re.search(path, change.path):
            return level, meaning
    if change.path == "apiVersion":
        return "patch", "the same object in another version of its API"
    return "minor", "is set otherwise"


# An image that a program is told to start (an operator, a driver): in an argument, behind a flag, in a variable.
_HANDED_ON = re.compile(
    r"(?P<flag>-{1,2}[\w-]+=)?(?P<image>[a-z0-9.-]+(?::\d+)?(?:/[a-z0-9._-]+)+):[\w][\w.-]*(?:@sha256:[0-9a-f]{64})?"
)


def _handed_on(change: FieldChange) -> tuple[Level, str] | None:
    """The verdict on another version of an image that a container hands on; None where it is none."""
    if not re.search(rf"{_C}\.((command|args)\[\d+\]|env\[[^\]]+\]\.value)$", change.path):
        return None
    old, new = (_HANDED_ON.fullmatch(side) if isinstance(side, str) else None for side in (change.old, change.new))
    if old is None or new is None or old.groups() != new.groups():
        return None
    return judge_image(change.old, change.new)


def _special(kind: str, change: FieldChange) -> tuple[Level, str] | None:
    path, old, new = change.path, change.old, change.new
    if _all_at_once(path, new):
        return "major", ALL_AT_ONCE
    if _held_back(path, new):
        return "major", "pods stay as they are until somebody sees to it: no upgrade reaches them by itself"
    if ended := _ended(kind, path, new):
        return "major", ended
    if re.fullmatch(r"spec\.scaleTargetRef\.(name|kind)", path) and {old, new} != {None, "Deployment"}:
        return "major", "nothing scales the pods of before any more"
    if kind in ("Certificate", "ExternalSecret") and path in ("spec.secretName", "spec.target.name") and old:
        return "major", "the Secret of the old name is no longer renewed: who mounts it keeps what was last in it"
    if kind == "Secret" and new is None and _CREDENTIAL.match(path):
        return "major", "who reads it by this key (another chart, a person) finds nothing"
    if re.search(r"\.volumes\[[^\]]+\]", path) and _had(path, old, "persistentVolumeClaim"):
        return "major", "the data stays behind in the old volume"
    if (re.search(r"\.ports\[[^\]]+\]", path) and _had(path, old, "hostPort")) or (path, old) == (_HOSTS, True):
        return "major", "clients that call this port of the nodes reach nothing"
    if path.startswith("spec.persistentVolumeClaimRetentionPolicy") and "Delete" in str(new):
        return "major", "volumes are deleted with their pods, or with the workload"
    if path.startswith("spec.validationActions") and "Deny" in str(new) and "Deny" not in str(old):
        return "major", "what the policy forbids is refused from now on"
    if kind.endswith("WebhookConfiguration") and path.endswith("failurePolicy") and new != "Ignore":
        return "major", "while the webhook is away, the API server refuses what it asks it about"
    listener = re.match(r"spec\.listeners\[[^\]]+\]\.(\w+)", path)
    if listener and (listener[1] not in _TAKES_IN or (listener[1] == "hostname" and not new)):
        return "minor", "requests are taken in otherwise"
    if kind in ("Gateway", *ROUTES):
        wider = new is None and re.search(r"parentRefs.*\.(sectionName|port)$", path)  # every listener takes them
        if re.search(r"spec\.(parentRefs|listeners)", path) and old is not None and not wider:
            return "major", "requests that came this way are no longer served"
        if path == "spec.gatewayClassName":
            return "major", "another controller serves it, at another address"
        return "minor", "requests are led otherwise"
    if kind == "ReferenceGrant" and path.startswith("spec"):
        if old is not None or path.endswith(".name"):
            return "major", "what it let refer to objects here is refused"
        return "minor", "more may refer to objects here"
    if kind == "ResourceQuota" and path.startswith("spec.hard"):
        return _limited(change)
    if kind == "LimitRange" and (bound := re.search(r"\.(max|min|maxLimitRequestRatio)(\.[^.]+)?$", path)):
        turned = change.new is not None and bound[1] == "min"
        return _limited(replace(change, old=new, new=old) if turned and old is not None else change)
    if kind == "Service" and path == "spec.ipFamilyPolicy" and new == "RequireDualStack":
        return "major", "refused by the API server of a cluster that has one family of addresses"
    if kind == "PersistentVolumeClaim" and path.endswith("requests.storage"):
        return "minor", "the volume grows, where its StorageClass allows it"
    return None


def _limited(change: FieldChange) -> tuple[Level, str]:
    """What a quota lets be, which is everything where it says nothing."""
    was, now = quantity(change.old), quantity(change.new)
    if change.new is None or (was is not None and now is not None and now > was):
        return "minor", "more may be in the namespace"
    return "major", "pods and objects beyond it are refused from now on"


def _held_back(path: str, new: Any) -> bool:
    """Whether an upgrade changes a workload, and not its pods, or not all of them."""
    if path.startswith("spec.updateStrategy"):
        return re.search(r"OnDelete|'partition': [1-9]", f"'{path.rpartition('.')[2]}': {new}") is not None
    return path == "spec.paused" and new is True


def _all_at_once(path: str, new: Any) -> bool:
    """Whether a strategy lets an upgrade stop all pods before new ones are ready."""
    if re.fullmatch(r"spec\.(updateStrategy|strategy)(\.type|\.rollingUpdate(\.maxUnavailable)?)?", path) is None:
        return False
    if isinstance(new, dict) and "type" in new:
        return bool(new["type"] == "Recreate")
    while isinstance(new, dict):
        new = new.get("rollingUpdate", new.get("maxUnavailable"))
    return new in ("Recreate", "100%")


def _ended(kind: str, path: str, new: Any) -> str | None:
    """What a field puts an end to, by being set to that; None where it goes on."""
    if kind in ("Deployment", "StatefulSet", "ReplicaSet") and path == "spec.replicas" and new == 0:
        return "no pod runs any more"
    if kind in ("CronJob", "Job") and path == "spec.suspend" and new is True:
        return "runs no more"
    drained = (path.removeprefix("spec."), str(new)) if kind == "PodDisruptionBudget" else ()
    if drained in _NO_DRAIN:
        return "a drain can take no pod any more, and waits without an end"
    return "a drain may take all pods at once" if drained in _WHOLE_DRAIN else None


def _had(path: str, old: Any, field: str) -> bool:
    """Whether `old`, or what it is a field of, had this field."""
    return old is not None if f".{field}" in path else isinstance(old, dict) and field in old


def _label(kind: str, change: FieldChange, what: str, key: str) -> tuple[Level, str]:
    inner = change.path.startswith("spec.")
    if what == "annotations":
        return _annotation(kind, change, key, inner)
    if key.startswith("pod-security.kubernetes.io/enforce") and kind == "Namespace":
        return _enforced(change)
    if change.old is None and _INJECTING.search(key):
        return "minor", "what heeds this label puts more into the pods"
    if change.old in (None, "") and change.new is not None:
        return "patch", "a further label" if change.old is None else "a label has a value now"
    pod = inner and kind in WORKLOADS
    if pod or (_SELECTED.search(kind) and not inner):
        if _DESCRIPTIVE.search(key):
            return "minor", "a label that describes; who selects by it finds nothing"
        whom = "pods" if pod else "it"
        return "major", f"who selects {whom} by this label (a policy, a monitor, a sidecar) finds nothing"
    return "minor", "who lists it by this label finds nothing"


def _annotation(kind: str, change: FieldChange, key: str, inner: bool) -> tuple[Level, str]:
    if key == "helm.sh/resource-policy":
        if change.old == "keep":
            return "major", "is deleted with the release from now on, and all that it holds"
        return "minor", "stays when the release is deleted"
    if key == "kubernetes.io/ingress.class" and kind == "Ingress":
        return "patch", "another way of naming its class"  # another class is judged as `spec.ingressClassName`
    if key in ("helm.sh/hook", "helm.sh/hook-weight"):
        return "minor", "runs at another moment"
    if key.endswith(".kubernetes.io/is-default-class") and change.old == "true":
        return "major", "what names no class gets none from now on"
    if key.startswith("autoscaling.keda.sh/paused") and change.new not in (None, "false"):
        return "major", "nothing scales the pods any more"
    if key == OWNER:
        return "major", "the token of another account, or of none"
    if inner and "/" in key and not key.startswith("kubectl.kubernetes.io/"):
        return "minor", "what acts on pods by it (a mesh, an injector, a scaler of nodes) does so otherwise"
    if _HEEDED.search(kind) and not inner:
        return "minor", "the controller, or the cloud, acts on it"
    return "patch", "says something else"


def _enforced(change: FieldChange) -> tuple[Level, str]:
    order = (None, "privileged", "baseline", "restricted")
    if change.old in order and change.new in order and order.index(change.new) > max(1, order.index(change.old)):
        return "major", "pods of the namespace that do not meet it are refused"
    return "minor", "pods of the namespace are held to another standard"
