"""What keeps data is waited for where it runs elsewhere, and not a moment before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.e2e.data import Data


def pod(name: str, node: str = "", *, ready: bool = True, owner: str = "StatefulSet") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "ownerReferences": [{"kind": owner, "name": "o"}] if owner else []},
        "spec": {"nodeName": node} if node else {},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


@pytest.mark.parametrize(
    ("pods", "moved"),
    [
        ([pod("a", "two")], False),  # the other one is deleted and not made anew yet
        ([pod("a", "two"), pod("b", ready=False)], False),  # no node is chosen for it yet
        ([pod("a", "two"), pod("b", "one")], False),
        ([pod("a", "two"), pod("b", "three", ready=False)], False),
        ([pod("a", "two"), pod("b", "three")], True),
        ([pod("a", "two"), pod("b", "three"), pod("d", "one", ready=False, owner="DaemonSet")], True),
        ([pod("a", "two"), pod("b", "three"), pod("alone", "one", owner="")], True),
    ],
)
def test_the_pods_of_a_lost_node_run_elsewhere(pods: list[dict[str, Any]], moved: bool) -> None:
    lab = SimpleNamespace(found=SimpleNamespace(claims=()), pods=lambda _: pods)
    data = Data(cast("Any", lab), cast("Any", None), "shop")
    assert data._moved("one", 2) is moved
