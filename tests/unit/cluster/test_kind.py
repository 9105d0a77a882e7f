"""Removing a cluster's nodes, against an engine that is played, and what an old one is told of operators."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.cluster import kind
from scripts.containers.node_image import NodeImage
from scripts.core.command import Result, Runner
from scripts.core.errors import ClusterError, CommandFailed, CommandTimeout


class Engine(Runner):
    """Holds containers; `late` come up one at a look; `stubborn` ones stay, and a `busy` one goes on by itself.

    They were made with the folder `volumes`.
    """

    def __init__(
        self,
        *containers: str,
        late: Sequence[str] = (),
        stubborn: bool = False,
        busy: bool = False,
        volumes: Path | str = "",
    ) -> None:
        super().__init__()
        self.volumes = volumes
        self.containers, self.late, self.stubborn, self.busy = list(containers), list(late), stubborn, busy

    def run(self, argv: Any, **options: Any) -> Result:
        words = tuple(str(word) for word in argv)
        if words[1] == "ps":
            assert words[-1].endswith("=gati-e2e-1")
            listed = " ".join(self.containers)
            if not self.containers and self.late:
                self.containers.append(self.late.pop())
            return Result(words, 0, listed, "", 0.0)
        if words[1] == "inspect":
            return Result(words, 0, f"{self.volumes}\n", "", 0.0)
        if words[1] == "exec":
            raise CommandTimeout(words, 60)
        assert words[1] == "rm"
        if self.stubborn:
            return Result(words, 1, "", "device is busy", 0.0)
        self.containers = [name for name in self.containers if name not in words]
        if self.busy:
            raise CommandTimeout(words, 60)
        return Result(words, 0, "", "", 0.0)


def delete(engine: Engine, folder: Path, *, settle: float = 0) -> None:
    """Delete the cluster gati-e2e-1 as the end of a run does; no tool is looked for."""
    maker = object.__new__(kind._Maker)
    maker._runner, maker._folder = engine, folder
    maker.delete("gati-e2e-1", settle=settle)


@pytest.mark.parametrize("settle", [0, 0.3])
def test_every_node_is_removed(settle: float, tmp_path: Path) -> None:
    engine = Engine("control-plane", "worker")
    delete(engine, tmp_path, settle=settle)
    assert engine.containers == []


def test_the_kubeconfig_goes_too(tmp_path: Path) -> None:
    (tmp_path / "gati-e2e-1.kubeconfig").touch()
    delete(Engine("control-plane"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_that_hangs_is_removed_with_its_volumes(tmp_path: Path) -> None:
    (tmp_path / "gati-e2e-1.volumes").mkdir()
    engine = Engine("control-plane")
    delete(engine, tmp_path)
    assert (engine.containers, list(tmp_path.iterdir())) == ([], [])


def test_the_volumes_are_those_of_the_run_that_made_it(tmp_path: Path) -> None:
    """A kept cluster may be found by a run that writes its results elsewhere."""
    (made := tmp_path / "first" / "volumes").mkdir(parents=True)
    delete(Engine("control-plane", volumes=made), tmp_path / "second")
    assert not made.exists()


def test_one_that_comes_up_late_is_removed_too(tmp_path: Path) -> None:
    engine = Engine("control-plane", late=["worker", "worker2"])
    delete(engine, tmp_path, settle=0.5)
    assert (engine.containers, engine.late) == ([], [])


def test_a_cluster_that_is_not_there_is_fine(tmp_path: Path) -> None:
    delete(Engine(), tmp_path)


def test_a_busy_engine_goes_on_with_what_it_was_asked(tmp_path: Path) -> None:
    engine = Engine("control-plane", "worker", busy=True)
    delete(engine, tmp_path)
    assert engine.containers == []


def test_what_cannot_be_removed_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kind, "_DELETE_DEADLINE", 0.3)
    with pytest.raises(ClusterError, match="gati-e2e-1") as refused:
        delete(Engine("worker", stubborn=True), tmp_path)
    assert "device is busy" in str(refused.value)


def test_what_cannot_reach_the_nodes_says_so_beforehand() -> None:
    kind.demand_reachable_nodes("linux")
    with pytest.raises(ClusterError, match="cannot be reached from macOS") as caught:
        kind.demand_reachable_nodes("darwin")
    assert "--kube-context" in (caught.value.run or "")


class Old(Runner):
    """A kubectl of a cluster that refuses `never`, and takes a definition without fields that it does not know."""

    def __init__(self, *never: str) -> None:
        super().__init__()
        self.never = never

    def run(self, argv: Any, *, check: bool = True, **options: Any) -> Result:
        words = tuple(str(word) for word in argv)
        if words[2] == "apply":
            raise CommandFailed(words, 1, stderr="failed to create typed patch object: field not declared in schema")
        if words[2] == "create":
            assert "--validate=ignore" in words
            assert not check  # those that are there already are no failure
        names = [name for name in ("things.a.example", "others.a.example") if name not in self.never]
        return Result(words, 0, "".join(f"crd/{name}\n" for name in names), "", 0.0)


@pytest.mark.parametrize(
    ("version", "never", "said"),
    [
        ("v1.29.15", (), []),
        ("v1.29.15", ("others.a.example",), ["Kubernetes v1.29.15 refuses the definitions of others.a.example"]),
        ("v1.29.15", ("things.a.example", "others.a.example"), None),
        ("v1.37.2", (), None),
    ],
    ids=["takes all in its way", "refuses one", "takes none", "is the newest"],
)
def test_an_old_cluster_does_without_what_it_refuses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, never: tuple[str, ...], said: list[str] | None
) -> None:
    files = []
    for name in ("things", "others"):
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(f"kind: CustomResourceDefinition\nmetadata:\n  name: {name}.a.example\n")
    monkeypatch.setattr(kind, "CRD_SETS", ("a",))
    monkeypatch.setattr(kind, "crd_files", lambda *_: tuple(files))
    told: list[str] = []
    maker: Any = object.__new__(kind._Maker)
    maker._runner, maker._folder, maker._say = Old(*never), tmp_path, told.append
    maker._image = NodeImage("node", version, has_cni=False)
    maker._toolchain = SimpleNamespace(minors=("1.29", "1.37"), path=lambda _: "kubectl")
    if said is None:
        with pytest.raises(CommandFailed):
            maker._define("x")
    else:
        maker._define("x")
        assert told == said


# -- what is asked for, and what is read of it -----------------------------------------------------


def image(kubernetes: str = "v1.37.2", *, has_cni: bool = False) -> NodeImage:
    return NodeImage("gati/node:1", kubernetes, has_cni=has_cni)


@pytest.mark.parametrize(
    ("kubernetes", "cgroup_v1", "patched"),
    [("v1.37.2", True, True), ("v1.31.0", True, True), ("v1.30.9", True, False), ("v1.37.2", False, False)],
)
def test_a_cluster_has_a_worker_in_each_zone_and_bears_an_old_cgroup(
    kubernetes: str, cgroup_v1: bool, patched: bool
) -> None:
    asked = kind.kind_config(image(kubernetes), cgroup_v1=cgroup_v1, volumes=Path("/volumes"))
    first, *workers = asked["nodes"]
    assert first["role"] == "control-plane"
    assert [node["labels"][kind.ZONE_LABEL] for node in workers] == ["a", "b", "c"]
    assert all(node["extraMounts"][0]["hostPath"] == "/volumes" for node in asked["nodes"])
    assert asked["networking"]["disableDefaultCNI"] is True
    assert ("kubeadmConfigPatches" in asked) is patched
    bare = kind.kind_config(image(has_cni=True), cgroup_v1=False)
    assert bare["networking"]["disableDefaultCNI"] is False
    assert not any("extraMounts" in node for node in bare["nodes"])


def item(name: str, *addresses: str, pods: str | None = "10.244.1.0/24", zone: str = "") -> dict[str, Any]:
    told = [{"type": "Hostname", "address": name}, *({"type": "InternalIP", "address": one} for one in addresses)]
    labels = {kind.ZONE_LABEL: zone} if zone else {}
    meta = {"name": name, "labels": labels}
    return {"metadata": meta, "spec": {"podCIDR": pods} if pods else {}, "status": {"addresses": told}}


def test_a_node_counts_once_it_has_an_address_and_a_range_of_pods() -> None:
    late = (item("none"), item("six", "fc00::2"), item("bare", "172.18.0.9", pods=None))
    found = kind.read_nodes([item("two", "fc00::3", "172.18.0.3", zone="a"), item("one", "172.18.0.2"), *late])
    assert [(node.name, node.address, node.worker) for node in found] == [
        ("one", "172.18.0.2", False),
        ("two", "172.18.0.3", True),
    ]


def test_a_node_is_led_to_the_pods_of_every_other_and_last_takes_its_own_network() -> None:
    one, two = kind.read_nodes([item("one", "172.18.0.2"), item("two", "172.18.0.3", pods="10.244.2.0/24")])
    lines = kind.network_script(one, [two]).splitlines()
    assert "ip route replace 10.244.2.0/24 via 172.18.0.3" in lines
    assert "ip route replace unreachable 10.244.1.0/24" in lines
    told = next(line for line in lines if line.startswith("{"))
    assert json.loads(told)["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]
    assert lines[-1].startswith("mv ")


@pytest.mark.parametrize(("limit", "told"), [("128", True), ("512", False), ("", False), (None, False)])
def test_a_low_limit_of_inotify_is_told_with_its_fix(
    limit: str | None, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "INOTIFY", tmp_path / "limit")
    if limit is not None:
        (tmp_path / "limit").write_text(limit)
    assert bool(kind.inotify_hint()) is told
    assert not told or "sysctl -w fs.inotify.max_user_instances=1024" in str(kind.inotify_hint())


def test_macos_is_told_where_its_nodes_are() -> None:
    kind.demand_reachable_nodes("linux")
    with pytest.raises(ClusterError, match="cannot be reached from macOS"):
        kind.demand_reachable_nodes("darwin")
