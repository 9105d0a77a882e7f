"""Judges two renders object by object: what came, went, moved, got another name, or changed."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from scripts.chart.manifests import Document, FieldChange, Manifests, at, changes, mapping, mappings
from scripts.chart.pods import WORKLOADS, chosen, lasting, pod_spec, selects
from scripts.judge import definitions, immutable, invalid, network, rights
from scripts.judge.defaults import BUILT_IN, normalised
from scripts.judge.fields import ALL_AT_ONCE, judge_field
from scripts.judge.needs import judge_needs
from scripts.judge.noise import Noise, leaves, masked
from scripts.judge.pods import STANDARDS, standard
from scripts.judge.reason import Found, Level, Reason

# One kind that moved from one API group to another is the same object to the API server.
_MOVED_GROUPS = {"extensions": {"Deployment": "apps", "DaemonSet": "apps", "ReplicaSet": "apps"}}
_MOVED_GROUPS["extensions"] |= {"Ingress": "networking.k8s.io", "NetworkPolicy": "networking.k8s.io"}
_CLUSTER_WIDE = frozenset(
    {"Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "StorageClass", "PriorityClass"}
    | {"IngressClass", "RuntimeClass", "PersistentVolume", "APIService", "CSIDriver", "ValidatingWebhookConfiguration"}
    | {"MutatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "GatewayClass"}
    | {"VolumeAttributesClass", "ClusterIssuer", "Node"}
)
_UNCALLED = ("PodDisruptionBudget", "NetworkPolicy", "HorizontalPodAutoscaler", "Job")  # by whose names nobody asks
_ALIKE = 0.6  # share of equal lines from which two objects of one kind are one that was renamed
_FINDING = ("PodDisruptionBudget", "ServiceMonitor", "PodMonitor")
_CHOOSING = ("NetworkPolicy", "PodDisruptionBudget")
_HASHED = re.compile(r"-[0-9a-f]{7,64}$")
_LISTED = re.compile(r"helm\.sh/hook(-(delete|output-log)-policy)?")  # in any order

_GONE: Mapping[str, str] = {
    "Namespace": "the namespace is deleted, and all that is in it",
    "PersistentVolumeClaim": "the volume is given back, and with most storage classes its data is deleted",
    "PersistentVolume": "the volume is given up",
    "StatefulSet": "its pods are deleted; their volumes stay behind",
    "Service": "its name and address are gone: clients reach nothing",
    "ServiceAccount": "pods that use it do not start, and rights that others gave to it are gone",
    "Ingress": "its hosts are no longer served",
    "HTTPRoute": "its hosts are no longer served",
    "CustomResourceDefinition": "every object of its kind is deleted with it",
    "PodDisruptionBudget": "a drain may take all pods at once",
    "NetworkPolicy": "pods can be reached from, and reach, where they could not",
    "HorizontalPodAutoscaler": "nothing scales the pods any more",
    "ScaledObject": "nothing scales the pods any more",
    "ServiceMonitor": "Prometheus scrapes it no longer",
    "PodMonitor": "Prometheus scrapes it no longer",
    "PrometheusRule": "its alerts are gone",
    "Secret": "what it holds is deleted; who mounts it does not start",
    "ConfigMap": "who mounts it does not start",
}
_RENAMED: Mapping[str, str] = {
    "Service": "clients that call the old name reach nothing",
    "StatefulSet": "deleted and made again: downtime, and new volumes, since theirs are named after it",
    "PersistentVolumeClaim": "a new, empty volume; the old one is given back",
    "ServiceAccount": "rights that others gave to the old name are not its own",
    "Namespace": "the old namespace is deleted, and all that is in it",
    "ScaledObject": "KEDA refuses a second one for the same workload: the upgrade fails",
}
_MOVED: Mapping[str, str] = {
    "Service": ": clients that call the old name reach nothing",
    "PersistentVolumeClaim": ": a new, empty volume",
    **dict.fromkeys(WORKLOADS, ": downtime"),
}
_CAME: Mapping[str, str] = {
    "PodDisruptionBudget": "a drain may have to wait for it",
    "HorizontalPodAutoscaler": "the number of pods follows the load from now on",
}
TESTED: tuple[Level, str] = ("patch", "helm test asks otherwise")
"""What another test means."""


class Key(NamedTuple):
    """What makes two objects the same one to a cluster, with the namespace that helm gives to those without one."""

    group: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Scene:
    """What all objects of a comparison share. `namespace` is the release's, `fixed` what this Kubernetes keeps as it is
    and newer ones do not."""

    namespace: str = "default"
    noise: Noise = field(default_factory=Noise)
    fixed: immutable.Fixed = ()


def judge_objects(old: Manifests, new: Manifests, scene: Scene) -> Iterator[Reason]:
    """What leads from one render to the other."""
    if old.documents == new.documents:
        return
    before, after = (_keyed(side, scene.namespace) for side in (old, new))
    for key in sorted(before.keys() & after.keys()):
        yield from _judge_pair(before[key], after[key], old, new, scene)
    gone = {key: before[key] for key in sorted(before.keys() - after.keys())}
    fresh = {key: after[key] for key in sorted(after.keys() - before.keys())}
    for was, now in _pairs(gone, fresh):
        yield from _judge_renamed(gone.pop(was), fresh.pop(now), new)
    yield from _judge_gone(gone, fresh, old)
    for document in fresh.values():
        yield from _judge_fresh(document, old, new, scene.namespace)
    yield from rights.judge_rights(old, new, scene.namespace)
    yield from judge_needs(old, new)


def _keyed(manifests: Manifests, namespace: str) -> dict[Key, Document]:
    found: dict[Key, Document] = {}
    for document in manifests:
        group, kind = document.identity.group, document.kind
        where = "" if kind in _CLUSTER_WIDE else document.namespace or namespace
        found[Key(_MOVED_GROUPS.get(group, {}).get(kind, group), kind, where, document.name)] = document
    return found


def _events(document: Document) -> str:
    """The events that a hook is run at, in one order; "" for a part of the release."""
    return ", ".join(sorted(document.hook))


def _is_test(document: Document) -> bool:
    return document.hook == {"test"}


# -- an object on both sides ----------------------------------------------------------------------


def _judge_pair(old: Document, new: Document, before: Manifests, after: Manifests, scene: Scene) -> Iterator[Reason]:
    about, hooks = str(new.identity), (_events(old), _events(new))
    if bool(old.hook) != bool(new.hook):
        meaning = "is a hook no longer: helm refuses to take over an object that a hook left"
        if new.hook:
            meaning = "becomes a hook: helm deletes the object of the release, and makes it when the hook runs"
        one, other = (f"helm.sh/hook: {hook}" if hook else None for hook in hooks)
        yield Reason("major", about, one, other, meaning)
        return
    group, kind = _MOVED_GROUPS.get(old.identity.group, {}).get(old.kind, old.identity.group), old.kind
    was, now = (normalised(group, kind, side.data) for side in (old, new))
    _in_sight((old, new), (was, now), (before, after))
    yield from _refused(new, old.data)
    if old.hook:  # helm makes a hook anew each time, so nothing of it is immutable
        for notes in (side["metadata"]["annotations"] for side in (was, now)):
            for key in [key for key in notes if _LISTED.fullmatch(key)]:
                notes[key] = ", ".join(sorted(re.findall(r"[\w-]+", str(notes[key]))))
        yield from _judge_hook(about, kind, was, now, scene, new)
        return
    if kind == definitions.KIND:
        yield from definitions.judge_definition(old, new)
    named = "*" not in new.name  # else drawn: another one each time
    fixed = immutable.refused(group, kind, was, now, scene.fixed) if named else ()
    if fixed and kind == "Job" and at(was, "spec.ttlSecondsAfterFinished") is not None:
        yield Reason("patch", about, None, None, _BRIEF)
        fixed = ()
    found: list[Found] = [("major", path, one, other, _refusal(kind, path)) for path, one, other in fixed]
    found += _structured(replace(old, data=was), replace(new, data=now), before, after)
    for level, path, one, other, meaning in found:
        yield Reason(level, f"{about} {path}", *masked(kind, path, one, other), meaning)
    told = [path for _, path, *_ in found]
    if definitions.in_crds(new):  # where helm deletes nothing
        told.append('metadata.annotations["helm.sh/resource-policy"]')
    if kind in WORKLOADS:
        yield from _judge_workload(about, kind, was, now)
    if kind in _FINDING and chosen(old, before) and not chosen(new, after):
        told.append("spec.selector")
        one, other = (at(side, "spec.selector") for side in (was, now))
        yield Reason("major", f"{about} spec.selector", one, other, f"finds none any more: {_GONE[kind]}")
    for change in _fields(was, now):
        if _told(kind, change.path, told, old) or scene.noise.folds(new.identity, change):
            continue
        if kind in WORKLOADS and change.path == "spec.replicas" and (scaled := _scaler(new, after)):
            level = "minor"
            meaning = f"set beside {scaled}: an upgrade undoes its scaling"
            if change.new is None:
                level, meaning = "patch", f"left to {scaled}"
        elif change.path == "apiVersion" and not BUILT_IN.match(group):
            level, meaning = "minor", "the operator has to serve this version of its API"
        else:
            level, meaning = judge_field(kind, change, scene.noise.versions)
        yield Reason(level, f"{about} {change.path}", *masked(kind, change.path, change.old, change.new), meaning)


def _in_sight(sides: Sequence[Document], bodies: Sequence[dict[str, Any]], renders: Sequence[Manifests]) -> None:
    """Bring both sides of an object to one form where other objects decide what it means.

    Pods that get what their account says need not say it, and a number of pods that is all of them is 100 %; of how
    many may go where their number is the same.
    """
    for one, body, render in zip(sides, bodies, renders, strict=True):
        pod = pod_spec(one.kind, body) if one.kind not in ("Job", "Pod") else None  # of which that would be refused
        if isinstance(pod, dict) and rights.TOKEN in pod:
            name = (pod.get("serviceAccountName", "default"), one.namespace)
            accounts = {(it.name, it.namespace): it.data for it in render.all("ServiceAccount")}
            if pod[rights.TOKEN] == accounts.get(name, {}).get(rights.TOKEN, True):
                del pod[rights.TOKEN]
    counts = [_pods(one, render) for one, render in zip(sides, renders, strict=True)]
    for body, count in zip(bodies, counts, strict=True):
        keys = ("minAvailable", "maxUnavailable") if len({*counts}) == 1 else ("minAvailable",)
        for place in (at(body, path) for path in ("spec", "spec.strategy.rollingUpdate")):
            for key in keys if count else ():
                if isinstance(place, dict) and isinstance(place.get(key), int) and place[key] >= (count or 0):
                    place[key] = "100%"


def _pods(document: Document, render: Manifests) -> int | None:
    """How many pods a Deployment has, or a budget is about; None where that is not said."""
    near = [document] if document.kind == "Deployment" else []
    if document.kind == "PodDisruptionBudget" and document.spec.get("selector"):
        near = chosen(document, render)
    counts = [
        at(one.data, "spec.replicas") if "replicas" in one.spec else 1
        for one in near
        if one.kind in ("Deployment", "StatefulSet", "ReplicaSet") and not _scaler(one, render)
    ]
    known = counts and len(counts) == len(near) and all(isinstance(one, int) for one in counts)
    return sum(counts) if known else None


def _refused(new: Document, old: Mapping[str, Any]) -> Iterator[Reason]:
    """What the API server would refuse of an object by itself, and would not before."""
    if BUILT_IN.match(new.identity.group) and not _is_test(new):
        refused = {path: found for path, found in invalid.refusals(new.kind, new.data).items() if found[1]}
        known = invalid.refusals(new.kind, old) if refused else {}
        for path, (value, why) in refused.items():
            was, before = known.get(path, (None, ""))
            if not before:
                yield Reason("major", f"{new.identity} {path}", was, value, f"refused by the API server: {why}")


_BRIEF = "runs anew; before the old one is over, and gone by its ttlSecondsAfterFinished, an upgrade fails"


def _refusal(kind: str, path: str) -> str:
    if kind == "Job":
        return "refused by the API server: the upgrade fails until the Job is deleted"
    if path == "spec.strategy":  # see `immutable`
        return f"refused by the API server unless helm 3 sends it: the upgrade fails; else {ALL_AT_ONCE}"
    if kind == "PersistentVolumeClaim":
        return "refused by the API server: the data has to be moved to another claim"
    more = ", and with it every object of its kind" if kind == definitions.KIND else ""
    if kind in ("Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"):
        more = ": downtime" if path == "spec.selector" else "; delete it with --cascade=orphan first"
    return f"refused by the API server: the upgrade fails until the {kind} is deleted and made again{more}"


def _judge_hook(
    about: str, kind: str, old: dict[str, Any], new: dict[str, Any], scene: Scene, document: Document
) -> Iterator[Reason]:
    for change in _fields(old, new):
        by_account = rights.governs(document) and change.path.startswith(rights.JUDGED)
        if by_account or scene.noise.folds(document.identity, change):
            continue
        if _is_test(document):
            level, meaning = TESTED
        elif "hook-delete-policy" in change.path or "hook-output-log-policy" in change.path:
            level, meaning = "patch", "what is left of the hook"
        else:
            level, meaning = judge_field(kind, change, scene.noise.versions)
            level = "minor" if level == "major" else level
        yield Reason(level, f"{about} {change.path}", *masked(kind, change.path, change.old, change.new), meaning)


_IN_SIGHT = {"Service": network.judge_service, "NetworkPolicy": network.judge_policy, "Ingress": network.judge_ingress}
"""What is judged with all objects of both sides in sight."""


def _structured(old: Document, new: Document, before: Manifests, after: Manifests) -> Iterator[Found]:
    kind = new.kind
    if kind in _IN_SIGHT:
        yield from _IN_SIGHT[kind](old, new, before, after)
    elif kind in network.ROUTES:
        yield from network.judge_route(old, new)
    elif kind == "Gateway":
        yield from network.judge_listeners(old, new)
    elif kind == "HorizontalPodAutoscaler":
        for lacking in sorted(_unmeasured(new, after) - _unmeasured(old, before)):
            meaning = "it takes a share of what is not asked for: nothing scales the pods, unless a LimitRange asks"
            yield "major", "spec.metrics", None, lacking, meaning
    elif kind in ("PrometheusRule", "ServiceMonitor", "PodMonitor"):
        was, now = ({*_parts(side.spec)} for side in (old, new))
        lost = was.difference(*(_parts(one.spec) for one in after.all(kind)))
        if kind == "PrometheusRule" or len(lost) > len(now - was):  # else as many are scraped at another port or path
            yield from (("major", f"spec {what}", name, None, _WITHOUT[what]) for what, name in sorted(lost))
    elif kind.endswith("WebhookConfiguration"):
        yield from _asked(old, new)
    elif kind == "ValidatingAdmissionPolicyBinding" and "Deny" in (new.spec.get("validationActions") or ()):
        for path in (f"spec.matchResources.{key}" for key in _SPARING[:2]):
            was, now = (at(side.data, path) for side in (old, new))
            if not network.selector_in(now, was):
                yield "major", path, was, now, "what the policy forbids is refused in more places from now on"


_WITHOUT = {
    "alert": "nobody is told of it any more, and who silences or routes it by this name does so in vain",
    "record": "who reads the series, such as a dashboard, finds nothing",
    "endpoint": "Prometheus scrapes it no longer",
}


def _parts(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The alerts and the series of a PrometheusRule, by name; and what a monitor scrapes, by port and path."""
    for rule in (rule for group in mappings(spec.get("groups")) for rule in mappings(group.get("rules"))):
        yield from ((what, str(rule[what])) for what in _WITHOUT if rule.get(what))
    for one in (*mappings(spec.get("endpoints")), *mappings(spec.get("podMetricsEndpoints"))):
        port, asked = one.get("port") or one.get("targetPort"), one.get("params") or ""
        yield "endpoint", f"{port}{one.get('path') or '/metrics'}{asked}"


