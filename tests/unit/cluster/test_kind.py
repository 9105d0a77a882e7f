"""Removing a cluster's nodes, against an engine that is played, and what an old one is told of operators."""

from __future__ import annotations

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
    """Holds containers; `late` come up one at a look; `stubborn` ones stay."""

    def __init__(self, *containers: str, late: Sequence[str] = (), stubborn: bool = False) -> None:
        super().__init__()
        self.containers, self.late, self.stubborn = list(containers), list(late), stubborn

    def run(self, argv: Any, **options: Any) -> Result:
        words = tuple(str(word) for word in argv)
        if words[1] == "ps":
            assert words[-1].endswith("=gati-e2e-1")
            listed = " ".join(self.containers)
            if not self.containers and self.late:
                self.containers.append(self.late.pop())
            return Result(words, 0, listed, "", 0.0)
        if words[1] == "exec":
            raise CommandTimeout(words, 60)
        assert words[1] == "rm"
        if self.stubborn:
            return Result(words, 1, "", "device is busy", 0.0)
        self.containers = [name for name in self.containers if name not in words]
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


def test_one_that_comes_up_late_is_removed_too(tmp_path: Path) -> None:
    engine = Engine("control-plane", late=["worker", "worker2"])
    delete(engine, tmp_path, settle=0.5)
    assert (engine.containers, engine.late) == ([], [])


def test_a_cluster_that_is_not_there_is_fine(tmp_path: Path) -> None:
    delete(Engine(), tmp_path)


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
