"""Judges an upgrade between two sets of rendered objects: what the API server or a running release would refuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scripts.chart.manifests import Document, Identity, Manifests
from tests.render.figures import at

# Fields that the API server lets nobody change.
_IMMUTABLE: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "Deployment": (("spec", "selector"),),
    "StatefulSet": (("spec", "selector"), ("spec", "serviceName"), ("spec", "volumeClaimTemplates")),
    "DaemonSet": (("spec", "selector"),),
    "Job": (("spec", "selector"), ("spec", "template")),
    "RoleBinding": (("roleRef",),),
    "ClusterRoleBinding": (("roleRef",),),
    "PersistentVolumeClaim": (("spec", "storageClassName"), ("spec", "accessModes")),
    "StorageClass": (("provisioner",), ("parameters",)),
}
# Objects that others know by name: clients a Service, pods their account, KEDA the one scaler of a Deployment.
_KNOWN_BY_NAME = frozenset({"Deployment", "Service", "ServiceAccount", "ScaledObject", "HorizontalPodAutoscaler"})
_KEPT = {"helm.sh/resource-policy": "keep"}


def refusals(old: Manifests, new: Manifests) -> list[str]:
    """What stands against the upgrade, one line each; nothing when it is safe."""
    before = {document.identity: document for document in old}
    after = {document.identity: document for document in new}
    found = []
    for identity, document in before.items():
        if identity in after:
            found += [f"{identity}: {what}" for what in _changes(document, after[identity])]
        else:
            found += _removal(identity, document)
    for document in new:
        found += [f"{document.identity}: {what}" for what in _contradictions(document)]
    return found


def _changes(old: Document, new: Document) -> Iterator[str]:
    for path in _IMMUTABLE.get(old.kind, ()):
        if at(old.data, *path) != at(new.data, *path):
            yield f"{'.'.join(path)} is immutable: {at(old.data, *path)} -> {at(new.data, *path)}"
    if old.kind == "Service":
        yield from _service_changes(old.data["spec"], new.data["spec"])
    if old.data.get("immutable") and old.data != new.data:
        yield "the object is immutable"
    if old.kind == "ScaledObject" and at(old.data, "spec", "scaleTargetRef") != at(new.data, "spec", "scaleTargetRef"):
        yield "spec.scaleTargetRef names another workload"


def _service_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    headless = [spec.get("clusterIP") == "None" for spec in (old, new)]
    if headless[0] != headless[1]:
        yield "spec.clusterIP is immutable: a Service cannot become headless, or stop being it"
    first = [(spec.get("ipFamilies") or [None])[0] for spec in (old, new)]
    if first[0] is not None and first[1] is not None and first[0] != first[1]:
        yield "the first of spec.ipFamilies is immutable"


def _removal(identity: Identity, document: Document) -> Iterator[str]:
    if (
        identity.kind == "Namespace"
        and not _KEPT.items() <= (at(document.data, "metadata", "annotations") or {}).items()
    ):
        yield f"{identity}: is gone, and nothing keeps the namespace and all in it from being deleted"
    if identity.kind in _KNOWN_BY_NAME:
        yield f"{identity}: is gone, or has another name, group or namespace"


def _contradictions(new: Document) -> Iterator[str]:
    selected = at(new.data, "spec", "selector", "matchLabels") if new.kind == "Deployment" else None
    if selected is not None and not selected.items() <= at(new.data, "spec", "template", "metadata", "labels").items():
        yield "spec.selector does not match spec.template.metadata.labels"
