"""What was written into volumes is found there afterwards, and a pod is waited for where it runs elsewhere."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.core.errors import ClusterError
from scripts.e2e import data as module
from scripts.e2e.data import Data
from scripts.e2e.discover import NOTHING
from scripts.e2e.report import Broken, Journal
from tests.unit.e2e.world import Given, Object, World, journal

CLAIMS = replace(NOTHING, workloads=("StatefulSet/db",), claims=("StatefulSet/db",))


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


def member(name: str = "db-0", node: str = "one", *, claim: str = "data-db-0", **mount: Any) -> Object:
    found = pod(name, node)
    container: Object = {"name": "db", "volumeMounts": [{"name": "data", "mountPath": "/var/db", **mount}]}
    container["securityContext"] = {"runAsUser": 999, "privileged": False}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}, {"name": "tmp", "emptyDir": {}}]
    found["metadata"]["uid"] = name
    found["spec"] |= {"containers": [container], "volumes": volumes, "securityContext": {"fsGroup": 999}}
    return {"kind": "Pod", **found}


def helper_runs(world: World, volumes: Path) -> Callable[[Object], Object]:
    """Runs what a helper pod is told to, with the folder of its claim in the volume's place."""

    def become(item: Object) -> Object:
        (container,) = item["spec"]["containers"]
        claim = item["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
        (folder := volumes / claim).mkdir(exist_ok=True)
        _, flag, script, *words = container["command"]
        argv = [sys.executable, flag, script.replace("/data/", f"{folder}/"), *words]
        ran = subprocess.run(argv, capture_output=True, text=True, check=False)
        world.said[item["metadata"]["name"]] = ran.stdout + ran.stderr
        return {**item, "status": {"phase": "Failed" if ran.returncode else "Succeeded"}}

    return become


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(member())
    made.become = helper_runs(made, tmp_path)
    return made


def states(made: Journal) -> list[str]:
    return [f"{step.name}: {step.detail}" for step in made.steps]


def test_what_was_written_is_there_and_the_helpers_are_gone(world: World) -> None:
    told = journal()
    data = Data(Given(world, found=CLAIMS), told, "shop")
    data.demand_there("the upgrade")
    assert states(told) == [
        "data is written into every volume: /var/db of pod db-0 (claim data-db-0)",
        "the upgrade: the data is there: in 1 volumes",
    ]
    assert [pod["metadata"]["name"] for pod in world.list("Pod")] == ["db-0"]


def test_a_helper_runs_as_the_container_that_keeps_the_data_and_where_it_does(world: World) -> None:
    seen: list[Object] = []
    runs = world.become

    def noted(item: Object) -> Object:
        seen.append(item)
        return runs(item)

    world.become = noted
    Data(Given(world, found=CLAIMS), journal(), "shop")
    spec = seen[0]["spec"]
    assert (spec["nodeName"], spec["securityContext"]) == ("one", {"fsGroup": 999})
    own = spec["containers"][0]["securityContext"]
    assert (own["runAsUser"], own["allowPrivilegeEscalation"], "privileged" in own) == (999, False, False)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda volumes: (volumes / "data-db-0" / ".gati-e2e").unlink(), "has nothing of what was written to"),
        (lambda volumes: (volumes / "data-db-0" / ".gati-e2e").write_text("other"), "has nothing of what was written"),
    ],
    ids=["gone", "another"],
)
def test_data_that_is_lost_is_told_with_its_place(
    world: World, tmp_path: Path, change: Callable[[Path], object], told: str
) -> None:
    data = Data(Given(world, found=CLAIMS), journal(), "shop")
    change(tmp_path)
    with pytest.raises(Broken, match="data is lost by the upgrade") as lost:
        data.demand_there("the upgrade")
    assert told in str(lost.value)


def test_a_release_that_keeps_data_no_more_is_told(world: World) -> None:
    data = Data(Given(world, found=CLAIMS), journal(), "shop")
    world.items = [member(readOnly=True)]
    with pytest.raises(Broken, match="nothing keeps data at /var/db of pod db-0"):
        data.demand_there("the upgrade")


def claim(*modes: str) -> Object:
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-db-0"},
        "spec": {"volumeName": "disk", "accessModes": [*modes]},
    }


@pytest.mark.parametrize("own", [True, False])
def test_a_volume_that_one_pod_alone_may_have_is_looked_at_where_the_kubelet_lets_a_second_one(
    world: World, own: bool
) -> None:
    """It does where the volume is a folder of the node's, as on a cluster of ours."""
    world.items.append(claim("ReadWriteOncePod"))
    told = journal()
    Data(Given(world, found=CLAIMS, own=own), told, "shop").demand_there("the upgrade")
    assert ["ReadWriteOncePod" in line for line in told.skipped] == ([] if own else [True])
    assert (len(told.steps), bool(told.steps[0].detail)) == ((2, True) if own else (1, False))


