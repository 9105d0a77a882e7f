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
    """What came of one chart: `verdict` in a line, `found` in several, the whole `outcome`, its `report` for a machine.

    `finish` keeps what was found, and raises where that is not as it should be; `error` is why a chart failed.
    """

    chart: Chart
    verdict: str
    found: Sequence[str] = ()
    outcome: Any = None
    report: Any = None
    finish: Callable[[], None] = lambda: None
    error: ReleaseError | None = None
    suites: tuple[Suite, ...] = ()
    """The verdict for JUnit, of a check that gives one."""

    def told(self) -> list[str]:
        """Why the chart failed and what to do, a line each."""
        if not (isinstance(self.error, FindingsError) and self.found):
            return str(self.error).splitlines() if self.error else []
        return [*self.found, *([f"  next:     {self.error.next}"] if self.error.next else [])]


Stage = Callable[[Workspace], Part]


def over(work: Workspace, charts: Sequence[Chart], stage: Stage) -> tuple[Part, ...]:
    """`stage` of every chart, in parallel; one that fails stops none of the others."""

    def one(chart: Chart) -> Part:
        def say(text: str) -> None:
            work.say(text if text.startswith(f"{chart.name} ") else f"{chart.name}: {text}")

        part = Part(chart, "failed")
        try:
            part = stage(replace(work.of_chart(chart.path), say=say))
            part.finish()
        except ReleaseError as error:
            suites = part.suites or (validate.unchecked(error, chart.name),)
            return replace(part, error=error, suites=suites)
        return part

    with workers(work.runner) as pool:
        return tuple(pool.map(one, charts))


def linted(work: Workspace, *, values: Iterable[Path], strict: bool) -> Part:
    """`invoke lint` of a chart."""
    outcome = lint.lint(work, values=values)

    def finish() -> None:
        files.write_json(work.config.result(outcome.chart.name, "lint.json"), outcome.report())
        outcome.demand(strict=strict)

    told = [f"{one.level}: {one.place or one.check}: {one.message}" for one in outcome.findings]
    verdict = ", ".join(outcome.counts()) or "clean"
    return Part(outcome.chart, verdict, told, outcome, outcome.report(), finish)


def rendered(work: Workspace, *, values: Iterable[Path], kube_versions: Sequence[str], dry_run: bool) -> Part:
    """`invoke template` of a chart."""
    plan = matrix.read_plan(work, values=values, kube_versions=kube_versions)
    outcome = render.render(plan, work)
    if not dry_run:
        render.store(plan, outcome, work.config.result(plan.subject.name, "manifests"))
    for note in outcome.notes():
        work.say(f"note: {note}")
    objects = sum(len(one.manifests) for one in outcome.renders)
    verdict = f"{objects} objects of {len(outcome.renders)} renders"
    return Part(plan.subject, verdict, outcome=outcome, report=render.make_index(plan, outcome))


def checked(work: Workspace, *, values: Iterable[Path], kube_versions: Sequence[str]) -> Part:
    """`invoke kubeconform-check` of a chart."""
    outcome = validate.check_chart(work, values=values, kube_versions=kube_versions)
    chart, told = outcome.plan.subject, outcome.told()

    def finish() -> None:
        files.write_json(work.config.result(chart.name, "kubeconform.json"), outcome.report())
        outcome.demand()

    verdict = many(len(told), "problem") if told else f"{outcome.objects} objects of {len(outcome.checked)} renders"
    suites = tuple(validate.suites(outcome))
    return Part(chart, verdict, told, outcome, outcome.report(), finish, suites=suites)


def demand_all(parts: Sequence[Part]) -> None:
    """Raises FindingsError naming the charts that failed."""
    if failed := [part for part in parts if part.error is not None]:
        names = ", ".join(part.chart.name for part in failed)
        raise FindingsError(f"{len(failed)} of {len(parts)} charts failed", found=names)