def _unmeasured(scaler: Document, manifests: Manifests) -> set[str]:
    """The requests that an HPA takes a share of and its pods do not have."""
    metrics = [
        one.get("resource") or one.get("containerResource") or {} for one in mappings(scaler.spec.get("metrics"))
    ]
    shares = [one for one in metrics if at(one, "target.averageUtilization")]
    target = mapping(scaler.spec.get("scaleTargetRef"))
    return {
        f"requests.{share.get('name')} of {name}"
        for one in manifests
        if (one.kind, one.name) == (target.get("kind"), target.get("name"))
        for share in (shares if metrics else [{"name": "cpu"}])  # which it takes by itself
        for name, asked in _asking(one, share.get("container"))
        if share.get("name") not in asked
    }


def _asking(workload: Document, container: Any) -> Iterator[tuple[str, set[str]]]:
    """By what an HPA takes a share, and of what that asks for some: a container, else the pod if it asks, else all."""
    pod = mapping(pod_spec(workload.kind, workload.data))
    whole = pod.get("resources") and not container
    for one in [pod] if whole else lasting(pod):
        if container in (None, one.get("name")):
            amounts = mapping(one.get("resources"))
            yield str(one.get("name", "the pod")), {*mapping(amounts.get("requests")), *mapping(amounts.get("limits"))}


