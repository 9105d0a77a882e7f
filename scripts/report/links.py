"""Finds how the objects of one render refer to each other, and gives each a place in a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from scripts.chart.manifests import Document, Manifests, mapping, mappings
from scripts.chart.pods import SELECTORS, WORKLOADS, Reference, chosen
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
    known = {each.identity for each in manifests}
    spaces = Counter((kind, name) for kind, name, _ in {(one.kind, one.name, one.namespace) for one in known})
    groups = Counter((kind, name) for kind, name, _ in {(one.kind, one.name, one.group) for one in known})

    def told(kind: str, name: str, space: str) -> Key:
        """With its namespace, and a group that is not Kubernetes' own, where there are others of that name, too."""
        plain, _, group = kind.partition(".")
        own = groups[plain, name] < 2 or "." not in group or group.endswith(".k8s.io")
        return plain if own else kind, name if spaces[plain, name] < 2 else f"{space}/{name}".lstrip("/")

    keys = [told(f"{one.kind}.{one.identity.group}", one.name, one.space) for one in manifests]
    objects = {key: one.source for key, one in zip(keys, manifests, strict=True)}
    links = tuple(
        dict.fromkeys(
            Link(key, told(other.kind, other.name, other.namespace or one.space), other.how)
            for key, one in zip(keys, manifests, strict=True)
            for other in (*named(one), *_named(one), *_chosen(one, manifests))
            if other.name
        )
    )
    columns: dict[int, list[Key]] = {}
    for key in dict.fromkeys((*objects, *(link.target for link in links))):
        columns.setdefault(_COLUMN.get(key[0].partition(".")[0], 0), []).append(key)
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
        place = {key: (row + 0.5) / len(some) for some in columns for row, key in enumerate(some)}

        def middle(key: Key, place: Mapping[Key, float] = place) -> float:
            near = [place[other] for other in joined.get(key, ())]
            return sum(near) / len(near) if near else 2.0  # what nothing is joined to stands below

        columns = [sorted(some, key=middle) for some in columns]
    return columns


def _named(document: Document) -> Iterator[Reference]:
    """What else an object names: what it scales, leads requests to, gives rights to, or has made."""
    spec = document.spec
    rules = mappings(spec.get("rules"))
    paths = [path for rule in rules for path in mappings(mapping(rule.get("http")).get("paths"))]
    ends = [
        mapping(one).get("service") for one in (spec.get("defaultBackend"), *(path.get("backend") for path in paths))
    ]
    subjects = [one for one in mappings(document.data.get("subjects")) if one.get("kind") == "ServiceAccount"]
    certified = [{"name": spec.get("secretName")}] if document.kind == "Certificate" else []
    for how, usual, some in (
        ("scaleTargetRef", "Deployment", [spec.get("scaleTargetRef")]),
        ("targetRef", "Deployment", [spec.get("targetRef")]),
        ("subjects", "ServiceAccount", subjects),
        ("backend", "Service", ends),
        ("parentRefs", "Gateway", mappings(spec.get("parentRefs"))),
        ("backendRefs", "Service", [one for rule in rules for one in mappings(rule.get("backendRefs"))]),
        ("secretName", "Secret", certified),
    ):
        for to in map(mapping, some):
            space = str(to.get("namespace") or "")
            group = str(to.get("group") or to.get("apiVersion") or "").partition("/")[0]
            yield Reference(f"{to.get('kind') or usual}.{group}", str(to.get("name") or ""), how, namespace=space)


def _chosen(document: Document, manifests: Manifests) -> Iterator[Reference]:
    how, _ = SELECTORS.get(document.kind, ("", ()))
    return (Reference(other.kind, other.name, how, namespace=other.space) for other in chosen(document, manifests))
