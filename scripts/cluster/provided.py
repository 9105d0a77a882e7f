"""Gives a kind cluster of ours what a cloud gives: volumes that every node has, and addresses of load balancers."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator
from pathlib import Path

from scripts.cluster.api import Api
from scripts.cluster.objects import Object
from scripts.containers.leftovers import SHARED
from scripts.core.errors import ClusterError
from scripts.core.waiting import repeated

_CLASS = "gati-shared"
_PREFIX = "gati-"  # of the names of volumes
_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_LOOK = 0.5  # seconds between two looks at what waits
_ADDRESSES = {"IPv4": "192.0.2.0/24", "IPv6": "2001:db8::/120"}  # those of documentation (RFC 5737, RFC 3849)


@contextlib.contextmanager
def provided(api: Api, folder: Path) -> Iterator[None]:
    """Bind claims to folders in `folder`, which nodes have as SHARED, and give load balancers addresses, in the block.

    Claims are those of the default class and of classes that the cluster does not have. That default class takes the
    place of the one that kind makes, whose folders are each node's own, and root's. Raises ApiError.
    """
    for other in api.list("StorageClass"):
        api.patch("StorageClass", other["metadata"]["name"], None, {"metadata": {"annotations": {_DEFAULT: "false"}}})
    meta = {"name": _CLASS, "annotations": {_DEFAULT: "true"}}
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": meta}
    api.apply({**kind, "provisioner": "gati.invalid/shared", "volumeBindingMode": "Immediate"})
    others = frozenset(one["metadata"]["name"] for one in api.list("StorageClass")) - {_CLASS}

    def look() -> None:
        _bind(api, folder, others)
        _address(api)

    # Where the API server does not answer, it answers again, or what waits for a volume says so.
    with repeated(look, every=_LOOK, name="provided", bearing=ClusterError):
        yield


def _bind(api: Api, folder: Path, others: frozenset[str]) -> None:
    """A volume for each claim that waits and for which nobody else has one; none for those that are gone.

    `others` are the classes that somebody else provides for.
    """
    volumes = api.list("PersistentVolume")
    ours = [one for one in volumes if one["metadata"]["name"].startswith(_PREFIX)]
    held = {one["spec"].get("storageClassName") for one in volumes if one not in ours}  # of volumes made by hand
    for claim in api.list("PersistentVolumeClaim"):
        spec = claim["spec"]
        ours_to_give = spec.get("storageClassName") not in {None, "", *others, *held} and not spec.get("volumeName")
        if ours_to_give and spec.get("volumeMode") != "Block":  # a folder is no device
            name = f"{_PREFIX}{claim['metadata']['uid']}"
            place = folder / name
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o777)  # whoever the pod runs as
            with contextlib.suppress(ClusterError):  # made at the look before
                api.create(_volume(name, claim))
    for volume in ours:
        if volume["status"].get("phase") in ("Released", "Failed"):
            api.delete("PersistentVolume", volume["metadata"]["name"])


def _address(api: Api) -> None:
    """An address for each load balancer that waits for one: nobody's, but in the cluster it leads to the Service."""
    balancers = [one for one in api.list("Service") if one["spec"].get("type") == "LoadBalancer"]
    given = {entry.get("ip") for one in balancers for entry in _ingress(one)}
    for one in balancers:
        if not _ingress(one):
            meta, spec = one["metadata"], one["spec"]
            family = (spec.get("ipFamilies") or ["IPv4"])[0]
            free = (str(each) for each in ipaddress.ip_network(_ADDRESSES[family]).hosts())
            address = spec.get("loadBalancerIP") or next(each for each in free if each not in given)
            given.add(address)
            change = {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
            with contextlib.suppress(ClusterError):  # gone meanwhile
                api.patch("Service", meta["name"], meta["namespace"], change, part="status")


def _ingress(service: Object) -> list[Object]:
    return (service.get("status", {}).get("loadBalancer") or {}).get("ingress") or []


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
            "storageClassName": spec["storageClassName"],
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {**reference, "namespace": meta["namespace"], "name": meta["name"]},
            "hostPath": {"path": f"{SHARED}/{name}"},
        },
    }