def _asked(old: Document, new: Document) -> Iterator[Found]:
    """Webhooks that must answer, and are asked about more than before; and in which form they are asked."""
    known, asking = (mappings(side.data.get("webhooks")) for side in (old, new))
    gone, fresh = ([it for it in side if it.get("name") not in {one.get("name") for one in other}]
                   for side, other in ((known, asking), (asking, known)))  # fmt: skip
    for one in gone if old.kind == "MutatingWebhookConfiguration" else ():
        if {**one, "name": None} not in [{**it, "name": None} for it in fresh]:
            meaning = "what it wrote into objects is missing from now on"
            yield "major", f"webhooks[{one.get('name')}]", one, None, meaning
    for one in asking:
        path, renamed = f"webhooks[{one.get('name')}]", {**one, "name": None}
        was = next((it for it in known if it.get("name") == one.get("name") or {**it, "name": None} == renamed), {})
        asked = [question for rule in mappings(was.get("rules")) for question in _questions(rule)]
        more = [rule for rule in mappings(one.get("rules")) if not _covered(rule, asked)]
        if _fails_closed([{**one, "rules": more}]):
            yield "major", f"{path}.rules", was.get("rules"), one["rules"], _MUST_ANSWER
        for key in _SPARING if was and _fails_closed([one]) else ():
            if not network.selector_in(*(_selector(side.get(key)) for side in (one, was))):
                yield "major", f"{path}.{key}", was.get(key), one.get(key), _MUST_ANSWER
        forms, now = (side.get("admissionReviewVersions") or [] for side in (was or one, one))
        if forms != now:
            meaning = "the API server asks in the first of them that it speaks, and takes no webhook without one"
            level: Level = "minor" if {"v1", "v1beta1"} & {*now} else "major"
            yield level, f"{path}.admissionReviewVersions", forms, now, meaning


