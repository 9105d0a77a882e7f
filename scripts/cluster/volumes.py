"""Gives claims on a kind cluster of ours their volumes: folders that every node has, like storage on a network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from scripts.cluster.api import Api
from scripts.cluster.objects import Object
from scripts.core.errors import ClusterError
from scripts.core.waiting import repeated

SHARED = "/gati-volumes"  # where every node has the folder of volumes
_CLASS = "gati-shared"
_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_LOOK = 0.5  # seconds between two looks at the claims


@contextlib.contextmanager
def provisioned(api: Api, folder: Path) -> Iterator[None]:
    """Bind every claim of the default class to a folder in `folder` while the block runs, which nodes have as SHARED.

    It takes the place of the default class that kind makes: that one's folders are each node's own, and root's.
    Raises ApiError.
    """
    for other in api.list("StorageClass"):
        api.patch("StorageClass", other["metadata"]["name"], None, {"metadata": {"annotations": {_DEFAULT: "false"}}})
    meta = {"name": _CLASS, "annotations": {_DEFAULT: "true"}}
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": meta}
    api.apply({**kind, "provisioner": "gati.invalid/shared", "volumeBindingMode": "Immediate"})
    # Where the API server does not answer, it answers again, or what waits for a volume says so.
    with repeated(lambda: _look(api, folder), every=_LOOK, name="volumes", bearing=ClusterError):
        yield


def _look(api: Api, folder: Path) -> None:
    """One look: a volume for each claim that waits, and none for those that are gone."""
    for claim in api.list("PersistentVolumeClaim"):
        spec = claim["spec"]
        if spec.get("storageClassName") == _CLASS and not spec.get("volumeName"):
            name = f"pvc-{claim['metadata']['uid']}"
            place = folder / name
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o777)  # whoever the pod runs as
            with contextlib.suppress(ClusterError):  # made at the look before
                api.create(_volume(name, claim))
    for volume in api.list("PersistentVolume"):
        if volume["spec"].get("storageClassName") == _CLASS and volume["status"].get("phase") in ("Released", "Failed"):
            api.delete("PersistentVolume", volume["metadata"]["name"])


def _volume(name: str, claim: Object) -> Object:
    meta, spec = claim["metadata"], claim["spec"]
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "uid": meta["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "storageClassName": _CLASS,
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {**reference, "namespace": meta["namespace"], "name": meta["name"]},
            "hostPath": {"path": f"{SHARED}/{name}"},
        },
    }