@pytest.mark.parametrize(
    ("mode", "own", "wrong"),
    [("ReadWriteOnce", True, True), ("ReadWriteMany", True, False), ("ReadWriteOnce", False, False)],
)
def test_a_claim_of_one_node_is_not_on_two(world: World, mode: str, own: bool, wrong: bool) -> None:
    """On a cluster of ours every node has the folder; a cloud would have kept the second pod waiting."""
    world.items += [claim(mode), member("db-1", "two")]
    if wrong:
        with pytest.raises(Broken, match="claim data-db-0 is ReadWriteOnce, and pods on 2 nodes have it"):
            Data(Given(world, found=CLAIMS, own=own), journal(), "shop")
    else:
        Data(Given(world, found=CLAIMS, own=own), journal(), "shop")


def test_a_volume_without_files_is_said(world: World) -> None:
    container: Object = {"name": "db", "volumeDevices": [{"name": "data", "devicePath": "/dev/disk"}]}
    world.items[0]["spec"]["containers"] = [container]
    told = journal()
    Data(Given(world, found=CLAIMS), told, "shop").demand_there("the upgrade")
    assert told.skipped == ["that data stays on the devices of db-0, which have no files"]


def test_what_cannot_be_written_says_what_was_said(world: World, tmp_path: Path) -> None:
    (tmp_path / "data-db-0").mkdir()
    (tmp_path / "data-db-0" / ".gati-e2e").mkdir()
    with pytest.raises(ClusterError, match="data cannot be written or read at /var/db") as refused:
        Data(Given(world, found=CLAIMS), journal(), "shop")
    assert "IsADirectoryError" in str(refused.value)


def test_a_claim_that_no_pod_mounts_is_broken_and_one_by_itself_is_skipped(world: World) -> None:
    world.items = [pod("db-0", "one") | {"kind": "Pod", "spec": {"nodeName": "one", "containers": []}}]
    with pytest.raises(Broken, match="no pod mounts a claim"):
        Data(Given(world, found=CLAIMS), journal(), "shop")
    told = journal()
    found = replace(CLAIMS, claims=("PersistentVolumeClaim/backup",))
    Data(Given(world, found=found), told, "shop").demand_there("the upgrade")
    assert told.skipped == ["that data stays: no pod that runs all the time mounts PersistentVolumeClaim/backup"]


# -- a node that is lost ---------------------------------------------------------------------------


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    nodes: list[str] = []

    @contextlib.contextmanager
    def pause(_: Any, node: str) -> Iterator[None]:
        nodes.append(node)
        yield

    monkeypatch.setattr(module, "_paused", pause)
    return nodes


def lost_node(world: World, *, elsewhere: str = "two") -> None:
    """A controller makes a pod anew on another node as soon as it is deleted."""
    delete = world.delete

    def replaced(kind: str, name: str, namespace: str | None = None, **more: Any) -> None:
        delete(kind, name, namespace, **more)
        if name == "db-0":
            world.items.append(member(node=elsewhere))

    world.delete = replaced  # type: ignore[method-assign]
    world.items += [{"kind": "Node", **pod("one")}]


def test_the_loss_of_a_node_leaves_the_data_and_opens_the_node_again(world: World, paused: list[str]) -> None:
    lost_node(world)
    told = journal()
    data = Data(Given(world, found=CLAIMS), told, "shop")
    data.lose_nodes()
    assert paused == ["one"]
    cordons = [line for line in world.done if line.startswith("patch Node")]
    assert [line.rpartition("unschedulable': ")[2] for line in cordons] == ["True}}", "None}}"]
    assert [step.name for step in told.steps][1:] == [
        "a node is lost, and its pods run elsewhere",
        "the node is back",
        "the loss of a node: the data is there",
    ]


def test_data_that_stayed_on_the_lost_node_is_told(world: World, tmp_path: Path, paused: list[str]) -> None:
    lost_node(world)
    data = Data(Given(world, found=CLAIMS), journal(), "shop")
    (tmp_path / "data-db-0" / ".gati-e2e").unlink()
    with pytest.raises(Broken, match="data is lost with node one"):
        data.lose_nodes()
    assert world.done[-1] == "patch Node one {'spec': {'unschedulable': None}}"


def test_a_node_is_not_lost_that_is_not_ours_or_that_has_the_volumes(world: World, paused: list[str]) -> None:
    told = journal()
    Data(Given(world, found=CLAIMS, own=False), told, "shop").lose_nodes()
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "data-db-0"}, "spec": {"volumeName": "disk"}}
    disk = {"kind": "PersistentVolume", "metadata": {"name": "disk"}, "spec": {"nodeAffinity": {"required": {}}}}
    world.items += [claim, disk]
    Data(Given(world, found=CLAIMS), told, "shop").lose_nodes()
    assert [line.rpartition(", for ")[2] for line in told.skipped] == [
        "the nodes are not ours",
        "the volumes are bound to their nodes",
    ]
    assert not paused
