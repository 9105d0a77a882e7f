"""Judges changed copies of a chart with the real helm; what it has rendered of an unchanged chart it renders once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.chart.helm import Helm
from scripts.chart.source import read_chart
from scripts.judge.judge import judge_charts
from scripts.judge.verdict import Verdict
from scripts.workspace import Workspace, open_workspace

ROOT = Path(__file__).parents[2]
GATI = ROOT / "helm" / "gati"

Judge = Callable[..., Verdict]


class Remembering(Helm):
    """Helm, which renders helm/gati itself only once for the same question."""

    _answers: dict[Any, str] = {}  # noqa: RUF012 - shared on purpose: the chart does not change while tests run

    def template(self, chart: Path, **options: Any) -> str:
        """As helm does."""
        if chart != GATI or any(not file.is_relative_to(GATI) for file in options.get("values", ())):
            return super().template(chart, **options)
        key = tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in options.items())
        if key not in self._answers:
            self._answers[key] = super().template(chart, **options)
        return self._answers[key]


@dataclass(frozen=True)
class Patient(Workspace):
    """A workspace with that helm."""

    @property
    def helm(self) -> Helm:
        """The helm that remembers."""
        return Remembering(self.tools.path("helm"), self.runner)


def open_patient() -> Workspace:
    """The workspace of this project, with nothing said in a changelog."""
    opened = open_workspace(ROOT)
    return Patient(opened.config, opened.runner, opened.tools).having(changelog=ROOT / "tests" / "judge" / "none.md")


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
