"""Owns what pods wait for that no chart makes: Secrets, ConfigMaps, volumes, classes, accounts, to be made first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.chart.manifests import Document, Identity, Manifests
from scripts.judge.defaults import pod_spec
from scripts.judge.reason import Reason

_REFERENCES = {
    "secretName": "Secret", "secretRef": "Secret", "secretKeyRef": "Secret", "secret": "Secret",
    "configMap": "ConfigMap", "configMapRef": "ConfigMap", "configMapKeyRef": "ConfigMap",
    "persistentVolumeClaim": "PersistentVolumeClaim",
}  # fmt: skip
_NAMES = {"priorityClassName": "PriorityClass", "runtimeClassName": "RuntimeClass"}
_NAMES |= {"serviceAccountName": "ServiceAccount"}
_EVERYWHERE = re.compile(
    r"^(kube-root-ca\.crt|openshift-service-ca\.crt|istio-ca-root-cert|default|system-(node|cluster)-critical|)$"
)

Need = tuple[str, str]
"""Kind and name."""


def judge_needs(old: Manifests, new: Manifests) -> Iterator[Reason]:
    """What the pods of workloads that were there need from now on, and neither the chart nor a program of it makes."""
    known, given = {one.identity for one in old}, {need for one in old for need in _needs(one)}
    given |= {(one.kind, one.name) for one in new}
    for document in new:
        if document.hook or document.identity not in known:
            continue
        for kind, name in _needs(document):
            whole = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
            if (kind, name) in given or any(whole.search(text) for one in new for text in _texts(one)):
                continue
            meaning = "the chart does not make it: pods do not start before somebody does"
            yield Reason("major", f"{document.identity} needs", None, f"{kind}/{name}", meaning)
    lacked = set(_lacking(old))
    for identity, key in dict.fromkeys(_lacking(new)):
        if identity in known and (identity, key) not in lacked:
            yield Reason("major", f"{identity} needs", None, key, "the chart makes it without this key: no pod starts")


def _lacking(manifests: Manifests) -> Iterator[tuple[Identity, str]]:
    """The keys that containers ask for and the chart's own ConfigMaps and Secrets have not, by workload."""
    made: dict[Need, set[str]] = {}
    for one in manifests:
        if one.kind in ("ConfigMap", "Secret"):  # one without any key is for somebody else to fill
            held = (one.data.get(part) for part in ("data", "binaryData", "stringData"))
            made[one.kind, one.name] = {str(key) for part in held if isinstance(part, Mapping) for key in part}
    for one in manifests:
        for kind, name, key in _asked(pod_spec(one.kind, dict(one.data))) if not one.hook else ():
            if (keys := made.get((kind, name))) and key not in keys:
                yield one.identity, f"{kind}/{name} {key}"


def _asked(node: Any) -> Iterator[tuple[str, str, str]]:
    """Kind, name and key of what environment variables and volumes take from ConfigMaps and Secrets."""
    if isinstance(node, list):
        for value in node:
            yield from _asked(value)
    elif isinstance(node, dict):
        for field, value in node.items():
            if _REFERENCES.get(field) not in ("ConfigMap", "Secret") or not isinstance(value, dict):
                yield from _asked(value)
            elif value.get("optional") is not True:
                name = str(value.get("name") or value.get("secretName"))
                for item in value.get("items") or [value]:
                    if isinstance(item, dict) and "key" in item:
                        yield _REFERENCES[field], name, str(item["key"])


def _needs(document: Document) -> tuple[Need, ...]:
    found = dict.fromkeys(_referred(pod_spec(document.kind, dict(document.data))))
    return tuple(need for need in found if not _EVERYWHERE.match(need[1]))


def _referred(node: Any) -> Iterator[Need]:
    """What a pod spec refers to and cannot do without."""
    if isinstance(node, list):
        for item in node:
            yield from _referred(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            kind = _REFERENCES.get(key)
            if key in _NAMES and isinstance(value, str):
                yield _NAMES[key], value
            if kind is None or not isinstance(value, Mapping):
                yield from _referred(value)
            elif value.get("optional") is not True:
                name = value.get("name") or value.get("secretName") or value.get("claimName")
                if isinstance(name, str):
                    yield kind, name


def _texts(document: Document) -> list[str]:
    """All texts of an object but the references of its pods: who spells a name there makes what it names."""
    pods = pod_spec(document.kind, dict(document.data)) is not None
    found: list[str] = []

    def read(node: Any) -> None:
        if isinstance(node, str):
            found.append(node)
        elif isinstance(node, list):
            for item in node:
                read(item)
        elif isinstance(node, Mapping):
            for key, value in node.items():
                if not (pods and (key in _REFERENCES or key in _NAMES)):
                    read(value)

    read({key: value for key, value in document.data.items() if key != "metadata"})
    return found
