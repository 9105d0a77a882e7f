"""Asks a cluster that is not ours, before anything is made there, whether it lets us do what a run does."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scripts.cluster.api import Kind
from scripts.core.errors import ClusterError
from scripts.e2e.lab import Lab

_OWNED = ("get", "list", "watch", "create", "patch", "delete")
# What the run itself does, beside installing the chart: (kind, part of it, what with it).
_OURS = (
    ("Namespace", "", ("get", "create", "delete")),
    ("Node", "", ("list",)),
    ("Pod", "", ("get", "list", "watch", "create", "delete", "patch")),
    ("Pod", "log", ("get",)),
    ("Pod", "proxy", ("get",)),
    ("Pod", "eviction", ("create",)),
    ("Service", "", _OWNED),
    ("Secret", "", (*_OWNED, "update")),
    ("ConfigMap", "", ("get", "list")),
    ("Event", "", ("list", "watch")),
    ("EndpointSlice", "", ("list", "watch")),
    ("ReplicaSet", "", ("list", "watch")),
    ("Job", "", ("list", "watch")),
)


@dataclass(frozen=True, order=True)
class Right:
    """A thing that somebody may do: `verb` on `resource` ("pods/log") of an API `group`, "" for the core."""

    group: str
    resource: str
    verb: str


def preflight(lab: Lab, *, cluster_objects: bool) -> None:
    """Raises ClusterError with the rules that are missing, and for objects outside of namespaces unless allowed."""
    documents = [one for values in lab.chosen for one in lab.render(values=values)]
    outside = {
        document.label + (f" in {document.namespace}" if document.elsewhere else "")
        for document in documents
        if lab.is_outside(document)
    }
    if outside and not cluster_objects:
        raise ClusterError(
            "the chart puts objects outside of its namespace, and this cluster is not ours",
            found=", ".join(sorted(outside)),
            run="look at them, and allow them with --cluster-objects",
        )
    definitions = [document.spec for document in documents if document.kind == "CustomResourceDefinition"]
    own = {(spec["group"], spec["names"]["kind"]): spec["names"]["plural"] for spec in definitions}
    wanted = {right for kind, part, verbs in _OURS for right in _rights(lab.api.kind(kind), part, verbs)}
    if any("httpHeaders" in repr(document.data) for document in documents):  # of a probe, which is asked as it is
        wanted |= {*_rights(lab.api.kind("Pod"), "portforward", ("create", "get"))}
    for kind, version in {(document.kind, document.api_version) for document in documents}:
        group = version.rpartition("/")[0]
        # A kind that the chart defines the cluster need not know yet.
        plural = own.get((group, kind)) or lab.api.kind(kind, api_version=version).plural
        wanted |= {Right(group, plural, verb) for verb in _OWNED}
    if missing := _missing(lab, sorted(wanted)):
        raise ClusterError(
            "this cluster does not let us run on it",
            expected="a ClusterRole that also has these rules, bound to who we are\n" + rules(missing),
            run="kubectl auth whoami",
        )


def rules(rights: Iterable[Right]) -> str:
    """The rules of a ClusterRole that gives `rights`."""
    by_resource: dict[tuple[str, str], list[str]] = {}
    for right in sorted(rights):
        by_resource.setdefault((right.group, right.resource), []).append(right.verb)
    by_verbs: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), verbs in by_resource.items():
        by_verbs.setdefault((group, tuple(verbs)), []).append(resource)
    return "\n".join(
        f'- {{apiGroups: ["{group}"], resources: [{", ".join(resources)}], verbs: [{", ".join(verbs)}]}}'
        for (group, verbs), resources in by_verbs.items()
    )


def _rights(kind: Kind, part: str, verbs: Iterable[str]) -> list[Right]:
    resource = f"{kind.plural}/{part}" if part else kind.plural
    return [Right(kind.group, resource, verb) for verb in verbs]


def _missing(lab: Lab, wanted: Iterable[Right]) -> list[Right]:
    """Those of `wanted` that the server would refuse us, in any namespace."""

    def refused(right: Right) -> Right | None:
        resource, _, part = right.resource.partition("/")
        attributes = {"group": right.group, "resource": resource, "subresource": part, "verb": right.verb}
        return None if lab.api.may("SelfSubjectAccessReview", {"resourceAttributes": attributes}) else right

    with ThreadPoolExecutor(8) as pool:
        return [right for right in pool.map(refused, wanted) if right is not None]
