"""A cluster that cannot come up says what is in the way, long before kind gives up."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster import kind
from scripts.core.errors import ClusterError
from scripts.workspace import Workspace

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

# kind writes kubeadm's v1beta3 for minors before 1.36, whose arguments are a map; it turns a map into v1beta4's list.
ETCD = {"kind": "ClusterConfiguration", "etcd": {"local": {"extraArgs": {"no-such-flag": "1"}}}}
# A cgroup driver would be no fault: the kubelet takes that of the container runtime, whatever it is told.
KUBELET = {"kind": "KubeletConfiguration", "featureGates": {"NoSuchGate": True}}
IMAGE = {"kind": "ClusterConfiguration", "etcd": {"local": {"imageRepository": "no.such.invalid", "imageTag": "1"}}}


@pytest.mark.parametrize(
    ("patch", "what"),
    [
        (KUBELET, r"on \S+, kubelet ends again and again: .*NoSuchGate"),
        (ETCD, r"container etcd .*no-such-flag"),
        (IMAGE, r"a pod of the control plane is not started: .*no\.such\.invalid"),
    ],
    ids=["kubelet", "etcd", "image"],
)
def test_what_ends_again_and_again_is_named(
    work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patch: dict[str, Any], what: str
) -> None:
    asked = kind.kind_config

    def broken(*given: Any, **named: Any) -> dict[str, Any]:
        document = asked(*given, **named)
        return {**document, "kubeadmConfigPatches": [*document.get("kubeadmConfigPatches", []), json.dumps(patch)]}

    monkeypatch.setattr(kind, "kind_config", broken)
    begin = time.monotonic()
    with pytest.raises(ClusterError, match="does not come up") as told, kind.cluster(work.having(dist=tmp_path)):
        pass
    assert re.search(what, told.value.message), told.value
    assert "the logs of its nodes are in" in str(told.value.found)
    assert time.monotonic() - begin < 120  # of which most is for the nodes to come up, and to be removed again
