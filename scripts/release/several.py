"""Releases several charts, each whose version is not out yet or not finished, those first that others depend on."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.chart.dependencies import outdated, provide_dependencies
from scripts.chart.source import Chart
from scripts.core.errors import OUTSIDE, TOOL, ChartError, ReleaseError, UsageError
from scripts.registry.client import connect
from scripts.registry.embedded import registry_in_use, served
from scripts.registry.reference import Registry
from scripts.release.plan import Options, prepared
from scripts.release.publish import State
from scripts.release.record import ReleaseRecord
from scripts.workspace import Workspace


@dataclass(frozen=True)
class Candidate:
    """A chart, what the registry holds of its version, and why it cannot be released; what is `absent` is released."""

    chart: Chart
    state: State
    words: str
    refusal: ReleaseError | None = None


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
                found.append(_candidate(own, chart, options, outdated(chart) if dry_run else ()))
            except ReleaseError as error:
                if error.code in (OUTSIDE, TOOL) and not isinstance(error, ChartError):  # a matter of all of them
                    raise
                found.append(Candidate(chart, "unknown", error.message, error))
    return tuple(found)


def _candidate(work: Workspace, chart: Chart, options: Options, unfetched: Sequence[str]) -> Candidate:
    if unfetched:
        return _unfetched(work, chart, f"its dependencies are fetched: {'; '.join(unfetched)}")
    with prepared(work, options, dry_run=True) as ready:
        step = next(step for step in ready.plan if step.name == "publish")
        if step.state == "unknown":
            ready.demand_possible(committed=False)
        words = f"{step.action}: raise the version" if step.state == "different" else step.action
        refusal = next((one.refusal for one in ready.plan if one.refusal is not None), None)
        if ready.unfinished:
            return Candidate(chart, "absent", f"{words}: finish its release")
        return Candidate(chart, step.state, words, refusal if step.state == "absent" else None)


def _unfetched(work: Workspace, chart: Chart, fetched: str) -> Candidate:
    """What a dry run can say of a chart that it does not pack: whether anything is out under its version."""
    with registry_in_use(work) as registry:
        if registry is None:
            return Candidate(chart, "absent", f"push {chart.name}:{chart.version}, once {fetched}")
        reference = registry.reference(chart.name, chart.version)
        with connect(registry) as client:
            if client.manifest(reference) is None:
                return Candidate(chart, "absent", f"push {reference}, once {fetched}")
    return Candidate(chart, "unknown", f"{reference} is published: not known whether the same before {fetched}")


def demand_possible(plan: Sequence[Candidate]) -> None:
    """Raises the reason of the first chart that cannot be released, before any of them is."""
    for one in plan:
        if one.refusal is not None:
            raise one.refusal


def release_all(work: Workspace, plan: Sequence[Candidate], options: Options) -> tuple[ReleaseRecord, ...]:
    """Release what is absent, one after the other; the first that fails is the last. Raises as `Release.run` does."""
    records = []
    for one in plan:
        if one.state == "absent":
            work.say(f"releasing {one.chart.title}")
            with prepared(work.of_chart(one.chart.path), options) as ready:
                ready.demand_possible(committed=False)
                records.append(ready.run())
    return tuple(records)
