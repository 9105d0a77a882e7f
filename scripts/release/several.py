"""Releases several charts, each whose version is not out yet or not finished, those first that others depend on."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from scripts.chart.dependencies import outdated, provide_dependencies
from scripts.chart.source import Chart
from scripts.core.errors import OUTSIDE, TOOL, ChartError, ReleaseError, UsageError
from scripts.registry.client import connect
from scripts.registry.embedded import registry_in_use, served
from scripts.registry.reference import Registry
from scripts.release.announce import Step, stopped
from scripts.release.plan import Options, prepared
from scripts.release.record import ReleaseRecord
from scripts.workspace import Workspace

Candidate = tuple[Chart, Step]
"""A chart, and what is to be done with it: one that is `absent` is released."""


def candidates(work: Workspace, charts: Sequence[Chart], options: Options, *, dry_run: bool) -> tuple[Candidate, ...]:
    """What is to be done, in the order of `charts`; all but a `dry_run` fetches dependencies.

    One that cannot be read or packed, or lacks what it needs, is refused, and stops none of the others. Raises as
    `prepared` else, and UsageError where a version is to be raised.
    """
    if options.part is not None:
        raise UsageError("--bump raises the version of one chart", run="name the one by --chart")
    found, at_hand = [], dict[Path, Registry | None]()
    with contextlib.ExitStack() as stack:
        for chart in charts:
            try:
                own = work.of_chart(chart.path)
                if (folder := own.config.embedded_registry) not in at_hand and not own.config.registry:
                    at_hand[folder] = stack.enter_context(registry_in_use(own))
                if not dry_run:
                    provide_dependencies(chart, work.helm, work.say)
                own = served(own, at_hand.get(folder))
                found.append((chart, _step(own, chart, options, outdated(chart) if dry_run else ())))
            except ReleaseError as error:
                if error.code in (OUTSIDE, TOOL) and not isinstance(error, ChartError):  # a matter of all of them
                    raise
                found.append((chart, stopped("release", error, "unknown")))
    return tuple(found)


def _step(work: Workspace, chart: Chart, options: Options, unfetched: Sequence[str]) -> Step:
    if unfetched:
        return _unfetched(work, chart, f"its dependencies are fetched: {'; '.join(unfetched)}")
    with prepared(work, options, dry_run=True) as ready:
        step = next(step for step in ready.plan if step.name == "publish")
        if step.state == "unknown":
            ready.demand_possible(committed=False)
        words = f"{step.action}: raise the version" if step.state == "different" else step.action
        refusal = next((one.refusal for one in ready.plan if one.refusal is not None), None)
        if ready.unfinished:
            return Step("release", "absent", f"{words}: finish its release")
        return Step("release", step.state, words, refusal if step.state == "absent" else None)


def _unfetched(work: Workspace, chart: Chart, fetched: str) -> Step:
    """What a dry run can say of a chart that it does not pack: whether anything is out under its version."""
    with registry_in_use(work) as registry:
        if registry is None:
            return Step("release", "absent", f"push {chart.name}:{chart.version}, once {fetched}")
        reference = registry.reference(chart.name, chart.version)
        with connect(registry) as client:
            if client.manifest(reference) is None:
                return Step("release", "absent", f"push {reference}, once {fetched}")
    return Step("release", "unknown", f"{reference} is published: not known whether the same before {fetched}")


def demand_possible(plan: Sequence[Candidate]) -> None:
    """Raises the reason of the first chart that cannot be released, before any of them is."""
    for _, step in plan:
        if step.refusal is not None:
            raise step.refusal


def release_all(work: Workspace, plan: Sequence[Candidate], options: Options) -> tuple[ReleaseRecord, ...]:
    """Release what is absent, one after the other; the first that fails is the last. Raises as `Release.run` does."""
    records = []
    for chart, step in plan:
        if step.state == "absent":
            work.say(f"releasing {chart.title}")
            with prepared(work.of_chart(chart.path), options) as ready:
                ready.demand_possible(committed=False)
                records.append(ready.run())
    return tuple(records)
