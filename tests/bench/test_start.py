"""`invoke` starts about as fast as it would with no tasks at all, and a release with nothing to do ends at once."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from scripts.core.command import Runner
from scripts.workspace import Workspace
from tests.bench.measure import Figures, alternate, median

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]
ROUNDS = 15


def test_the_list_of_tasks_takes_little_more_than_an_empty_one(
    figures: Figures, root: Path, runner: Runner, tmp_path: Path
) -> None:
    (tmp_path / "tasks.py").touch()
    invoke = shutil.which("invoke", path=str(Path(sys.executable).parent)) or "invoke"

    def listed(folder: Path) -> None:
        runner.run([invoke, "--list"], cwd=folder, check=folder == root)  # an empty list is a failure to invoke

    for folder in (root, tmp_path):  # both compiled
        listed(folder)
    ours, empty = alternate([lambda: listed(root), lambda: listed(tmp_path)], ROUNDS)
    figure = figures.record(
        "invoke --list: time against an empty tasks.py",
        median([mine.wall / other.wall for mine, other in zip(ours, empty, strict=True)]),
        limit=1.1,
        unit="x",
        cpu_ratio=median([one.children for one in ours]) / median([one.children for one in empty]),
        seconds=median([one.wall for one in ours]),
        empty_seconds=median([one.wall for one in empty]),
        rounds=ROUNDS,
    )
    assert figure.kept, figures.table()


def test_a_release_with_nothing_to_do_ends_at_once(figures: Figures, work: Workspace, tmp_path: Path) -> None:
    """Against what cannot be left out: the libraries loaded, and the chart packed once."""
    invoke = shutil.which("invoke", path=str(Path(sys.executable).parent)) or "invoke"
    helm, chart = work.tools.path("helm"), work.config.root / "helm" / "gati"
    own = {"GATI_DIST": str(tmp_path / "dist"), "GATI_EMBEDDED_REGISTRY": str(tmp_path / "registry")}

    def release() -> None:
        argv = (invoke, "release", "--yes", "--registry", "embedded", "--allow-dirty")
        work.runner.run(argv, cwd=work.config.root, env=own, deadline=120)

    def least() -> None:
        work.runner.run((sys.executable, "-c", "import invoke, requests, yaml"))
        work.runner.run((helm, "package", chart, "--destination", tmp_path))

    release()  # the first one has all to do
    ours, theirs = alternate([release, least], ROUNDS)
    figure = figures.record(
        "invoke release with nothing to do: seconds above imports and one helm package",
        median([mine.wall - other.wall for mine, other in zip(ours, theirs, strict=True)]),
        limit=0.6,
        unit="s",
        seconds=median([one.wall for one in ours]),
        cpu_seconds=median([one.children for one in ours]),
        least_seconds=median([one.wall for one in theirs]),
        rounds=ROUNDS,
    )
    assert figure.kept, figures.table()
