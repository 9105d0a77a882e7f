"""Says what the objects of a release name and what is not there: of much nobody complains until it is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from scripts.chart.manifests import Document, mapping, mappings, nodes
from scripts.chart.pods import PULL_SECRETS, REFERENCES, Reference, pod_spec, referred
from scripts.core.errors import ClusterError
from scripts.e2e.lab import Lab

_MONITORS = ("ServiceMonitor", "PodMonitor")
_CLASS = "ingressClassName"
# Without these an object does a part of what it is for, or somebody else brings them.
_LENIENT = frozenset({PULL_SECRETS, "tls", "serviceName"})


def missing(lab: Lab, documents: Iterable[Document], namespace: str) -> tuple[list[str], list[str]]:
    """What the objects in `namespace` name and have to find, and is not there; and what may as well be absent.

    Of a chart that is `careful` all has to be there but the controllers that a test cluster lacks. What cannot be
    looked at is among the latter.
    """
    absent: list[str] = []
    told: list[str] = []
    for document in (one for one in documents if not one.hook):
        for reference in (one for one in named(document) if not one.optional):
            what = f"{document.kind} {document.name} names {reference.kind} {reference.name}"
            lenient = reference.how == _CLASS or (reference.how in _LENIENT and not lab.subject.careful)
            try:
                live = lab.api.get(reference.kind, reference.name, document.namespace or namespace)
            except ClusterError as error:
                told.append(f"{what}, which cannot be looked at: {error.message}")
                continue
            there = {*((live or {}).get("data") or ()), *((live or {}).get("binaryData") or ())}
            lacking = [key for key in reference.keys if key not in there]
            if live is None:
                (told if lenient else absent).append(f"{what}, which is not there")
            elif lacking:
                (told if lenient else absent).append(f"{what}, which lacks {', '.join(lacking)}")
    return absent, told


def named(document: Document) -> Iterator[Reference]:
    """What an object names, in its own namespace or outside of all."""
    spec, data = document.spec, document.data
    yield from referred(pod_spec(document.kind, data))
    if document.kind == "ServiceAccount":
        yield from referred({PULL_SECRETS: data.get(PULL_SECRETS) or []})
    if role := mapping(data.get("roleRef")):
        yield Reference(str(role.get("kind")), str(role.get("name", "")), "roleRef")
    if document.kind == "StatefulSet" and spec.get("serviceName"):
        yield Reference("Service", str(spec["serviceName"]), "serviceName")
    if document.kind == "Ingress" and spec.get(_CLASS):
        yield Reference("IngressClass", str(spec[_CLASS]), _CLASS)
    for entry in mappings(spec.get("tls")) if document.kind == "Ingress" else ():
        if entry.get("secretName"):
            yield Reference("Secret", str(entry["secretName"]), "tls")
    if document.kind in ("StatefulSet", "PersistentVolumeClaim"):
        classes = (node.get("storageClassName") for node in nodes(spec))
        yield from (Reference("StorageClass", str(name), "storageClassName") for name in classes if name)
    if document.kind in _MONITORS:
        yield from _keys(spec)


def _keys(node: Any, field: str = "") -> Iterator[Reference]:
    """What a monitor names by a name and a key: a Secret, unless it says that it is a ConfigMap."""
    if isinstance(node, dict) and {"name", "key"} <= node.keys():
        optional = node.get("optional") is True
        yield Reference(REFERENCES.get(field, "Secret"), str(node["name"]), field, (str(node["key"]),), optional)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _keys(value, key)
    elif isinstance(node, list):
        for item in node:
            yield from _keys(item, field)