_SPARING = ("namespaceSelector", "objectSelector", "matchConditions")  # what a webhook is not asked about
_MUST_ANSWER = "while the webhook is away, the API server refuses what it asks it about"


def _selector(value: Any) -> Any:
    """What a webhook is asked about, as a selector: of conditions each has to be met."""
    conditions = [{"key": one.get("expression"), "operator": "Exists"} for one in mappings(value)]
    return {"matchExpressions": conditions} if conditions else value


def _questions(rule: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """What a rule of a webhook asks about: group, version, operation, resource, its part, and where it may be."""
    lists = [rule.get(key) or ["*"] for key in ("apiGroups", "apiVersions", "operations", "resources")]
    for *rest, resource in itertools.product(*lists):
        name, _, part = str(resource).partition("/")
        yield (*map(str, rest), name, part, str(rule.get("scope") or "*") if name == "*" else "Namespaced")


def _covered(rule: Mapping[str, Any], asked: Sequence[tuple[str, ...]]) -> bool:
    """Whether all that a rule asks about was asked about."""
    return all(any(all(map(fnmatchcase, one, other)) for other in asked) for one in _questions(rule))


def _told(kind: str, path: str, told: list[str], old: Document) -> bool:
    """Whether a field is judged by a rule of its own."""
    if any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in told):
        return True
    if kind == "Service":
        return re.split(r"[.\[]", path.removeprefix("spec."))[0] in network.JUDGED and path.startswith("spec.")
    if kind in ("NetworkPolicy", "Ingress", definitions.KIND):
        return path.startswith("spec")
    return rights.governs(old) and path.startswith(rights.JUDGED)


