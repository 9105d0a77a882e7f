"""Owns the comparison of live objects before and after, field by field, without what differs by nature."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scripts.chart.manifests import nodes
from scripts.cluster.api import Api
from scripts.cluster.objects import Object, containers_of, is_hook, is_passing, release_of
from scripts.core.paths import below

# What the server or a controller writes, anew in every object.
_METADATA = frozenset(
    {"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"}
    | {"deletionGracePeriodSeconds"}
)
_ANNOTATIONS = frozenset(
    {"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"}
    | {"kubectl.kubernetes.io/last-applied-configuration", "endpoints.kubernetes.io/last-change-trigger-time"}
    | {"autoscaling.alpha.kubernetes.io/conditions", "autoscaling.alpha.kubernetes.io/current-metrics"}
)
_ASSIGNED = frozenset({"clusterIP", "clusterIPs"})  # of a Service, unless it is to have none; no change can be made
_JOB_LABELS = frozenset({"controller-uid", "batch.kubernetes.io/controller-uid"})
# Made by controllers without an owner reference that would say so.
_DERIVED = frozenset({"Endpoints", "Lease"})
_HELM_RECORD = "helm.sh/release.v1"
_TOKEN = re.compile(r"^kube-api-access-\w+$")
# What tells the entries of a list apart, by the first of these that does.
_NAMES = ("name", "mountPath", "containerPort", "port", "key", "type", "ip")


@dataclass(frozen=True)
class Snapshot:
    """Normalised objects by "namespace/Kind.group/name". The content of Secrets is in it: it is not to be written."""

    objects: Mapping[str, Object] = field(repr=False)


@dataclass(frozen=True)
class Difference:
    """One field that differs. `path` is "" for a whole object; None stands for what is not there.

    `object` is "Deployment gati-ingress". A Secret's content is replaced by `***`.
    """

    object: str
    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        where = f"{self.object}: {self.path}" if self.path else self.object
        if self.before is None:
            return f"{where} is new: {_short(self.after)}"
        if self.after is None:
            return f"{where} is gone: {_short(self.before)}"
        return f"{where} was {_short(self.before)} and is {_short(self.after)}"


def take(api: Api, namespaces: Sequence[str]) -> Snapshot:
    """The namespaces, and all that is declared in them now; not what controllers make of it, nor helm's own records.

    Raises ApiError, ClusterError.
    """
    found: list[Object] = []
    for namespace in namespaces:
        found += (*filter(None, [api.get("Namespace", namespace)]), *api.objects(namespace))
    return read_objects(found)


def read_objects(objects: Sequence[Object]) -> Snapshot:
    """The snapshot of raw objects, as the API gives them."""
    scaled = {
        (target.get("kind"), target.get("name"), item["metadata"].get("namespace"))
        for item in objects
        if item["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")
        for target in [{"kind": "Deployment", **item["spec"]["scaleTargetRef"]}]
    }
    return Snapshot({_key(item): _normalised(item, scaled) for item in objects if _declared(item)})


def differences(before: Snapshot, after: Snapshot) -> tuple[Difference, ...]:
    """Every field in which the two differ, by object and path. A part that only one has is one difference."""
    found: list[Difference] = []
    for key in sorted({*before.objects, *after.objects}):
        old, new = before.objects.get(key), after.objects.get(key)
        present = old or new or {}
        label = f"{present['kind']} {present['metadata']['name']}"
        for path, was, now in _compare("", old, new):
            if present["kind"] == "Secret" and (not path or path.startswith(("data", "stringData"))):
                was, now = (None if value is None else "***" for value in (was, now))
            found.append(Difference(label, path, was, now))
    return tuple(found)


def _declared(item: Object) -> bool:
    owners, ours = item["metadata"].get("ownerReferences") or (), release_of(item)[0] is not None
    owned = any(owner.get("controller") or not ours for owner in owners)
    passing = is_passing(item) or (is_hook(item) and item["kind"] in ("Pod", "Job"))  # it is made anew when it is due
    return not owned and not passing and item["kind"] not in _DERIVED and item.get("type") != _HELM_RECORD


def _key(item: Object) -> str:
    group = item["apiVersion"].rpartition("/")[0]
    meta = item["metadata"]
    return f"{meta.get('namespace', '')}/{item['kind']}{'.' + group if group else ''}/{meta['name']}"


def _normalised(item: Object, scaled: set[tuple[Any, Any, Any]]) -> Object:
    item = copy.deepcopy(item)
    item.pop("status", None)
    meta = item["metadata"] = {key: value for key, value in item["metadata"].items() if key not in _METADATA}
    if "deletionTimestamp" in meta:
        meta["deletionTimestamp"] = "(it is being deleted)"
    notes = meta.pop("annotations", {})
    if annotations := {key: value for key, value in notes.items() if key not in _ANNOTATIONS}:
        meta["annotations"] = annotations
    for owner in meta.get("ownerReferences", ()):
        owner.pop("uid", None)
    if (item["kind"], meta["name"], meta.get("namespace")) in scaled:
        item.get("spec", {}).pop("replicas", None)  # the autoscaler's, not the release's
    if item["kind"] == "Service" and item.get("spec", {}).get("clusterIP") != "None":
        for key in _ASSIGNED & item.get("spec", {}).keys():  # another one, where it was made anew
            del item["spec"][key]
    if item["kind"] == "Job":
        for node in nodes(item):
            for label in _JOB_LABELS & node.keys():
                del node[label]
    if item["kind"] == "Pod":
        _without_placement(item)
    if item["kind"] == "Secret" and item.get("type") == "kubernetes.io/service-account-token":
        item.pop("data", None)
    return item


def _without_placement(pod: Object) -> None:
    """Drop where a pod was put, and the name of its token, which is drawn anew for each."""
    pod["spec"].pop("nodeName", None)
    for volume in pod["spec"].get("volumes", ()):
        volume["name"] = _TOKEN.sub("kube-api-access", volume["name"])
    for container in containers_of(pod):
        for mount in container.get("volumeMounts", ()):
            mount["name"] = _TOKEN.sub("kube-api-access", mount["name"])


def _compare(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """(path, old, new) of every difference below `path`."""
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _compare(below(path, key), old.get(key), new.get(key))
        return
    if isinstance(old, list) and isinstance(new, list):
        olds, news = _entries(old, new)
        for key in [*olds, *(key for key in news if key not in olds)]:
            yield from _compare(f"{path}[{key}]", olds.get(key), news.get(key))
        if olds.keys() == news.keys() and [*olds] != [*news]:
            yield f"{path} (order)", [*olds], [*news]
        return
    yield path, old, new


def _entries(old: list[Any], new: list[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries of both lists by what tells them apart: a name if all have one, else their position."""
    for name in _NAMES:
        keyed = []
        for items in (old, new):
            entries = {str(item[name]): item for item in items if isinstance(item, dict) and name in item}
            if len(entries) == len(items):
                keyed.append(entries)
        if len(keyed) == 2:
            return keyed[0], keyed[1]
    olds, news = ({str(index): item for index, item in enumerate(items)} for items in (old, new))
    return olds, news


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f"{text[:160]}..." if len(text) > 160 else text
