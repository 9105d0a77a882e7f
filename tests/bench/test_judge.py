"""Judging a step of helm/gati, against rendering both versions once."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.chart.archive import unpack
from scripts.chart.source import read_chart
from scripts.checks.matrix import read_plan
from scripts.checks.render import render
from scripts.judge.judge import judge_charts
from scripts.workspace import Workspace
from tests.bench.measure import Figures, alternate, median

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]
ROUNDS = 5
EARLIER = Path(__file__).parents[1] / "render" / "published" / "gati-0.1.0.tgz"


def test_a_verdict_takes_little_more_than_the_renders(figures: Figures, work: Workspace, tmp_path: Path) -> None:
    folders = unpack(EARLIER.read_bytes(), tmp_path), work.config.chart
    old, new = (read_chart(folder) for folder in folders)

    def rendering() -> None:
        for folder in folders:
            render(read_plan(work.having(chart=folder)), work)

    def judging() -> None:
        assert judge_charts(work, old, new, old.version).level == "major"

    judging()  # the first run may have schemas to make
    plain, own = alternate([rendering, judging], ROUNDS)
    speed = figures.record(
        "judge: wall time against rendering both versions",
        median([mine.wall / other.wall for mine, other in zip(own, plain, strict=True)]),
        limit=1.3,
        unit="x",
        wall_seconds=median([one.wall for one in own]),
        render_seconds=median([one.wall for one in plain]),
        cpu_seconds=median([one.children for one in own]),
        render_cpu_seconds=median([one.children for one in plain]),
        rounds=ROUNDS,
    )
    assert speed.kept, figures.table()
