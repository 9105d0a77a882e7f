"""Owns what a change of a single field means, by the kind of object and the path of the field."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from scripts.chart.manifests import FieldChange
from scripts.chart.pods import DIGEST, WORKLOADS, quantity
from scripts.judge.images import is_tagged, judge_image
from scripts.judge.invalid import OWNER
from scripts.judge.network import ROUTES
from scripts.judge.reason import Level, bears

_WORKLOADS = "|".join(WORKLOADS)
_C = r"(?:initC|c)ontainers\[[^\]]+\]"

ALL_AT_ONCE = "every upgrade from now on stops all pods before new ones start: downtime"
_HELD_BACK = "pods stay as they are until somebody sees to it: no upgrade reaches them by itself"
_EMPTIED = "a drain may take all pods at once"
_STUCK = "a drain can take no pod any more, and waits without an end"
_OF_NODES = "clients that call this port of the nodes reach nothing"
_LEFT_BEHIND = "the data stays behind in the old volume"
_UNGRANTED = "what it let refer to objects here is refused"
_GATEWAY = "|".join(("Gateway", *ROUTES))
_ITEM = r"\[[^\]]+\]"
_GIVEN = "^(?!(None)? -> )"  # before
# Labels that say what an object is, and by which hardly anybody selects.
_DESCRIPTIVE = r'metadata\.labels(\["(app\.kubernetes\.io/(managed-by|part-of|version)|helm\.sh/)'
_DESCRIPTIVE += r"|\.(chart|heritage|release-name)$)"
# Who looks for objects of these kinds by their labels: operators, sidecars, Services, policies.
_SELECTED = "Service|Namespace|ConfigMap|Secret|ServiceMonitor|PodMonitor|PrometheusRule|Probe|IngressClass|HTTPRoute"
_SELECTED += "|Certificate|Pod|PersistentVolumeClaim"
# Who reads the annotations of these kinds acts on them: controllers, clouds.
_HEEDED = "Service|Ingress|Gateway|HTTPRoute|ServiceAccount|PersistentVolumeClaim|Namespace|StorageClass|IngressClass"
# What people and other charts read of a Secret that a chart makes; in capitals it is an application's own environment.
_CREDENTIAL = r"^data(?!\.[A-Z\d_]+$)[.\[].*?(?i:pass(word)?\b|passwd|token|secret|user(name)?\b|[-_.](key|crt|pem)\b|"
_CREDENTIAL += r"\b(uri|url|dsn)\b)"

# (kinds, path, "old -> new", level, meaning), "" for any: the first that matches holds.
Rules = tuple[tuple[str, str, str, Level, str], ...]
_TELLING: Rules = (
    ("Namespace", r'^metadata\.labels\["pod-security\.kubernetes\.io/enforce',
     r"^((None|privileged) -> (baseline|restricted)|baseline -> restricted)$",
     "major", "pods of the namespace that do not meet it are refused"),
    ("Namespace", r'^metadata\.labels\["pod-security\.kubernetes\.io/enforce', "",
     "minor", "pods of the namespace are held to another standard"),
    ("", r'metadata\.labels.*(\bistio\.io/|\b(inject|injection|injector)\b|"azure\.workload\.identity/use")',
     "^None -> ", "minor", "what heeds this label puts more into the pods"),
    ("", r"metadata\.labels", "^None -> ", "patch", "a further label"),
    ("", r"metadata\.labels", "^ -> (?!None$)", "patch", "a label has a value now"),
    (_WORKLOADS, rf"^spec\..*{_DESCRIPTIVE}", "", "minor", "a label that describes; who selects by it finds nothing"),
    (_WORKLOADS, r"^spec\..*metadata\.labels", "",
     "major", "who selects pods by this label (a policy, a monitor, a sidecar) finds nothing"),
    (_SELECTED, rf"^{_DESCRIPTIVE}", "", "minor", "a label that describes; who selects by it finds nothing"),
    (_SELECTED, r"^metadata\.labels", "",
     "major", "who selects it by this label (a policy, a monitor, a sidecar) finds nothing"),
    ("", r"metadata\.labels", "", "minor", "who lists it by this label finds nothing"),
    ("", r'metadata\.annotations\["helm\.sh/resource-policy"', "^keep -> ",
     "major", "is deleted with the release from now on, and all that it holds"),
    ("", r'metadata\.annotations\["helm\.sh/resource-policy"', "", "minor", "stays when the release is deleted"),
    ("Ingress", r'metadata\.annotations\["kubernetes\.io/ingress\.class"', "",  # another one: `spec.ingressClassName`
     "patch", "another way of naming its class"),
    ("", r'metadata\.annotations\["helm\.sh/hook(-weight)?"', "", "minor", "runs at another moment"),
    ("", r'metadata\.annotations.*\.kubernetes\.io/is-default-class"', "^true -> ",
     "major", "what names no class gets none from now on"),
    ("", r'metadata\.annotations\["autoscaling\.keda\.sh/paused', " -> (?!(None|false)$)",
     "major", "nothing scales the pods any more"),
    ("", rf'metadata\.annotations\["{re.escape(OWNER)}"', "", "major", "the token of another account, or of none"),
    ("", r'^spec\..*metadata\.annotations\["(?!kubectl\.kubernetes\.io/|checksum/)[^"]*/', "",
     "minor", "what acts on pods by it (a mesh, an injector, a scaler of nodes) does so otherwise"),
    (_HEEDED, r'^metadata\.annotations\["external-dns\.alpha\.kubernetes\.io/(internal-)?hostname"',
     r"^(?!None -> |(?P<names>.*) -> (?P=names)\s*(,|$))",
     "major", "clients that call the name of before reach nothing"),
    ("Ingress", r'^metadata\.annotations\["[^"]*/auth-(type|url|tls-secret)"',
     "^None -> ", "major", "callers that do not meet it are refused from now on"),
    (_HEEDED, r"^metadata\.annotations", "", "minor", "the controller, or the cloud, acts on it"),
    ("", r"metadata\.annotations", "", "patch", "says something else"),
    ("", r"^spec\.(updateStrategy|strategy)(\.type|\.rollingUpdate(\.maxUnavailable)?)?$",
     r" -> (Recreate|100%|.*'type': 'Recreate'.*|(?!.*'type').*'maxUnavailable': '100%'.*)$", "major", ALL_AT_ONCE),
    ("", r"^spec\.updateStrategy", r" -> .*(OnDelete|'partition': [1-9])", "major", _HELD_BACK),
    ("", r"^spec\.updateStrategy.*\.partition$", " -> [1-9]", "major", _HELD_BACK),
    ("", r"^spec\.paused$", " -> True$", "major", _HELD_BACK),
    ("Deployment|StatefulSet|ReplicaSet", r"^spec\.replicas$", " -> 0$", "major", "no pod runs any more"),
    ("CronJob|Job", r"^spec\.suspend$", " -> True$", "major", "runs no more"),
    ("PodDisruptionBudget", r"^spec\.maxUnavailable$", " -> 0%?$", "major", _STUCK),
    ("PodDisruptionBudget", r"^spec\.minAvailable$", " -> 100%$", "major", _STUCK),
    ("PodDisruptionBudget", r"^spec\.minAvailable$", " -> 0%?$", "major", _EMPTIED),
    ("PodDisruptionBudget", r"^spec\.maxUnavailable$", " -> 100%$", "major", _EMPTIED),
    ("", r"^spec\.scaleTargetRef\.(name|kind)$", "", "major", "nothing scales the pods of before any more"),
    ("Certificate|ExternalSecret", r"^spec\.(secretName|target\.name)$", _GIVEN,
     "major", "the Secret of the old name is no longer renewed: who mounts it keeps what was last in it"),
    ("Secret", _CREDENTIAL, " -> None$", "major", "who reads it by this key (another chart, a person) finds nothing"),
    ("", rf"\.volumes{_ITEM}\.persistentVolumeClaim", "^(?!None -> )", "major", _LEFT_BEHIND),
    ("", rf"\.volumes{_ITEM}", r"^\{.*'persistentVolumeClaim': .* -> ", "major", _LEFT_BEHIND),
    ("", rf"\.ports{_ITEM}\.hostPort", "^(?!None -> )", "major", _OF_NODES),
    ("", rf"\.ports{_ITEM}", r"^\{.*'hostPort': .* -> ", "major", _OF_NODES),
    ("", r"^spec\.template\.spec\.hostNetwork$", "^True -> ", "major", _OF_NODES),  # then each port is one of its node
    ("", r"^spec\.persistentVolumeClaimRetentionPolicy", " -> .*Delete",
     "major", "volumes are deleted with their pods, or with the workload"),
    ("", r"^spec\.validationActions", "^(?!.*Deny.* -> ).* -> .*Deny",
     "major", "what the policy forbids is refused from now on"),
    (".*WebhookConfiguration", "failurePolicy$", " -> (?!Ignore$)",
     "major", "while the webhook is away, the API server refuses what it asks it about"),
    ("", rf"^spec\.listeners{_ITEM}\.(?!(port|protocol|hostname)\b)\w", "", "minor", "requests are taken in otherwise"),
    ("", rf"^spec\.listeners{_ITEM}\.hostname", " -> (None)?$", "minor", "requests are taken in otherwise"),
    (_GATEWAY, r"^spec\.parentRefs.*\.(sectionName|port)$", " -> None$", "minor", "every listener takes them"),
    (_GATEWAY, r"^spec\.(parentRefs|listeners)", "^(?!None -> )",
     "major", "requests that came this way are no longer served"),
    (_GATEWAY, r"^spec\.gatewayClassName$", "", "major", "another controller serves it, at another address"),
    (_GATEWAY, "^spec", "", "minor", "requests are led otherwise"),
    ("ReferenceGrant", r"^spec.*\.name$", "", "major", _UNGRANTED),
    ("ReferenceGrant", "^spec", "^(?!None -> )", "major", _UNGRANTED),
    ("ReferenceGrant", "^spec", "", "minor", "more may refer to objects here"),
    ("Service", r"^spec\.externalName$", "", "major", "the name leads elsewhere"),
    ("Service", r"^spec\.loadBalancerIP$", "", "major", "another address outside"),
    ("Service", r"^spec\.publishNot", "", "minor", "pods are named before they are ready, or no longer"),
    ("Service", r"^spec\.internalTrafficPolicy$", " -> Local$",
     "major", "callers on a node without a pod of it reach nothing"),
    ("Service", r"^spec\.ipFamilyPolicy$", " -> RequireDualStack$",
     "major", "refused by the API server of a cluster that has one family of addresses"),
    ("PersistentVolumeClaim", r"requests\.storage$", "", "minor", "the volume grows, where its StorageClass allows it"),
)  # fmt: skip
# The same, where it is no version that the value bears.
_USUAL: Rules = (
    (_WORKLOADS, r"robe\.(initialDelaySeconds|periodSeconds|timeoutSeconds|failureThreshold|successThreshold)$", "",
     "patch", "the kubelet asks at other times"),
    (_WORKLOADS, r"(liveness|readiness|startup)Probe", "", "minor", "pods are judged healthy by another question"),
    (_WORKLOADS, r"\.resources\b", "", "minor", "a pod may use, or sets aside, another amount: nodes must have it"),
    (_WORKLOADS, rf"{_C}\.terminationMessage\w+$", "", "patch", "how the kubelet runs it"),
    (_WORKLOADS, rf"{_C}\.imagePullPolicy$", "", "minor", "whether a pod can start without the image's registry"),
    (_WORKLOADS, r"^spec\.(revisionHistoryLimit|progressDeadlineSeconds|minReadySeconds|\w+JobsHistoryLimit|"
                 r"ttlSecondsAfterFinished)$", "", "patch", "how the workload is kept"),
    (_WORKLOADS, r"^spec\.replicas$", "", "minor", "another number of pods"),
    (_WORKLOADS, rf"{_C}\.ports", "", "minor", "who reaches the pods' ports by themselves has to follow"),
    (_WORKLOADS, rf"{_C}\.(env|envFrom)\b", "", "minor", "the application is set up otherwise"),
    (_WORKLOADS, rf"{_C}\.(command|args)", "", "minor", "the application is started otherwise"),
    (_WORKLOADS, r"\b(nodeSelector|affinity|tolerations|topologySpreadConstraints|nodeName|runtimeClassName)\b", "",
     "minor", "pods may be placed elsewhere, or nowhere"),
    (_WORKLOADS, r"serviceAccountName$|automountServiceAccountToken$", "", "minor", "pods have other rights"),
    (_WORKLOADS, r"securityContext", "", "minor", "pods run under another user or with other rights"),
    (_WORKLOADS, r"(lifecycle|terminationGracePeriodSeconds)", "", "minor", "a pod ends, or starts, otherwise"),
    (_WORKLOADS, r"\.(volumes|volumeMounts)", "", "minor", "other files are in the pods"),
    (_WORKLOADS, r"(initC|c)ontainers\[[^\]]+\]$", "", "minor", "a container came or went"),
    ("StatefulSet", r"^spec\.ordinals", "", "major", "pods have other names, and with them new volumes"),
    ("HorizontalPodAutoscaler|ScaledObject|ScaledJob", r"^spec", "", "minor", "the number of pods follows otherwise"),
    ("PodDisruptionBudget", r"^spec", "", "minor", "a drain may take another number of pods at once"),
    ("ServiceMonitor|PodMonitor|PrometheusRule|Probe", r"^spec", "", "minor", "metrics or alerts are others"),
    ("Certificate|Issuer|ClusterIssuer", r"^spec", "", "minor", "other certificates are issued"),
    ("ConfigMap", r"^(data|binaryData)", "", "minor", "the configuration is another one"),
    ("Secret", r"^(data|stringData)", "", "minor", "the secret is another one"),
    ("ClusterRole", r"^aggregationRule", "", "minor", "its rights are gathered from other roles, or no longer"),
    ("CronJob", r"^spec\.(schedule|timeZone|suspend)$", "", "minor", "runs at other times"),
    ("Service", r"^spec\.(externalTrafficPolicy|internalTrafficPolicy|sessionAffinity|trafficDistribution)", "",
     "minor", "connections are spread over the pods otherwise"),
    ("Service", r"^spec\.ip", "", "minor", "addresses of other IP families"),
    ("ServiceAccount", r"^(imagePullSecrets|secrets)", "", "minor", "pods of the account get other secrets"),
    ("ServiceAccount", r"^automount", "", "minor", "pods that leave it to the account get a token, or none"),
    ("", "^apiVersion$", "", "patch", "the same object in another version of its API"),
)  # fmt: skip


def judge_field(kind: str, change: FieldChange, versions: Iterable[tuple[str, str]]) -> tuple[Level, str]:
    """The level and the meaning of a changed field, for what is judged by no better rule. `versions` as for `bears`."""
    path, old, new = change.path, change.old, change.new
    if told := _told(kind, change, _TELLING):
        return told
    if re.search(rf"{_C}\.image$", path) and isinstance(old, str) and isinstance(new, str):
        return judge_image(old, new)
    if re.search(r"\.\w*[iI]mage(Name)?$", path) and is_tagged(old) and is_tagged(new):
        return judge_image(old, new)  # of what an operator runs
    if given := _handed_on(change):
        return given
    if kind == "ResourceQuota" and path.startswith("spec.hard"):
        return _limited(change)
    if kind == "LimitRange" and (bound := re.search(r"\.(max|min|maxLimitRequestRatio)(\.[^.]+)?$", path)):
        turned = new is not None and bound[1] == "min"
        return _limited(replace(change, old=new, new=old) if turned and old is not None else change)
    if bears(old, new, versions):
        return "patch", "bears the version"
    return _told(kind, change, _USUAL) or ("minor", "is set otherwise")


def _told(kind: str, change: FieldChange, rules: Rules) -> tuple[Level, str] | None:
    """What the first of the rules that matches says."""
    step = f"{change.old} -> {change.new}"
    for kinds, path, values, level, meaning in rules:
        about_it = re.search(path, change.path) and (not kinds or re.fullmatch(kinds, kind))
        if about_it and re.search(values, step, re.DOTALL):
            return level, meaning
    return None


# An image that a program is told to start (an operator, a driver): in an argument, behind a flag, in a variable.
_HANDED_ON = re.compile(
    r"(?P<flag>-{1,2}[\w-]+=)?(?P<image>[a-z0-9.-]+(?::\d+)?(?:/[a-z0-9._-]+)+):[\w][\w.-]*"
    rf"(?:@{DIGEST})?"
)


def _handed_on(change: FieldChange) -> tuple[Level, str] | None:
    """The verdict on another version of an image that a container hands on; None where it is none."""
    if not re.search(rf"{_C}\.((command|args)\[\d+\]|env\[[^\]]+\]\.value)$", change.path):
        return None
    old, new = (_HANDED_ON.fullmatch(side) if isinstance(side, str) else None for side in (change.old, change.new))
    if old is None or new is None or old.groups() != new.groups():
        return None
    return judge_image(change.old, change.new)


def _limited(change: FieldChange) -> tuple[Level, str]:
    """What a quota lets be, which is everything where it says nothing."""
    was, now = quantity(change.old), quantity(change.new)
    if change.new is None or (was is not None and now is not None and now > was):
        return "minor", "more may be in the namespace"
    return "major", "pods and objects beyond it are refused from now on"
