"""Says what the objects of a release name and what is not there: of much nobody complains until it is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from scripts.chart.manifests import Document, mapping, nodes
from scripts.chart.pods import PULL_SECRETS, REFERENCES, Reference, pod_spec, referred
from scripts.core.errors import ClusterError
from scripts.e2e.discover import called
from scripts.e2e.lab import Lab

MONITORS = ("ServiceMonitor", "PodMonitor")
_CLASS = "ingressClassName"
# What a field names, wherever that stands in the spec of an object of the kind.
_FIELDS = {
    ("Ingress", _CLASS): "IngressClass",
    ("Ingress", "secretName"): "Secret",
    ("Issuer", "secretName"): "Secret",
    ("PersistentVolumeClaim", "storageClassName"): "StorageClass",
    ("StatefulSet", "serviceName"): "Service",
    ("StatefulSet", "storageClassName"): "StorageClass",
}
# What names an object of an operator, of whatever kind it says, or else of this one.
_OBJECTS = {"issuerRef": ("Issuer", "cert-manager.io"), "authenticationRef": ("TriggerAuthentication", "keda.sh")}
# Without these an object does a part of what it is for, or somebody else brings them.
_LENIENT = frozenset({PULL_SECRETS, "secretName", "serviceName", "service", "storageClassName", *_OBJECTS})


def missing(lab: Lab, documents: Iterable[Document], namespace: str) -> tuple[list[str], list[str]]:
    """What the objects in `namespace` name and have to find, and is not there; and what may as well be absent.

    Of a chart that is `careful` all has to be there but the controllers that a test cluster lacks, and what those make.
    What cannot be looked at is among the latter.
    """
    absent, told, documents = list[str](), list[str](), list(documents)
    made = {one.spec.get("secretName") for one in documents if one.kind == "Certificate"}
    for document in (one for one in documents if not one.hook):
        for reference in (one for one in named(document) if not one.optional):
            what = f"{document.label} names {reference.kind} {reference.name}"
            lenient = reference.how == _CLASS or (reference.kind == "Secret" and reference.name in made)
            lenient = lenient or (reference.how in _LENIENT and not lab.subject.careful)
            space = reference.namespace or document.namespace or namespace
            try:
                live = lab.api.get(reference.kind, reference.name, space) or {}
            except ClusterError as error:
                told.append(f"{what}, which cannot be looked at: {error.message}")
                continue
            ports = live["spec"].get("ports") or () if live and reference.how == "service" else ()
            there = {*(live.get("data") or ()), *(live.get("binaryData") or ()), *map(_port, ports)}
            lacking = [key for key in reference.keys if key not in there]
            if not live:
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
    for field, value in (pair for node in nodes(spec) for pair in node.items()):
        if value and (kind := _FIELDS.get((document.kind, field))):
            yield Reference(kind, str(value), field)
        if field in _OBJECTS and (name := mapping(value).get("name")):
            kind, group = _OBJECTS[field]
            yield Reference(f"{value.get('kind') or kind}.{value.get('group') or group}", str(name), field)
    for end in called(document):
        space = str(end.get("namespace") or "")
        yield Reference("Service", str(end.get("name")), "service", (_port(end),), False, space)
    if document.kind in MONITORS:
        yield from _keys(spec)


def _port(end: Mapping[str, Any]) -> str:
    return f"port {end.get('port', 443)}"


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
