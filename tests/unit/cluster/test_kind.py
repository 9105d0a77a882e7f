"""Removing a cluster's nodes, against an engine that is played."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster import kind
from scripts.core.command import Result, Runner
from scripts.core.errors import ClusterError


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
