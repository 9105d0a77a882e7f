"""Finds how the objects of one render refer to each other, and gives each a place in a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from scripts.chart.manifests import Document, Manifests, mapping, mappings
from scripts.chart.pods import WORKLOADS, pod_template, selects
from scripts.e2e.references import named

Key = tuple[str, str]  # kind and name

# Left to right: who is asked from outside, who chooses pods, the pods, what they use, who may do what.
_COLUMNS = (
    ("Ingress", "Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "ServiceMonitor"),
    (
        *("Service", "NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler", "ScaledObject"),
        *("VerticalPodAutoscaler", "PodMonitor"),
    ),
    WORKLOADS,
    (
        *("ServiceAccount", "ConfigMap", "Secret", "PersistentVolumeClaim", "Issuer", "ClusterIssuer"),
        *("PriorityClass", "RuntimeClass", "StorageClass", "IngressClass"),
    ),
    ("RoleBinding", "ClusterRoleBinding"),
    ("Role", "ClusterRole"),
)
_COLUMN = {kind: number for number, kinds in enumerate(_COLUMNS) for kind in kinds}
_SWEEPS = 4


class Link(NamedTuple):
    """One object names another; `how` says by which field."""

    source: Key
    target: Key
    how: str


def picture(manifests: Manifests) -> dict[str, Any]:
    """Every object of `manifests`, and every one that they name and do not hold, each with its place; and the links."""
    alike = Counter((one.kind, one.name) for one in manifests)

    def told(key: Key, namespace: str) -> Key:
        """`key` with its namespace where others have objects of that name, too; what an object names is in its own."""
        return key if alike[key] < 2 else (key[0], f"{namespace}/{key[1]}".lstrip("/"))

    objects = {told((one.kind, one.name), one.namespace): one.source for one in manifests}
    links = tuple(
        dict.fromkeys(
            Link(told(link.source, one.namespace), told(link.target, one.namespace), link.how)
            for one in manifests
            for link in _links(one, manifests)
        )
    )
    columns: dict[int, list[Key]] = {}
    for key in dict.fromkeys((*objects, *(link.target for link in links))):
        columns.setdefault(_COLUMN.get(key[0], 0), []).append(key)
    order = _sorted([columns[number] for number in sorted(columns)], links)
    return {
        "nodes": [
            {"kind": key[0], "name": key[1], "column": column, "row": row,
             "template": objects.get(key, ""), "there": key in objects}
            for column, some in enumerate(order) for row, key in enumerate(some)
        ],
        "links": [{"from": "/".join(link.source), "to": "/".join(link.target), "how": link.how} for link in links],
    }  # fmt: skip


def _sorted(columns: list[list[Key]], links: Iterable[Link]) -> list[list[Key]]:
    """The columns, each in an order in which few links cross: an object stands where those that it is joined to do."""
    joined: dict[Key, list[Key]] = {}
    for link in links:
        joined.setdefault(link.source, []).append(link.target)
        joined.setdefault(link.target, []).append(link.source)
    for _ in range(_SWEEPS):
        place = {key: row / len(some) for some in columns for row, key in enumerate(some)}

        def middle(key: Key, place: Mapping[Key, float] = place) -> float:
            near = [place[other] for other in joined.get(key, ())]
            return sum(near) / len(near) if near else 2.0  # what nothing is joined to stands below

        columns = [sorted(some, key=middle) for some in columns]
    return columns


def _links(document: Document, manifests: Manifests) -> Iterator[Link]:
    kind, data, spec = document.kind, document.data, document.spec
    source = (kind, document.name)
    referred = ((one.how, (one.kind.partition(".")[0], one.name)) for one in named(document))
    for how, target in (*referred, *_named(kind, data, spec)):
        if target[1]:
            yield Link(source, target, how)
    for how, selector, kinds in _selectors(kind, spec):
        terms = {
            "matchLabels": mapping(selector.get("matchLabels")),
            "matchExpressions": mappings(selector.get("matchExpressions")),
        }
        for other in (one for one in manifests if one.kind in kinds):
            chosen = pod_template(other.kind, other.data) if other.kind in WORKLOADS else other.data
            if selects(terms, mapping(mapping(mapping(chosen).get("metadata")).get("labels"))):
                yield Link(source, (other.kind, other.name), how)


def _named(kind: str, data: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[tuple[str, Key]]:
    """What else an object names: what it scales, leads requests to, or gives rights to; the field, and the object."""
    for field in ("scaleTargetRef", "targetRef"):
        target = mapping(spec.get(field))
        if target.get("name"):
            yield field, (str(target.get("kind", "Deployment")), str(target["name"]))
    if kind.endswith("RoleBinding"):
        for subject in mappings(data.get("subjects")):
            if subject.get("kind") == "ServiceAccount":
                yield "subjects", ("ServiceAccount", str(subject.get("name")))
    if kind == "Ingress":
        rules = [
            path for rule in mappings(spec.get("rules")) for path in mappings(mapping(rule.get("http")).get("paths"))
        ]
        for backend in (mapping(spec.get("defaultBackend")), *(mapping(rule.get("backend")) for rule in rules)):
            yield "backend", ("Service", str(mapping(backend.get("service")).get("name", "")))
    for parent in mappings(spec.get("parentRefs")):
        yield "parentRefs", (str(parent.get("kind", "Gateway")), str(parent.get("name", "")))
    for rule in mappings(spec.get("rules")):
        for backend in mappings(rule.get("backendRefs")):
            yield "backendRefs", (str(backend.get("kind", "Service")), str(backend.get("name", "")))
    if kind == "Certificate":
        yield "secretName", ("Secret", str(spec.get("secretName") or ""))


def _selectors(kind: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], tuple[str, ...]]]:
    """How an object chooses others by their labels: the field, the selector, and the kinds that it chooses from."""
    if kind == "Service" and spec.get("selector"):
        yield "selector", {"matchLabels": spec["selector"]}, WORKLOADS
    elif kind == "NetworkPolicy":
        yield "podSelector", mapping(spec.get("podSelector")), WORKLOADS
    elif kind in ("PodDisruptionBudget", "PodMonitor"):
        yield "selector", mapping(spec.get("selector")), WORKLOADS
    elif kind == "ServiceMonitor":
        yield "selector", mapping(spec.get("selector")), ("Service",)
