"""Owns what differs between two states of a chart, in what they render."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scripts.chart.dependencies import provide_dependencies
from scripts.chart.kubeversion import minor
from scripts.chart.manifests import Difference, difference
from scripts.checks.baseline import earlier_chart
from scripts.checks.matrix import Plan, Spread, make_plan, spread
from scripts.checks.render import Render, render
from scripts.checks.schemas import schemas_of
from scripts.core.errors import ChartError, ValuesError
from scripts.workspace import Workspace


@dataclass(frozen=True)
class Comparison:
    """What differs from the chart at `reference`; `gone` and `fresh` are renders that only one of the two has."""

    reference: str
    changes: tuple[tuple[Spread, Difference], ...]
    gone: Spread
    fresh: Spread

    def lines(self) -> list[str]:
        """For a person."""
        lines = []
        for where, change in self.changes:
            lines += [f"{where}:", *(f"  {line}" for line in change.lines())]
        if self.gone.groups:
            lines.append(f"only {self.reference} renders {self.gone}")
        if self.fresh.groups:
            lines.append(f"{self.reference} does not render {self.fresh}")
        return lines or [f"renders the same objects as {self.reference}"]

    def report(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "against": self.reference,
            "changes": [
                {
                    "with": where.records(),
                    "added": [identity._asdict() for identity in change.added],
                    "removed": [identity._asdict() for identity in change.removed],
                    "changed": [
                        {**one.identity._asdict(), "fields": [asdict(field) for field in one.fields]}
                        for one in change.changed
                    ],
                }
                for where, change in self.changes
            ],
            "gone": self.gone.records(),
            "fresh": self.fresh.records(),
        }


def compare(
    work: Workspace, reference: str, plan: Plan, renders: Sequence[Render], *, values: Iterable[Path] = ()
) -> Comparison:
    """What leads from the chart at `reference` to `renders`, each version rendered with its own values files.

    `values` are the further files of `plan`. Raises RegistryError, GitError, and ChartError or ValuesError
    naming `reference` where that state of the chart cannot be rendered.
    """
    with earlier_chart(work, reference) as chart:
        schemas = schemas_of(work)
        try:
            provide_dependencies(chart, work.helm, work.say)
            whole = make_plan(chart, schemas.minors(), values=values, clusters=schemas, config=work.config)
            minors = {minor(version) for version in plan.kube_versions}
            versions = tuple(version for version in whole.kube_versions if minor(version) in minors)
            old = render(replace(whole, kube_versions=versions, release=plan.release), work).renders
        except (ChartError, ValuesError) as error:
            raise type(error)(f"{reference} cannot be rendered: {error}") from error
    return differences(reference, old, renders)


def differences(reference: str, old: Sequence[Render], new: Sequence[Render]) -> Comparison:
    """The differences of renders that both have, equal ones told once."""
    before = {(one.values, minor(one.kube_version)): one for one in old}
    groups: list[tuple[Difference, list[tuple[str, str]]]] = []
    for one in new:
        cell = (one.values, minor(one.kube_version))
        if cell not in before or before[cell].manifests.sha256 == one.manifests.sha256:
            continue
        if found := difference(before[cell].manifests, one.manifests):
            cells = next((cells for known, cells in groups if known == found), None)
            if cells is None:
                groups.append((found, [cell]))
            else:
                cells.append(cell)
    after = {(one.values, minor(one.kube_version)) for one in new}
    return Comparison(
        reference,
        tuple((spread(cells), found) for found, cells in groups),
        spread(cell for cell in before if cell not in after),
        spread(sorted(after - before.keys())),
    )