def _fields(old: dict[str, Any], new: dict[str, Any]) -> Iterator[FieldChange]:
    """Every field that differs; labels, annotations and volumes that came or went as a whole one by one."""
    for change in changes(old, new):
        if change.path == "metadata.namespace":
            continue  # said by one side, and left to helm by the other
        yield from leaves(change)


def _judge_workload(about: str, kind: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Reason]:
    """What the pods need of their namespace, whether the selector matches them, and what starts before what."""
    pods = [mapping(pod_spec(kind, side)) for side in (old, new)]
    one, other = map(standard, pods)
    if STANDARDS.index(other) < STANDARDS.index(one):
        meaning = f"a namespace that enforces {one} refuses the pods"
        yield Reason("major", f"{about} Pod Security", one, other, meaning)
    path = "spec.template.metadata.labels"
    labels = at(old, path), at(new, path)
    both = zip((old, new), labels, strict=True)
    fits = [selects(mapping(at(side, "spec.selector")), own or {}) for side, own in both]
    if fits == [True, False]:
        meaning = "the selector does not match the pods: refused by the API server, the upgrade fails"
        yield Reason("major", f"{about} {path}", *labels, meaning)
    kept, keeps = (_kept(side, pod) for side, pod in zip((old, new), pods, strict=True))
    for place, folder in kept.items():
        if keeps.get(place, folder) != folder:
            meaning = "the data stays behind in the old folder of the volume"
            yield Reason("major", f"{about} {place}", folder, keeps[place], meaning)
    names = [[one.get("name") for one in pod.get("initContainers") or ()] for pod in pods]
    was, now = ([name for name in side if name in names[0] and name in names[1]] for side in names)
    if was != now:
        yield Reason("minor", f"{about} spec.template.spec.initContainers", was, now, "run in another order")


