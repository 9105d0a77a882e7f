"""`invoke --list` answers about as fast as it would with no tasks at all."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from scripts.core.command import Runner
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
        limit=1.3,
        unit="x",
        cpu_ratio=median([one.children for one in ours]) / median([one.children for one in empty]),
        seconds=median([one.wall for one in ours]),
        empty_seconds=median([one.wall for one in empty]),
        rounds=ROUNDS,
    )
    assert figure.kept, figures.table()
