"""Holds a step to another version against the judge's verdict: which part it has to raise, and whether it does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from scripts.chart.source import Chart, read_chart
from scripts.checks.baseline import asked_once, last_version
from scripts.core.edits import FRESH
from scripts.core.errors import PartError, telling
from scripts.core.files import copied
from scripts.core.owner import temporary
from scripts.core.paths import shown
from scripts.core.semver import tag_name
from scripts.judge.judge import judge
from scripts.judge.reason import Level
from scripts.judge.verdict import Verdict, demand_enough, line
from scripts.release.bump import Bump, Request, read_bump
from scripts.workspace import Workspace

AUTO = "auto"
"""In place of a part: the one that the verdict asks for."""


def judged_bump(work: Workspace, *, part: str | None = None, dirty: bool = False, **request: Any) -> Bump:
    """As `read_bump`, held against the verdict on what changed since the last version; `part` may be AUTO.

    A bump by more than the verdict asks for is said. Raises as `read_bump` and `judge` do, PartError where nothing has
    changed that a version could be raised for, FindingsError for a bump by less.
    """
    with asked_once(work) as work:
        first = read_bump(work, Request("patch" if part == AUTO else part, **request), dirty=dirty)
        chart = read_chart(work.config.chart)
        reference = last_version(work, chart)
        if reference is None:
            if part == AUTO:
                raise PartError(
                    f"no version of {chart.name} is published or tagged, so there is nothing to judge from",
                    expected=f"--part major, minor or patch; or a git tag {tag_name(chart.name, 'VERSION')}",
                    run="git fetch --tags",
                )
            return first
        with edited(chart, first) as copy, telling({str(copy.path): shown(chart.path)}):
            verdict = judge(work, reference, chart=copy)
        bump = first
        if part == AUTO:
            needed = _to_raise(verdict, chart.version)
            work.say(f"{verdict.level} since {verdict.version}: {line(verdict.reasons[0])}")
            bump = read_bump(work, Request(needed, **request), dirty=dirty)
        demand_raised(work, replace(verdict, current=bump.new))
        return bump


def _to_raise(verdict: Verdict, current: str) -> Level:
    """The part to raise now, in a chart that may have been raised since the version judged from already."""
    if verdict.part == "none":
        raise PartError(
            f"nothing of {verdict.chart} differs from {verdict.version} that anybody would notice",
            expected="a change; or a part, if a version is to be made all the same",
            run=f"invoke diff --from {verdict.source}",
        )
    if current != verdict.version and verdict.enough:
        raise PartError(
            f"{verdict.chart} {current} is raised above {verdict.version} as far as it has to be",
            expected="a part to raise it further",
            run="invoke release",
        )
    return verdict.part


def demand_raised(work: Workspace, verdict: Verdict) -> None:
    """Raises FindingsError for a version that is raised by too little; one that is raised by more is said."""
    demand_enough(verdict)
    work.say(verdict.summary())


@contextlib.contextmanager
def edited(chart: Chart, bump: Bump) -> Iterator[Chart]:
    """A copy of the chart that has the edits of `bump`, gone after the block."""
    with temporary("judged") as scratch:
        copy = read_chart(copied(chart.path, scratch / chart.path.name, FRESH.format("*")))
        for edit in bump.edits:
            if edit.path.is_relative_to(chart.path.resolve()):
                (copy.path / edit.path.relative_to(chart.path.resolve())).write_bytes(edit.after)
        yield read_chart(copy.path)