def _kept(workload: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, str]:
    """Which folder of a claim stands where in the containers."""
    claims = {one.get("name") for one in mappings(pod.get("volumes")) if one.get("persistentVolumeClaim")}
    claims |= {at(one, "metadata.name") for one in mappings(at(workload, "spec.volumeClaimTemplates"))}
    return {
        f"containers[{one.get('name')}] {mount.get('mountPath')}": str(mount.get("subPath") or "")
        for one in mappings(pod.get("containers"))
        for mount in mappings(one.get("volumeMounts"))
        if mount.get("name") in claims and "subPathExpr" not in mount
    }


def _scaler(document: Document, manifests: Manifests) -> str:
    """What scales a workload, "" where nothing does."""
    for other in manifests:
        target = at(other.data, "spec.scaleTargetRef")
        if not isinstance(target, Mapping) or other.namespace != document.namespace:
            continue
        if (target.get("kind", "Deployment"), target.get("name")) == (document.kind, document.name):
            return f"{other.kind}/{other.name}"
    return ""


# -- renamed, moved, made of another kind ---------------------------------------------------------


def _pairs(gone: Mapping[Key, Document], fresh: Mapping[Key, Document]) -> list[tuple[Key, Key]]:
    """Objects that went and came as one: of the same name elsewhere first, then what is most alike."""
    pairs: list[tuple[Key, Key]] = []
    left = set(fresh)
    for was in gone:
        same = [
            now for now in left if now.kind == was.kind and now.name == was.name
            and (now.group == was.group or now.namespace == was.namespace)
        ]  # fmt: skip
        if len(same) == 1:
            pairs.append((was, same[0]))
            left.discard(same[0])
    taken = {was for was, _ in pairs}
    scored = [
        (_alike(gone[was], fresh[now]), was, now)
        for was in gone
        for now in left
        if was not in taken and (was.group, was.kind) == (now.group, now.kind)
        and bool(gone[was].hook) == bool(fresh[now].hook)
    ]  # fmt: skip
    for score, was, now in sorted(scored, key=lambda one: (-one[0], one[1], one[2])):
        if score >= _ALIKE and was not in taken and now in left:
            pairs.append((was, now))
            taken.add(was)
            left.discard(now)
    return pairs


