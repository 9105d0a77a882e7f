"""Checks every object of a chart's matrix, and tells the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree

from scripts.chart.helm import Helm
from scripts.chart.kubeversion import minor
from scripts.chart.manifests import Manifests
from scripts.checks.kubeconform import Kubeconform, Problem
from scripts.checks.matrix import SCHEMA_VERSION, Plan, Spread, gathered, read_plan, spans, spread, submitted
from scripts.checks.schemas import schemas_of
from scripts.core.command import Runner
from scripts.core.errors import FindingsError
from scripts.core.parallel import workers
from scripts.workspace import Workspace


class Checker(Protocol):
    """Finds the problems of renders under one Kubernetes version (`scripts.kubeconform.Kubeconform` does)."""

    def check(self, renders: Sequence[Manifests], kube_version: str) -> tuple[tuple[Problem, ...], ...]: ...


@dataclass(frozen=True)
class Checked:
    """The verdict on one render: `objects` counts what was checked."""

    values: str
    kube_version: str
    objects: tuple[str, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Validation:
    """The verdict on a whole matrix, in the order of versions and then of values."""

    plan: Plan
    checked: tuple[Checked, ...]

    @property
    def objects(self) -> int:
        """How many objects were checked, each counted for every render that has it."""
        return sum(len(one.objects) for one in self.checked)

    def summary(self) -> str:
        """One line for a person."""
        chart, renders = self.plan.chart, len(self.checked)
        if not renders:
            return f"{chart.name} {chart.version}: nothing is rendered, so nothing is checked"
        minors = spans([minor(version) for version in self.plan.kube_versions])
        return (
            f"{chart.name} {chart.version}: {self.objects} objects of {renders} renders are valid "
            f"({', '.join(values.name for values in self.plan.values)}; Kubernetes {minors})"
        )

    def problems(self) -> tuple[tuple[Problem, Spread], ...]:
        """Each distinct problem once, with the renders that have it."""
        groups: dict[Problem, list[tuple[str, str]]] = {}
        for one in self.checked:
            for problem in one.problems:
                groups.setdefault(problem, []).append((one.values, one.kube_version))
        return tuple((problem, spread(cells)) for problem, cells in groups.items())

    def report(self) -> dict[str, Any]:
        """As JSON: `dist/<chart>.kubeconform.json` and `--json`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "chart": {"name": self.plan.chart.name, "version": self.plan.chart.version},
            "kube_versions": self.plan.kube_versions,
            "values": [values.name for values in self.plan.values],
            "renders": len(self.checked),
            "objects": self.objects,
            "problems": [
                {
                    "template": problem.source,
                    "kind": problem.kind,
                    "name": problem.name,
                    "message": problem.message,
                    "with": where.records(),
                }
                for problem, where in self.problems()
            ],
        }


def check_chart(work: Workspace, *, values: Iterable[Path] = (), kube_versions: Iterable[str] = ()) -> Validation:
    """Render and check the chart at `config.chart`: the whole of `kubeconform-check` but its output."""
    plan = read_plan(work, values=values, kube_versions=kube_versions)
    tools = work.tools.paths(("helm", "kubeconform"))
    checker = Kubeconform(tools["kubeconform"], work.runner, schemas_of(work))
    return validate(plan, work.helm, checker, work.runner)


def validate(plan: Plan, helm: Helm, checker: Checker, runner: Runner) -> Validation:
    """Render the whole matrix and check every object of it. Raises as `render` does, and ToolError."""
    with workers(runner) as pool:
        futures = submitted(plan, helm, pool)

        def check(version: str) -> list[Checked]:
            # Submitted after every render, so all that this waits for has begun.
            renders = [futures[values.name, version].result() for values in plan.values]
            verdicts = checker.check([one.manifests for one in renders], version)
            return [
                Checked(one.values, version, tuple(str(d.identity) for d in one.manifests), problems)
                for one, problems in zip(renders, verdicts, strict=True)
            ]

        checks = [pool.submit(check, version) for version in plan.kube_versions]
        gathered(plan, futures)
        return Validation(plan, tuple(checked for future in checks for checked in future.result()))


def demand_valid(outcome: Validation) -> None:
    """Raises FindingsError when an object of `outcome` has a problem."""
    if found := outcome.problems():
        raise FindingsError(
            f"{outcome.plan.chart.name} {outcome.plan.chart.version} renders objects that Kubernetes would refuse",
            found=f"{len(found)} problem{'s'[: len(found) != 1]}",
        )


def junit(checked: Sequence[Checked]) -> str:
    """The verdict as JUnit XML: a suite a render, a case an object."""
    root = ElementTree.Element("testsuites", name="kubeconform")
    for one in checked:
        suite_name = f"{one.values} / Kubernetes {minor(one.kube_version)}"
        failures: dict[str, list[str]] = {}
        for problem in one.problems:
            failures.setdefault(f"{problem.kind}/{problem.name}", []).append(problem.message)
        cases = {name.partition(" (")[0]: name for name in one.objects}
        cases.update({name: name for name in failures if name not in cases})
        suite = ElementTree.SubElement(
            root, "testsuite", name=suite_name, tests=str(len(cases) or 1), failures=str(len(failures)), errors="0"
        )
        for name, label in cases.items() or [("renders nothing", "renders nothing")]:
            case = ElementTree.SubElement(suite, "testcase", classname=suite_name, name=label)
            if name in failures:
                failure = ElementTree.SubElement(case, "failure", message=failures[name][0])
                failure.text = "\n".join(failures[name])
    for key in ("tests", "failures"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
