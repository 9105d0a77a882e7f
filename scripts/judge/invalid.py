"""Owns what the API server refuses of an object whatever it was before, and no schema of its kind says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from scripts.chart.manifests import mapping, mappings
from scripts.chart.pods import pod_spec, quantity
from scripts.judge.defaults import OWN

Checked = Iterator[tuple[str, Any, str]]
"""Path, what stands there, and why that is refused ("" where it is not)."""

_WHERE = {"CronJob": "spec.jobTemplate.spec.template.spec", "Pod": "spec"}
_RESTARTS = {"Job": ("OnFailure", "Never"), "CronJob": ("OnFailure", "Never"), "Pod": ("Always", "OnFailure", "Never")}
_HANDLERS = {"exec", "httpGet", "tcpSocket", "grpc", "sleep"}
_NONE = (0, "0", "0%")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"), "small letters, digits and '-'"
_AMOUNT = re.compile(r"\+?(\d+\.?\d*|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][-+]?\d+)?", re.ASCII), "it is no amount"
_KEY = re.compile(r"(?!\.$|\.\.)[-.\w]{1,253}", re.ASCII)
# The fields of a schedule: least, most, names. No time zone: that is another field's.
_CRON = (
    *((0, 59, ""), (0, 23, ""), (1, 31, "")),
    *((1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"), (0, 6, "sun mon tue wed thu fri sat")),
)
_TIMES = {f"@{name}" for name in ("yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly")}
_EVERY = re.compile(r"@every (\d+(\.\d+)?(ns|us|ms|s|m|h))+")
# What a field may be, by its name or that of what it stands in, wherever that is in a pod; and how one says it.
_FIELDS: Mapping[str, tuple[Collection[Any] | re.Pattern[str], str]] = {
    "containerPort": (range(1, 65536), "1 to 65535"), "hostPort": (range(65536), "0 to 65535"),
    "defaultMode": (range(0o1000), "0 to 0777"), "mode": (range(0o1000), "0 to 0777"),
    "maxSkew": (range(1, 2**31), "1 or more"), "weight": (range(1, 101), "1 to 100"),
    "expirationSeconds": (range(600, 2**32), "600 or more"),
    "imagePullPolicy": (("Always", "IfNotPresent", "Never"), "Always, IfNotPresent or Never"),
    "whenUnsatisfiable": (("DoNotSchedule", "ScheduleAnyway"), "DoNotSchedule or ScheduleAnyway"),
    "subPath": (re.compile(r"(?!/|\.\.(/|$)|.*/\.\.(/|$)).*"), "it leads out of the volume"),
    **dict.fromkeys(("containers.name", "initContainers.name", "volumes.name"), _NAME),
    "ports.name": (re.compile(r"(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*"), "15 small letters and '-' at most"),
    **dict.fromkeys(("env.name", "envFrom.prefix"), (re.compile("[ -<>-~]+"), "printable signs other than '='")),
    **dict.fromkeys(("limits.*", "requests.*"), _AMOUNT),
    "labels.*": (re.compile(r"(?=.{1,63}$)([A-Za-z0-9][-\w.]*)?[A-Za-z0-9]", re.ASCII), "63 letters, digits, -_."),
}  # fmt: skip
# Lists whose items are told apart by these of their fields.
_BY_HELM_3 = ", which helm 3 alone gets taken"  # what it sends is merged and not applied
_APART: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("volumeMounts", ("mountPath",), ""), ("volumeDevices", ("devicePath",), ""), ("ports", ("name",), ""),
    ("ports", ("port", "protocol"), ""), ("ports", ("containerPort", "protocol"), _BY_HELM_3),
    ("topologySpreadConstraints", ("topologyKey", "whenUnsatisfiable"), ""), ("env", ("name",), _BY_HELM_3),
    ("imagePullSecrets", ("name",), _BY_HELM_3), ("hostAliases", ("ip",), _BY_HELM_3),
)  # fmt: skip
_BALANCED = ("loadBalancerClass", "loadBalancerSourceRanges")
_HELD = {"kubernetes.io/tls": {"tls.crt", "tls.key"}, "kubernetes.io/dockerconfigjson": {".dockerconfigjson"}}
_HELD["kubernetes.io/ssh-auth"] = {"ssh-privatekey"}
OWNER = "kubernetes.io/service-account.name"  # whose token a Secret holds


def refusals(kind: str, data: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """What is looked at, by its path: what stands there, and why the API server refuses it ("" where it does not)."""
    return {path: (value, why) for path, value, why in _checked(kind, data, mapping(data.get("spec")))}


def _checked(kind: str, data: Mapping[str, Any], spec: Mapping[str, Any]) -> Checked:
    about = mapping(data.get("metadata"))
    yield from _fields("metadata.labels", about.get("labels"), "labels")
    if kind in ("ConfigMap", "Secret"):
        keys = {str(key) for part in ("data", "stringData", "binaryData") for key in mapping(data.get(part))}
        missing = _HELD.get(str(data.get("type")), set()) - keys if kind == "Secret" else set()
        odd = [f"{key!r} is no key of one" for key in sorted(keys) if not _KEY.fullmatch(key)]
        yield "data", sorted(keys), (odd or [f"its type asks for {key}" for key in sorted(missing)] or [""])[0]
        if data.get("type") == "kubernetes.io/service-account-token":
            told = mapping(about.get("annotations")).get(OWNER)
            yield "metadata.annotations", told, "" if told else f"its type asks for {OWNER}"
    elif kind == "Role":
        urls = [rule["nonResourceURLs"] for rule in mappings(data.get("rules")) if rule.get("nonResourceURLs")]
        yield "rules", urls, "addresses are granted by a ClusterRole" if urls else ""
    elif kind == "CronJob":
        name = about.get("name")
        yield "metadata.name", name, "52 letters at most: those of its Jobs are longer" if len(str(name)) > 52 else ""
        times = spec.get("schedule")
        yield "spec.schedule", times, "" if _scheduled(str(times)) or times is None else "it is no schedule of cron"
    if kind in ("Deployment", "DaemonSet"):
        yield from _replaced(kind, spec)
    elif kind == "HorizontalPodAutoscaler":
        most, least = (quantity(spec.get(key, 1)) for key in ("maxReplicas", "minReplicas"))
        fewer = most is not None and least is not None and most < least
        yield "spec.maxReplicas", spec.get("maxReplicas"), "it is below spec.minReplicas" if fewer else ""
    elif kind == "PodDisruptionBudget":
        both = [key for key in ("minAvailable", "maxUnavailable") if spec.get(key) not in (None, "")]
        yield "spec", {key: spec[key] for key in both}, "it may say one of both" if len(both) > 1 else ""
        yield from _shares("spec", spec)
    elif kind == "Service":
        ports = mappings(spec.get("ports"))
        names = [port.get("name") for port in ports]
        told = "each of several ports has a name of its own" if len({*names} - {None}) < len(ports) > 1 else ""
        yield "spec.ports", names, told
        yield from _twice("spec", spec)
        inner = (spec.get("type") or "ClusterIP") == "ClusterIP" and not spec.get("externalIPs")
        told = "it is of a LoadBalancer" if spec.get("type") != "LoadBalancer" else ""
        yield from ((f"spec.{key}", spec.get(key), told if spec.get(key) else "") for key in _BALANCED)
        outer = {f"spec.ports[{one.get('name') or one.get('port')}].nodePort": one.get("nodePort") for one in ports}
        outer["spec.externalTrafficPolicy"] = spec.get("externalTrafficPolicy")
        yield from ((path, told, "a ClusterIP has none" if inner and told else "") for path, told in outer.items())
        outside = spec.get("clusterIP") == "None" and spec.get("type") in ("NodePort", "LoadBalancer")
        yield "spec.clusterIP", spec.get("clusterIP"), f"a {spec.get('type')} has an address" if outside else ""
    elif kind.endswith("WebhookConfiguration") and str(data.get("apiVersion")).endswith("/v1"):
        for one in mappings(data.get("webhooks")):
            path, effects, wait = f"webhooks[{one.get('name')}]", one.get("sideEffects"), one.get("timeoutSeconds", 10)
            yield f"{path}.sideEffects", effects, "" if effects in ("None", "NoneOnDryRun") else "None or NoneOnDryRun"
            yield f"{path}.timeoutSeconds", wait, "" if wait is None or wait in range(1, 31) else "1 to 30"
    if isinstance(pod := pod_spec(kind, data), Mapping):
        yield from _pod(kind, data, pod)


def _scheduled(text: str) -> bool:
    words = text.lower().split()
    if text.startswith("@"):
        return text in _TIMES or bool(_EVERY.fullmatch(text))
    return len(words) == 5 and all(map(_within, words, _CRON))


def _within(word: str, field: tuple[int, int, str]) -> bool:
    """Whether a word of a schedule, like `*/5` or `mon-fri,0`, is one for its field."""
    low, high, names = field
    known = {name: low + index for index, name in enumerate(names.split())}
    known |= {str(number): number for number in range(low, high + 1)} | {"*": low, "?": low}
    for part in word.split(","):
        span, *steps = part.split("/")
        ends = [known.get(end.lstrip("0") or "0", -1) for end in span.split("-")]
        if -1 in ends or len(ends) > 2 or ends != sorted(ends) or len(steps) > 1:
            return False
        if steps and not re.fullmatch("0*[1-9][0-9]*", steps[0]):
            return False
    return True


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
    if (strategy.get("type") or "RollingUpdate") != "RollingUpdate":
        why = "rollingUpdate is of another type" if rolling else ""
    yield f"spec.{key}.rollingUpdate", rolling or None, why
    yield from _shares(f"spec.{key}.rollingUpdate", rolling)
    ready, wait = spec.get("minReadySeconds") or 0, spec.get("progressDeadlineSeconds") or 600
    late = isinstance(ready, int) and isinstance(wait, int) and ready >= wait
    told = "it is not above minReadySeconds" if late and kind == "Deployment" else ""
    yield "spec.progressDeadlineSeconds", wait, told


def _shares(path: str, node: Mapping[str, Any]) -> Checked:
    """How many of several pods: a number, which a text is not, or a percentage."""
    for key in ("minAvailable", "maxUnavailable", "maxSurge"):
        value = node.get(key)
        odd = isinstance(value, str) and value and not re.fullmatch(r"\d+%", value)
        yield f"{path}.{key}", value, f"{value!r} is text: a number, or a percentage" if odd else ""


def _pod(kind: str, data: Mapping[str, Any], pod: Mapping[str, Any]) -> Checked:
    path = _WHERE.get(kind, "spec.template.spec")
    policy, allowed = pod.get("restartPolicy") or "Always", _RESTARTS.get(kind, ("Always",))
    yield f"{path}.restartPolicy", policy, "" if policy in allowed else " or ".join(allowed)
    if kind not in _RESTARTS:
        limit = pod.get("activeDeadlineSeconds")
        yield f"{path}.activeDeadlineSeconds", limit, "that is of Jobs" if limit else ""
    wanted, odd = mappings(pod.get("tolerations")), ""
    for one in wanted:
        odd = "Exists has no value" if one.get("operator") == "Exists" and one.get("value") else odd
        if one.get("tolerationSeconds") is not None and one.get("effect") != "NoExecute":
            odd = "tolerationSeconds are of NoExecute"
    yield f"{path}.tolerations", wanted, odd
    yield from _fields(path, pod)
    yield from _twice(path, pod)
    volumes, claims = mappings(pod.get("volumes")), mappings(mapping(data.get("spec")).get("volumeClaimTemplates"))
    both = [*mappings(pod.get("initContainers")), *mappings(pod.get("containers"))]
    twice = [str(one.get("name")) for one in both if _several(one, both)]
    yield f"{path}.containers", twice, f"{twice[0]} stands there twice" if twice else ""
    for one in volumes:
        sources = sorted(key for key, value in one.items() if isinstance(value, Mapping))
        told = "one volume of one source" if len(sources) > 1 or _several(one, volumes) else ""
        yield f"{path}.volumes[{one.get('name')}]", sources, told
    known = {str(one.get("name")) for one in (*volumes, *(mapping(claim.get("metadata")) for claim in claims))}
    for key in ("initContainers", "containers"):
        for one in mappings(pod.get(key)):
            grace = pod.get("terminationGracePeriodSeconds", 30)
            yield from _container(f"{path}.{key}[{one.get('name')}]", one, known, grace)
    for one in mappings(pod.get("containers")) if pod.get("hostNetwork") else ():
        for index, port in enumerate(mappings(one.get("ports"))):
            if port.get("hostPort") not in (None, 0, port.get("containerPort")):
                where = f"{path}.containers[{one.get('name')}].ports[{port.get('name') or index}].hostPort"
                yield where, port["hostPort"], "beside hostNetwork it is the containerPort"


def _fields(path: str, node: Any, within: str = "") -> Checked:
    """Each field of a pod, or below it, that may be one of few things; `within` is the name of what it stands in."""
    for index, one in enumerate(node if isinstance(node, list) else ()):
        yield from _fields(f"{path}[{mapping(one).get('name') or index}]", one, within)
    for key, value in mapping(node).items():
        names = (f"{within}.{key}", f"{within}.*", key)
        allowed, told = next((_FIELDS[name] for name in names if name in _FIELDS), (None, ""))
        if allowed is not None and value not in (None, ""):
            fits = allowed.fullmatch(str(value)) if isinstance(allowed, re.Pattern) else value in allowed
            yield f"{path}.{key}", value, "" if fits else told
        elif key not in OWN:
            yield from _fields(f"{path}.{key}", value, key)


def _several(one: Mapping[str, Any], others: list[Mapping[str, Any]]) -> bool:
    return len([other for other in others if other.get("name") == one.get("name")]) > 1


def _container(path: str, one: Mapping[str, Any], volumes: set[str], grace: Any) -> Checked:
    yield f"{path}.image", one.get("image"), "" if one.get("image") else "a container has an image"
    asked = {f"{path}.{key}": one.get(key) for key in ("livenessProbe", "readinessProbe", "startupProbe")}
    asked |= {f"{path}.lifecycle.{key}": mapping(one.get("lifecycle")).get(key) for key in ("preStop", "postStart")}
    for where, how in asked.items():
        if isinstance(how, Mapping) and how:
            ways = [key for key in _HANDLERS & how.keys() if how[key] is not None]
            told = "" if len(ways) == 1 else "it is one of exec, httpGet, tcpSocket, grpc, sleep"
            if (how.get("successThreshold") or 1) != 1 and not where.endswith("readinessProbe"):
                told = "successThreshold is 1"
            rest = mapping(how.get("sleep")).get("seconds")
            if isinstance(rest, int) and isinstance(grace, int) and rest > grace:
                told = f"it sleeps for longer than the {grace} s that a pod has to end"
            yield where, how, told
    amounts = mapping(one.get("resources"))
    limits = mapping(amounts.get("limits"))
    for name, amount in mapping(amounts.get("requests")).items():
        wanted, most = quantity(amount), quantity(limits.get(name))
        over = wanted is not None and most is not None and wanted > most
        if over:
            yield f"{path}.resources.requests.{name}", amount, f"it is above the limit, {limits.get(name)}"
    for each in mappings(one.get("env")):
        both = each.get("value") not in (None, "") and each.get("valueFrom") is not None
        yield f"{path}.env[{each.get('name')}]", each, "value beside valueFrom" if both else ""
    for each in mappings(one.get("volumeMounts")):
        told = "" if str(each.get("name")) in volumes else "the pod has no such volume"
        yield f"{path}.volumeMounts[{each.get('mountPath')}]", each.get("name"), told
    yield from _twice(path, one)


def _twice(path: str, one: Mapping[str, Any]) -> Checked:
    """What stands twice in a list of a pod, or of a container."""
    for what, keys, but in _APART:
        items = ({"protocol": "TCP", **each} for each in mappings(one.get(what)) if each.get(keys[0]))
        names = [" ".join(str(each.get(key)) for key in keys) for each in items]
        if twice := [name for name, times in Counter(names).items() if times > 1]:
            yield f"{path}.{what}", names, f"{', '.join(twice)} stands there twice{but}"