def _alike(old: Document, new: Document) -> float:
    """How much of two objects is the same apart from their names, from 0 to 1."""
    bodies: list[list[str]] = []
    names = "|".join(re.escape(name) for name in sorted((old.name, new.name), key=len, reverse=True))
    own = re.compile(rf"(?<![A-Za-z0-9])(?:{names})(?![A-Za-z0-9])")
    for side in (old, new):
        flat = [line for line in _lines(normalised(side.identity.group, side.kind, side.data)) if ".name=" not in line]
        bodies.append([own.sub("NAME", line) for line in flat])
    return difflib.SequenceMatcher(None, bodies[0], bodies[1], autojunk=False).ratio() if all(bodies) else 1.0


def _lines(value: Any, path: str = "") -> list[str]:
    if isinstance(value, Mapping):
        return [line for key in sorted(value, key=str) for line in _lines(value[key], f"{path}.{key}")]
    if isinstance(value, list):
        return [line for item in value for line in _lines(item, f"{path}[]")]
    return [f"{path}={value}"]


def _judge_renamed(old: Document, new: Document, after: Manifests) -> Iterator[Reason]:
    about, kind = str(old.identity), old.kind
    if old.hook:
        yield Reason("patch" if _is_test(old) else "minor", about, old.name, new.name, "a hook has another name")
    elif old.identity.group != new.identity.group:
        meaning = "another API group: deleted and made again, where the cluster has that API"
        yield Reason("major", about, old.api_version, new.api_version, meaning)
    elif rights.governs(old):
        meaning = "renamed, or moved; what it grants is told by account"
        if named := ", ".join(rights.gathering(old)):
            meaning = f"renamed: who is bound to it, and does not hold it by {named}, is bound to nothing"
        sides = (str(old.identity), str(new.identity))
        yield Reason("minor" if named else "patch", about, *sides, meaning)
    elif old.namespace != new.namespace:
        meaning = "moved: deleted here and made again in another namespace" + _MOVED.get(kind, "")
        yield Reason("major", about, old.namespace or None, new.namespace or None, meaning)
    elif kind in ("ConfigMap", "Secret") and _HASHED.sub("", old.name) == _HASHED.sub("", new.name):
        yield Reason("patch", about, old.name, new.name, "named after its content; the pods follow")
    elif kind == "Job" and re.sub(r"\d+", "", old.name) == re.sub(r"\d+", "", new.name):
        yield Reason("patch", about, old.name, new.name, "named after a version: runs anew with each")
    elif kind in _UNCALLED:
        yield Reason("minor", about, old.name, new.name, "renamed: deleted and made again")
    else:
        meaning = _RENAMED.get(kind, "deleted and made again" + (": downtime" if kind in WORKLOADS else ""))
        yield Reason("major", about, old.name, new.name, f"renamed: {meaning}")


# -- gone and added -------------------------------------------------------------------------------


