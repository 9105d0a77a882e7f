"""Checks every object of a chart's matrix, and tells the verdict."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.chart.contents import INSTALLED_FIRST, identity
from scripts.checks.kubeconform import Kubeconform, Problem
from scripts.checks.matrix import ASKED, SCHEMA_VERSION, Plan, Spread, read_plan, spans, spread
from scripts.checks.render import Render, Rendered, render
from scripts.checks.schemas import schemas_of
from scripts.core.errors import FindingsError, ReleaseError
from scripts.core.files import write_atomic
from scripts.core.junit import Case, Suite, document
from scripts.core.paths import shown
from scripts.core.semver import minor
from scripts.core.words import many, some
from scripts.core.yaml_read import mapping_in
from scripts.workspace import Workspace

_SECRET = 1 << 20  # bytes that the API server takes in one
_NOTHING = Case("renders nothing")


@dataclass(frozen=True)
class Checked:
    """The verdict on one render: `objects` counts what was checked."""

    values: str
    kube_version: str
    objects: tuple[str, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Validation:
    """The verdict on a whole matrix, in the order of versions and then of values. `notes` say what it leaves out."""

    plan: Plan
    checked: tuple[Checked, ...]
    notes: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()

    @property
    def objects(self) -> int:
        """How many objects were checked, each counted for every render that has it."""
        unchecked = sum(problem.unchecked for one in self.checked for problem in one.problems)
        return sum(len(one.objects) for one in self.checked) - unchecked

    def summary(self) -> str:
        chart, renders = self.plan.subject, len(self.checked)
        if not renders:
            return f"{chart.title}: nothing is rendered, so nothing is checked"
        minors = spans([minor(version) for version in self.plan.kube_versions])
        seen = {one.values for one in self.checked}
        names = ", ".join(values.name for values in self.plan.values if values.name in seen)
        return f"{chart.title}: {self.objects} objects of {renders} renders are valid ({names}; Kubernetes {minors})"

    def noted(self) -> list[str]:
        """What is borne, and what the verdict leaves out."""
        borne = []
        for problem, count, where in self._each(accepted=True):
            verb = f"and {count - 1} more are" if count > 1 else "is"
            what = f"{verb} not checked" if problem.unchecked else problem.message
            borne.append(f"{problem.called or problem.source} {what}: {problem.accepted} ({where})")
        return [f"note: {line}" for line in (*borne, *self.notes)]

    def problems(self) -> tuple[tuple[Problem, Spread], ...]:
        """Each distinct problem once, with the renders that have it; of a kind that is not checked the first object."""
        return tuple(
            (replace(problem, message=f"{problem.message} ({count} objects)") if count > 1 else problem, where)
            for problem, count, where in self._each(accepted=False)
        )

    def _each(self, *, accepted: bool) -> Iterator[tuple[Problem, int, Spread]]:
        """The same, and of how many objects of the kind it is true."""
        groups: dict[Problem, tuple[dict[Problem, None], dict[tuple[str, str], None]]] = {}
        for one in self.checked:
            for problem in one.problems:
                if bool(problem.accepted) is accepted:
                    alike = replace(problem, source="", name="", namespace="") if problem.unchecked else problem
                    objects, cells = groups.setdefault(alike, ({}, {}))
                    objects[problem] = cells[one.values, one.kube_version] = None
        return ((next(iter(objects)), len(objects), spread(cells)) for objects, cells in groups.values())

    def told(self) -> list[str]:
        """Each problem, and where it is, on a line."""
        found = ((": ".join(filter(None, (one.source, one.called, one.message))), at) for one, at in self.problems())
        return [f"{told} ({where})" for told, where in found]

    def demand(self) -> None:
        """Raises FindingsError when an object has a problem, or there is none at all."""
        title, found = self.plan.subject.title, self.problems()
        told = many(len(found), "problem")
        if any(not problem.unchecked for problem, _ in found):
            raise FindingsError(f"{title} renders objects that are not valid", found=told)
        if found:
            raise FindingsError(
                f"{title} renders objects that are not checked",
                expected="a schema of every kind",
                found=told,
                run="name their definitions in [tool.gati] crds, crd_modules or schema_folders, or them in skip_kinds",
            )
        if self.checked and not any(one.objects for one in self.checked):
            raise FindingsError(
                f"{title} renders no object, so nothing is checked",
                expected="values with which it renders something",
                found=", ".join(some(self.unreached)) or "no template that could",
                run=f"write templates or ci/<name>-values.yaml in {shown(self.plan.chart.path)}, or give --values FILE",
            )

    def report(self) -> dict[str, Any]:
        """As JSON: `dist/<chart>.kubeconform.json` and `--json`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "chart": identity(self.plan.subject),
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
                    "verdict": "not checked" if problem.unchecked else "refused",
                    "with": where.records(),
                }
                for problem, where in self.problems()
            ],
            "notes": self.noted(),
            "unreached": self.unreached,
        }


