"""What a cluster of ours gives as a cloud would: volumes to claims, addresses to load balancers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.cluster.provided import provided
from scripts.core.waiting import until

Object = dict[str, Any]


class Cloud:
    """An API with objects by kind."""

    def __init__(self, **objects: list[Object]) -> None:
        self.objects = {"StorageClass": [{"metadata": {"name": "standard"}}], **objects}
        self.deleted: list[str] = []

    def list(self, kind: str) -> list[Object]:
        return list(self.objects.get(kind, []))

    def apply(self, document: Object) -> None:
        self.objects[document["kind"]].append(document)

    def create(self, document: Object) -> None:
        self.objects.setdefault(document["kind"], []).append({**document, "status": {}})
        claims = {one["metadata"]["uid"]: one for one in self.objects["PersistentVolumeClaim"]}
        claims[document["spec"]["claimRef"]["uid"]]["spec"]["volumeName"] = document["metadata"]["name"]

    def patch(self, kind: str, name: str, namespace: str | None, change: Object, *, part: str = "") -> None:
        if part:
            (one,) = (item for item in self.objects[kind] if item["metadata"]["name"] == name)
            one[part] = change[part]

    def delete(self, kind: str, name: str) -> None:
        self.deleted.append(name)


def claim(name: str, storage: str | None) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": name, "namespace": "space", "uid": name}
    return {"metadata": meta, "spec": {**spec, **({} if storage is None else {"storageClassName": storage})}}


def balancer(name: str, **spec: Any) -> Object:
    meta = {"name": name, "namespace": "space"}
    return {"metadata": meta, "spec": {"type": "LoadBalancer", **spec}, "status": {"loadBalancer": {}}}


def address(service: Object) -> str:
    entries = service["status"]["loadBalancer"].get("ingress") or [{"ip": ""}]
    return str(entries[0]["ip"])


def test_claims_are_bound_where_nobody_else_has_a_volume(tmp_path: Path) -> None:
    by_hand = {"metadata": {"name": "mine"}, "spec": {"storageClassName": "manual"}, "status": {"phase": "Available"}}
    old = {"metadata": {"name": "gati-old"}, "spec": {"storageClassName": "x"}, "status": {"phase": "Released"}}
    classes = ("gati-shared", "fast", "standard", "manual", "", None)
    claims = [claim(f"of-{storage}", storage) for storage in classes]
    cloud = Cloud(PersistentVolumeClaim=claims, PersistentVolume=[by_hand, old])
    with provided(cloud, tmp_path):  # type: ignore[arg-type]
        until(lambda: bool(cloud.deleted), what="a look", deadline=10)
    assert [one["metadata"]["name"] for one in claims if "volumeName" in one["spec"]] == ["of-gati-shared", "of-fast"]
    assert {file.name for file in tmp_path.iterdir()} == {"gati-of-gati-shared", "gati-of-fast"}
    assert set(cloud.deleted) == {"gati-old"}
    made = [one["spec"] for one in cloud.objects["PersistentVolume"] if one not in (by_hand, old)]
    assert [spec["storageClassName"] for spec in made] == ["gati-shared", "fast"]


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_load_balancers_have_an_address_each(tmp_path: Path, family: str) -> None:
    plain = {"metadata": {"name": "inner", "namespace": "space"}, "spec": {"type": "ClusterIP"}, "status": {}}
    outer = [balancer(name, ipFamilies=[family]) for name in ("one", "two")]
    asked = balancer("asked", loadBalancerIP="203.0.113.7")
    cloud = Cloud(Service=[plain, *outer, asked])
    with provided(cloud, tmp_path):  # type: ignore[arg-type]
        until(lambda: address(asked) != "", what="a look", deadline=10)
    assert address(asked) == "203.0.113.7"
    first, second = map(address, outer)
    assert first != second
    assert all(text.startswith("192.0.2." if family == "IPv4" else "2001:db8::") for text in (first, second))
    assert plain["status"] == {}