def _judge_gone(gone: Mapping[Key, Document], fresh: Mapping[Key, Document], old: Manifests) -> Iterator[Reason]:
    known = all(BUILT_IN.match(one.identity.group) for one in old)  # of the pods that operators make nothing is
    workloads = {key[2:]: key.kind for key in fresh if key.kind in WORKLOADS}  # by their names
    for key, document in gone.items():
        about = str(document.identity)
        if document.hook:
            what = "helm test asks less" if _is_test(document) else f"nothing runs {_events(document)} any more"
            yield Reason("patch" if _is_test(document) else "minor", about, document.kind, None, what)
        elif definitions.in_crds(document):
            meaning = "a new installation lacks the definition; where it is, helm leaves it, and nobody keeps it up"
            yield Reason("major", about, document.kind, None, meaning)
        elif document.annotations.get("helm.sh/resource-policy") == "keep":
            yield Reason("minor", about, document.kind, None, "stays in the cluster; the release forgets it")
        elif rights.governs(document):
            yield Reason("patch", about, document.kind, None, "what it granted is told by account")
        elif known and document.kind in _CHOOSING and not chosen(document, old):
            yield Reason("patch", about, document.kind, None, "is deleted; it was about no pod of the chart")
        elif document.kind == "Job":
            yield Reason("minor", about, document.kind, None, "is deleted, and nothing does its work any more")
        elif key.kind in WORKLOADS and (kind := workloads.get(key[2:])):
            yield Reason("major", about, document.kind, kind, f"deleted, and made again as a {kind}: downtime")
        else:
            yield Reason("major", about, document.kind, None, _GONE.get(document.kind, "is deleted"))


def _judge_fresh(document: Document, old: Manifests, new: Manifests, namespace: str) -> Iterator[Reason]:
    about, kind = str(document.identity), document.kind
    level: Level = "minor"
    meaning = _CAME.get(kind, "is new")
    if document.hook:
        level = "patch" if _is_test(document) else "minor"
        meaning = "helm test asks more" if level == "patch" else f"runs at {_events(document)}"
    elif definitions.in_crds(document):
        group = document.spec.get("group")
        used = any(other.identity.group == group for other in new)
        level = "major" if used else "minor"
        meaning = "helm leaves crds/ alone on an upgrade: kubectl apply it" + (" first, or the upgrade fails" * used)
    elif kind in ("Namespace", "ServiceAccount") and document.name in _standing(kind, old, namespace):
        level, meaning = "major", "it is there already: helm refuses to take it over, and the upgrade fails"
    elif kind == "NetworkPolicy":
        closes = network.added_policy_closes(document, old)
        level = "major" if closes else "minor"
        meaning = "traffic that it does not name is refused from now on" if closes else "more traffic is let through"
    elif kind.endswith("WebhookConfiguration") and _fails_closed(mappings(document.data.get("webhooks"))):
        level, meaning = "major", _MUST_ANSWER
    elif kind in _BINDING and (found := [one for one in _set(document, new) if one[0] == "major"]):
        level, meaning = found[0]
    elif rights.governs(document):
        level, meaning = "patch", "what it grants is told by account"
    yield Reason(level, about, None, kind, meaning)
    yield from _refused(document, {})


_BINDING = ("LimitRange", "PodDisruptionBudget", "ResourceQuota", "ValidatingAdmissionPolicyBinding")


def _set(document: Document, render: Manifests) -> Iterator[tuple[Level, str]]:
    """What each field of an object means that nobody had set before."""
    body = normalised(document.identity.group, document.kind, document.data)
    _in_sight((document,), (body,), (render,))
    spec = mapping(body.get("spec"))
    limits = [dict[str, Any]() for _ in mappings(spec.get("limits"))]
    for change in changes({"limits": limits} if limits else {}, spec, "spec"):
        yield judge_field(document.kind, change, ())


def _standing(kind: str, old: Manifests, namespace: str) -> set[str]:
    """The names of a kind that are in the cluster before anybody makes them: where objects are, and what each has."""
    return {namespace, "default", *(one.namespace for one in old)} if kind == "Namespace" else {"default"}


def _fails_closed(webhooks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a webhook must answer before objects of what is built in, or of any kind, are taken."""
    return any(
        group == "*" or BUILT_IN.match(str(group))
        for one in webhooks
        if one.get("failurePolicy") != "Ignore"
        for rule in mappings(one.get("rules"))
        for group in rule.get("apiGroups") or ()
    )