def check_chart(work: Workspace, *, values: Iterable[Path] = (), kube_versions: Iterable[str] = ()) -> Validation:
    """Render and check the chart at `config.chart`: the whole of `kubeconform-check` but its output."""
    plan = read_plan(work, values=values, kube_versions=kube_versions)
    path = work.tools.paths(("helm", "kubeconform"))["kubeconform"]
    checker = Kubeconform(path, work.runner, schemas_of(work), plan.tolerance, plan.contents.definitions)
    outcome = validate(plan, render(plan, work), checker)
    for note in outcome.noted():
        work.say(note)
    return outcome


def validate(plan: Plan, rendered: Rendered, checker: Kubeconform) -> Validation:
    """Check every object of the matrix. Raises ToolError, CommandFailed."""
    by_version: dict[str, list[Render]] = {}
    for one in rendered.renders:
        by_version.setdefault(one.kube_version, []).append(one)
    verdicts = checker.judge({version: [one.manifests for one in some] for version, some in by_version.items()})
    largest = max(rendered.renders, key=lambda one: sum(map(len, one.manifests.parts)), default=None)
    unkept = tuple(_unkept(plan, largest)) if largest else ()
    checked = (
        Checked(
            one.values,
            version,
            tuple(str(d.identity) for d in one.manifests),
            problems + (unkept if one is largest else ()),
        )
        for version, several in by_version.items()
        for one, problems in zip(several, _borne(several, verdicts[version]), strict=True)
    )
    left_out = [f"Kubernetes {spans(plan.left_out)}, which the chart supports, is left out"] if plan.left_out else []
    return Validation(plan, tuple(checked), (*rendered.notes(), *left_out), rendered.unreached)


def _unkept(plan: Plan, one: Render) -> Iterator[Problem]:
    """That helm cannot keep the release: it does in a Secret, packed, with the chart but for the charts in that."""
    text = "".join(document.text for document in one.manifests if not INSTALLED_FIRST.match(document.source))
    own = {name: data for name, data in plan.contents.files.items() if "/charts/" not in name}
    if len(text) + sum(map(len, own.values())) < _SECRET * 3 // 4:
        return  # which is less than that however badly it can be packed
    values = mapping_in(own.pop(f"{plan.chart.name}/values.yaml", b""))
    files = {name: b64encode(data).decode() for name, data in own.items()}
    kept, size = json.dumps([text, values, files], default=str).encode(), 0
    for level in (1, 9):  # quickly, which is enough for most, else as helm does
        size = len(b64encode(gzip.compress(kept, level)))
        if size <= _SECRET * 1.01:  # helm packs some noise to half a percent less
            return
    message = f"helm keeps the release in it, which takes about {size} bytes, and the API server takes {_SECRET}"
    yield Problem("", "Secret", f"sh.helm.release.v1.{plan.release}.v1", message)


def _borne(renders: Sequence[Render], found: Sequence[tuple[Problem, ...]]) -> Iterator[tuple[Problem, ...]]:
    """`found`, with an object without a schema accepted that is there only where every API is ASKED for."""
    sides = tuple(zip(renders, found, strict=True))
    elsewhere = {one for side, problems in sides if side.way != ASKED for one in problems}
    reason = "rendered to see what templates do on a cluster that serves what they ask for"
    for side, problems in sides:
        yield tuple(
            replace(one, accepted=one.accepted or reason)
            if side.way == ASKED and one.unchecked and one not in elsewhere
            else one
            for one in problems
        )


def suites(outcome: Validation) -> Iterator[Suite]:
    """The verdict for JUnit XML: a suite a render, a case an object."""
    for one in outcome.checked:
        failures: dict[str, list[str]] = {}
        for problem in one.problems:
            failures.setdefault(problem.label, []).append(problem.message)
        cases = [Case(name, tuple(failures.get(name, ()))) for name in dict.fromkeys((*one.objects, *failures))]
        where = f"{outcome.plan.subject.name}: {one.values} / Kubernetes {minor(one.kube_version)}"
        yield Suite(where, tuple(cases) or (_NOTHING,))


def unchecked(failure: ReleaseError, chart: str = "render") -> Suite:
    """The same where nothing could be checked: one case, which failed."""
    return Suite(chart, (Case("render", (str(failure),)),))


def write_junit(path: str | None, found: Iterable[Suite]) -> None:
    """Write what was `found` to the file at `path`, where one is wanted. Raises OutputError."""
    if path:
        write_atomic(Path(path), document("kubeconform", found))
