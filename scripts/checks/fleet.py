"""Checks several charts side by side, each by its own configuration, and sums up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.chart.source import Chart
from scripts.checks import lint, matrix, render, validate
from scripts.core import files
from scripts.core.errors import FindingsError, ReleaseError
from scripts.core.junit import Suite
from scripts.core.parallel import workers
from scripts.core.words import many
from scripts.workspace import Workspace


@dataclass(frozen=True)
class Part:
    """What came of one chart: `verdict` in a line, `found` in several, `report` for a machine, `error` if it failed."""

    chart: Chart
    verdict: str
    found: tuple[str, ...] = ()
    report: Any = None
    error: ReleaseError | None = None
    suites: tuple[Suite, ...] = ()
    """The verdict for JUnit, of a check that gives one."""


Stage = Callable[[Workspace], Part]


def over(work: Workspace, charts: Sequence[Chart], stage: Stage) -> tuple[Part, ...]:
    """`stage` of every chart, in parallel; one that fails stops none of the others."""

    def one(chart: Chart) -> Part:
        def say(text: str) -> None:
            work.say(text if chart.name in text else f"{chart.name}: {text}")

        try:
            return stage(replace(work.of_chart(chart.path), say=say))
        except ReleaseError as error:
            suites = (validate.unchecked(error, chart.name),)
            return Part(chart, "failed", tuple(str(error).splitlines()), error=error, suites=suites)

    with workers(work.runner) as pool:
        return tuple(pool.map(one, charts))


def linted(work: Workspace, *, values: Iterable[Path], strict: bool) -> Part:
    """`invoke lint` of one of several charts."""
    outcome = lint.lint(work, values=values)
    files.write_json(work.config.result(outcome.chart.name, "lint.json"), outcome.report())
    told = tuple(f"{one.level}: {one.place or one.check}: {one.message}" for one in outcome.findings)
    counts = ", ".join(many(n, level) for level in lint.LEVELS[:2] if (n := outcome.count(level)))
    return _judged(
        outcome.chart, counts or "clean", told, outcome.report(), lambda: lint.demand_clean(outcome, strict=strict)
    )


def rendered(work: Workspace, *, values: Iterable[Path], kube_versions: Sequence[str], dry_run: bool) -> Part:
    """`invoke template` of one of several charts."""
    plan = matrix.read_plan(work, values=values, kube_versions=kube_versions)
    outcome = render.render(plan, work)
    if not dry_run:
        render.store(plan, outcome, work.config.result(plan.subject.name, "manifests"))
    objects = sum(len(one.manifests) for one in outcome.renders)
    verdict = f"{objects} objects of {len(outcome.renders)} renders"
    return Part(plan.subject, verdict, outcome.notes(), render.make_index(plan, outcome))


def checked(work: Workspace, *, values: Iterable[Path], kube_versions: Sequence[str]) -> Part:
    """`invoke kubeconform-check` of one of several charts."""
    outcome = validate.check_chart(work, values=values, kube_versions=kube_versions)
    chart, problems = outcome.plan.subject, outcome.problems()
    files.write_json(work.config.result(chart.name, "kubeconform.json"), outcome.report())
    told = tuple(f"{one.source}: {one.kind}/{one.name}: {one.message} ({where})" for one, where in problems)
    verdict = (
        f"{len(problems)} problems" if problems else f"{outcome.objects} objects of {len(outcome.checked)} renders"
    )
    part = _judged(chart, verdict, told, outcome.report(), lambda: validate.demand_valid(outcome))
    return replace(part, suites=tuple(validate.suites(outcome)))


def demand_all(parts: Sequence[Part]) -> None:
    """Raises FindingsError naming the charts that failed."""
    if failed := [part for part in parts if part.error is not None]:
        names = ", ".join(part.chart.name for part in failed)
        raise FindingsError(f"{len(failed)} of {len(parts)} charts failed", found=names)


def _judged(chart: Chart, verdict: str, told: tuple[str, ...], report: Any, demand: Callable[[], None]) -> Part:
    try:
        demand()
    except FindingsError as error:
        return Part(chart, verdict, told or tuple(str(error).splitlines()), report, error)
    return Part(chart, verdict, told, report)
