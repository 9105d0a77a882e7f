"""Judges changed copies of a chart with the real helm; what it has rendered of an unchanged chart it renders once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.chart.source import read_chart
from scripts.judge.judge import judge_charts
from scripts.judge.verdict import Verdict
from scripts.workspace import Workspace, open_workspace
from tests.remembered import shared

ROOT = Path(__file__).parents[2]
GATI = ROOT / "helm" / "gati"

Judge = Callable[..., Verdict]


def open_patient() -> Workspace:
    """The workspace of this project, with nothing said in a changelog."""
    opened = open_workspace(ROOT)
    runner = shared(opened.config.cache_dir)
    return Workspace(opened.config, runner, opened.tools).having(changelog=ROOT / "tests" / "judge" / "none.md")


@pytest.fixture(scope="session")
def work() -> Workspace:
    """That workspace."""
    return open_patient()


@pytest.fixture
def judged(work: Workspace) -> Judge:
    """The verdict on the step from one folder to another, for one Kubernetes minor."""

    def judge(old: Path, new: Path, minor: str = "1.33") -> Verdict:
        before, after = read_chart(old), read_chart(new)
        return judge_charts(work, before, after, before.version, kube_versions=[minor])

    return judge
