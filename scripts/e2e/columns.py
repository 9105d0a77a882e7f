"""Runs the smoke test once for each Kubernetes minor and each helm, and puts the reports beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scripts.chart.constraints import supported
from scripts.chart.source import read_chart
from scripts.core.errors import ConfigError, FindingsError, ReleaseError
from scripts.core.files import write_atomic, write_json
from scripts.core.interrupt import stopped
from scripts.core.junit import Case, Suite, document
from scripts.core.semver import minor
from scripts.e2e.report import Report
from scripts.e2e.run import JUNIT, Options, demand_passed, run
from scripts.release.tested import REPORT
from scripts.workspace import Workspace

_OLDEST, _NEWEST = "oldest", "newest"


@dataclass(frozen=True)
class Column:
    """One run: on a Kubernetes `minor` ("1.29"), "" for the newest that is pinned, with helm of the major `helm`."""

    minor: str
    helm: int

    @property
    def name(self) -> str:
        return f"kubernetes-{self.minor or _NEWEST}-helm-{self.helm}"

    def __str__(self) -> str:
        return f"Kubernetes {self.minor or _NEWEST}, helm {self.helm}"


@dataclass(frozen=True)
class Columns:
    """The reports by column, in the order of the runs; `errors` has what kept a run from beginning."""

    reports: Mapping[Column, Report]
    errors: Mapping[Column, str]

    def to_dict(self) -> dict[str, Any]:
        """For a machine: the last report, with all of them by name below `columns`."""
        columns = {
            column.name: {**report.to_dict(), "kubernetes": report.cluster.get("kubernetes"), "helm": column.helm}
            for column, report in self.reports.items()
        }
        broken = {column.name: {"passed": False, "error": error} for column, error in self.errors.items()}
        last: dict[str, Any] = list(self.reports.values())[-1].to_dict() if self.reports else {"schema_version": 2}
        passed = not self.errors and not any(report.failed for report in self.reports.values())
        return {**last, "passed": passed, "columns": {**columns, **broken}}

    def lines(self) -> list[str]:
        """For a person: a line a scenario with a column each, what is untested, and what failed in full."""
        names = list(dict.fromkeys(one.scenario for report in self.reports.values() for one in report.outcomes))
        cells = {
            (one.scenario, column): f"{one.state} {one.seconds:.0f} s" + (f", {one.lost} lost" if one.ledgers else "")
            for column, report in self.reports.items()
            for one in report.outcomes
        }
        rows = [("", *map(str, self.reports))]
        rows += [(name, *(cells.get((name, column), "-") for column in self.reports)) for name in names]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        for column, report in self.reports.items():
            said = [one.line() for one in report.outcomes if one.skipped]
            failed = [f"{one.scenario} {one.state}: {one.error}" for one in report.failed]
            lines += ["", f"{column}:", *said, *failed] if said or failed else []
        for column, error in self.errors.items():
            lines += ["", f"{column}: {error}"]
        return lines


def chosen_columns(work: Workspace, kubernetes: str, helms: str) -> tuple[Column, ...]:
    """The columns that two flags name: "1.29,newest" and "3,4"; one without them.

    Raises ConfigError for a minor that is not pinned or that the chart does not admit, and for another helm.
    """
    words = [word.strip() for word in kubernetes.split(",")] if kubernetes else [""]
    known = work.tools.minors
    admitted = [minor(version) for version in supported(read_chart(work.config.chart).kube_version, known)]
    if kubernetes and not admitted:
        raise ConfigError("the chart admits no Kubernetes that is pinned", expected=", ".join(known))
    minors = []
    for word in words:
        name = {_OLDEST: admitted[0], _NEWEST: admitted[-1]}.get(word, word.removeprefix("v")) if word else ""
        if kubernetes and name not in admitted:
            found = "not pinned" if name not in known else "which the chart does not admit"
            expected = f"{_OLDEST}, {_NEWEST}, or one of {', '.join(admitted)}"
            raise ConfigError(f"--kubernetes {word}: {found}", expected=expected)
        minors.append("" if name == known[-1] else name)
    majors = [word.strip() for word in helms.split(",")] if helms else ["4"]
    if other := [word for word in majors if word not in ("3", "4")]:
        expected = "3, 4, or both with a comma between them"
        raise ConfigError(f"--helm {other[0]} is none that is pinned", expected=expected)
    return tuple(dict.fromkeys(Column(name, int(major)) for name in minors for major in majors))


def run_columns(work: Workspace, options: Options, columns: Sequence[Column]) -> Columns:
    """Run each column, one cluster after the other, and write one report to `dist/e2e`; each has its own below it.

    A column whose cluster does not come up is told, and the others run. Raises ReleaseError as `run` does where there
    is one column alone.
    """
    helms = tuple(dict.fromkeys(column.helm for column in columns))
    reports: dict[Column, Report] = {}
    errors: dict[Column, str] = {}
    for column in columns:
        alone = len(columns) == 1
        own = work.of_minor(column.minor) if column.minor else work
        if not alone:
            own = own.having(dist=work.config.dist / "e2e" / column.name)
            work.say(f"{column}: the results are in {own.config.dist}/e2e")
        try:
            reports[column] = run(own, replace(options, helm=column.helm, helms=helms))
        except ReleaseError as error:
            if alone or stopped():
                raise
            errors[column] = str(error)
            work.say(f"{column}: {error}")
    found = Columns(reports, errors)
    if len(columns) > 1:
        write_json(work.config.dist / REPORT, found.to_dict())
        suites = [suite for column, report in reports.items() for suite in report.suites(column.name)]
        suites += [Suite(one.name, (Case("it begins", (why,)),), errors=True) for one, why in errors.items()]
        write_atomic(work.config.dist / REPORT.parent / JUNIT, document("e2e", suites))
    return found


def demand_all_passed(found: Columns) -> None:
    """Raises FindingsError naming the columns that failed, as `demand_passed` where there is one alone."""
    if len(found.reports) == 1 and not found.errors:
        demand_passed(next(iter(found.reports.values())))
        return
    failed = [str(column) for column, report in found.reports.items() if report.failed]
    if failed or found.errors:
        broken = [f"{column} (it did not begin)" for column in found.errors]
        raise FindingsError(
            f"{len(failed) + len(broken)} of {len(found.reports) + len(found.errors)} columns failed: "
            + "; ".join([*failed, *broken]),
            run="look into dist/e2e: report.json, and a folder for each column",
        )
