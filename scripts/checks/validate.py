"""Renders a chart for each values file and Kubernetes minor, stores and compares that, and checks every object."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree

from scripts.chart.helm import Helm
from scripts.chart.kubeversion import supported
from scripts.chart.manifests import Difference, Manifests, difference, read_manifests
from scripts.chart.source import Chart, check_sources, read_chart, read_yaml
from scripts.checks.baseline import earlier_chart
from scripts.checks.kubeconform import Kubeconform, Problem
from scripts.checks.schemas import Schemas
from scripts.core.command import Runner
from scripts.core.config import Config
from scripts.core.errors import ChartError, ConfigError, FindingsError, OutputError, ReleaseError, ValuesError
from scripts.core.interrupt import held
from scripts.core.parallel import workers
from scripts.core.paths import line_of, shown
from scripts.toolchain.finder import Toolchain

SCHEMA_VERSION = 1
_RELEASE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")


class Checker(Protocol):
    """Finds the problems of renders under one Kubernetes version (`scripts.kubeconform.Kubeconform` does)."""

    def check(self, renders: Sequence[Manifests], kube_version: str) -> tuple[tuple[Problem, ...], ...]: ...


@dataclass(frozen=True)
class Values:
    """One way to render the chart: `files` are laid over its values.yaml, `name` is for people."""

    name: str
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What is rendered: each of `values` for each of `kube_versions`. `api_versions` are what the cluster serves.

    `release` names the release and its namespace. `notes` tell a person what the chart lacks and what
    that means here.
    """

    chart: Chart
    values: tuple[Values, ...]
    kube_versions: tuple[str, ...]
    release: str
    api_versions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Render:
    """The chart rendered with one `values` (its name) for one Kubernetes version. Equal renders share `manifests`."""

    values: str
    kube_version: str
    text: str
    manifests: Manifests

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def file(self) -> str:
        """The name under which the text is stored."""
        return f"{self.sha256[:16]}.yaml"


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
        minors = spans([_minor(version) for version in self.plan.kube_versions])
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
        """As JSON: `dist/kubeconform.json` and `--json`."""
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


@dataclass(frozen=True)
class Spread:
    """The renders for which something holds, as (values names, minors): all of the one with all of the other."""

    groups: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

    def __str__(self) -> str:
        return "; ".join(f"{', '.join(values)} for {spans(minors)}" for values, minors in self.groups)

    def records(self) -> list[dict[str, Any]]:
        """For JSON."""
        return [{"values": values, "kube_versions": minors} for values, minors in self.groups]


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


def spread(cells: Iterable[tuple[str, str]]) -> Spread:
    """`cells`, pairs of a values name and a Kubernetes version, in as few groups as that takes."""
    minors: dict[str, list[str]] = {}
    for name, version in cells:
        minors.setdefault(name, []).append(_minor(version))
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, versions in minors.items():
        groups.setdefault(tuple(versions), []).append(name)
    return Spread(tuple((tuple(names), versions) for versions, names in groups.items()))


def make_plan(
    chart: Chart,
    known: Sequence[str],
    *,
    values: Iterable[Path] = (),
    kube_versions: Iterable[str] = (),
    api_versions: Callable[[], tuple[str, ...]] = tuple,
) -> Plan:
    """The whole matrix of `chart`, or the part of it for `kube_versions` (minors of `known`, such as `1.30`).

    `values` are further files, each rendered by itself. `api_versions` is asked where a template looks
    at what the cluster serves. A library chart gives an empty plan. Raises ChartError (a `kubeVersion`
    that admits nothing known), ValuesError (a file that is missing or no YAML), ConfigError (a version
    that is not supported).
    """
    release = chart.name if _RELEASE_NAME.fullmatch(chart.name) else "release"
    if chart.metadata.get("type") == "library":
        return Plan(chart, (), (), release, notes=(f"{chart.name} is a library chart: it renders nothing by itself",))
    columns = [Values(file.name, () if file.name == "values.yaml" else (file,)) for file in chart.values_files] or [
        Values("no values file")
    ]
    columns += [Values(shown(file), (file,)) for file in values]
    for column in columns:
        for file in column.files:
            if not file.is_file():
                raise ValuesError(f"no values file at {shown(file)}", run="correct --values")
            read_yaml(file, ValuesError)
    check_sources(chart)
    file = chart.path / "Chart.yaml"
    place = f"{shown(file)}:{line_of(file, ['kubeVersion'])}"
    try:
        versions = supported(chart.kube_version, known)
    except ChartError as error:
        raise ChartError(f"{place}: {error.message}", expected=error.expected, found=error.found) from error
    if not versions:
        raise ChartError(
            f"{place}: kubeVersion admits no Kubernetes whose schemas are known",
            expected=f"one of {spans(known)}",
            found=chart.kube_version,
        )
    wanted = {_minor(version) for version in kube_versions}
    if unknown := wanted - {_minor(version) for version in versions}:
        raise ConfigError(
            f"the chart is not rendered for Kubernetes {', '.join(sorted(unknown))}",
            expected=f"--kube-version among {spans([_minor(version) for version in versions])}"
            + (f" (kubeVersion {chart.kube_version!r})" if chart.kube_version else ""),
        )
    return Plan(
        chart,
        tuple(columns),
        tuple(version for version in versions if not wanted or _minor(version) in wanted),
        release,
        api_versions() if _asks_for_apis(chart.path) else (),
        tuple(_notes(chart, known)),
    )


def read_plan(
    config: Config,
    toolchain: Toolchain,
    *,
    values: Iterable[Path] = (),
    kube_versions: Iterable[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Plan:
    """The matrix of the chart at `config.chart`; what the chart lacks is said. Raises as `make_plan` does."""
    schemas = Schemas(config.cache_dir, toolchain, say=say)
    plan = make_plan(
        read_chart(config.chart),
        schemas.minors(),
        values=values,
        kube_versions=kube_versions,
        api_versions=schemas.api_versions,
    )
    for note in plan.notes:
        say(note)
    return plan


def check_chart(
    config: Config,
    toolchain: Toolchain,
    runner: Runner,
    *,
    values: Iterable[Path] = (),
    kube_versions: Iterable[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Validation:
    """Render and check the chart at `config.chart`: the whole of `kubeconform-check` but its output."""
    plan = read_plan(config, toolchain, values=values, kube_versions=kube_versions, say=say)
    tools = toolchain.paths(("helm", "kubeconform"))
    schemas = Schemas(config.cache_dir, toolchain, say=say)
    return validate(plan, Helm(tools["helm"], runner), Kubeconform(tools["kubeconform"], runner, schemas), runner)


def render(plan: Plan, toolchain: Toolchain, runner: Runner) -> tuple[Render, ...]:
    """The whole matrix, by values and then by version.

    Raises ChartError or ValuesError telling each distinct refusal once, with the renders that it stops.
    """
    with workers(runner) as pool:
        return _gathered(plan, _submitted(plan, Helm(toolchain.path("helm"), runner), pool))


def validate(plan: Plan, helm: Helm, checker: Checker, runner: Runner) -> Validation:
    """Render the whole matrix and check every object of it. Raises as `render` does, and ToolError."""
    with workers(runner) as pool:
        futures = _submitted(plan, helm, pool)

        def check(version: str) -> list[Checked]:
            # Submitted after every render, so all that this waits for has begun.
            renders = [futures[values.name, version].result() for values in plan.values]
            verdicts = checker.check([one.manifests for one in renders], version)
            return [
                Checked(one.values, version, tuple(str(d.identity) for d in one.manifests), problems)
                for one, problems in zip(renders, verdicts, strict=True)
            ]

        checks = [pool.submit(check, version) for version in plan.kube_versions]
        _gathered(plan, futures)
        return Validation(plan, tuple(checked for future in checks for checked in future.result()))


def make_index(plan: Plan, renders: Sequence[Render]) -> dict[str, Any]:
    """Which file holds which render, as JSON: `dist/manifests/index.json` and `--json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "chart": {"name": plan.chart.name, "version": plan.chart.version},
        "release": plan.release,
        "kube_versions": plan.kube_versions,
        "values": [values.name for values in plan.values],
        "renders": [
            {
                "values": one.values,
                "kube_version": one.kube_version,
                "file": one.file,
                "sha256": one.sha256,
                "objects": len(one.manifests),
            }
            for one in renders
        ],
    }


def demand_valid(outcome: Validation) -> None:
    """Raises FindingsError when an object of `outcome` has a problem."""
    if found := outcome.problems():
        raise FindingsError(
            f"{outcome.plan.chart.name} {outcome.plan.chart.version} renders objects that Kubernetes would refuse",
            found=f"{len(found)} problem{'s'[: len(found) != 1]}",
        )


def store(plan: Plan, renders: Sequence[Render], dist: Path) -> Path:
    """Write `dist/manifests`: a file for each distinct render, named by content, and `index.json`.

    The folder is replaced as a whole or left as it was. Raises OutputError where `dist` cannot be written.
    """
    folder, index = dist / "manifests", make_index(plan, renders)
    try:
        dist.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".manifests-", dir=dist) as scratch:
            fresh, old = Path(scratch) / "new", Path(scratch) / "old"
            fresh.mkdir()
            for name, text in {one.file: one.text for one in renders}.items():
                (fresh / name).write_text(text)
            (fresh / "index.json").write_text(json.dumps(index, indent=2) + "\n")
            with held():
                if folder.exists():
                    folder.rename(old)
                fresh.rename(folder)
    except OSError as error:
        raise OutputError(
            f"{shown(folder)} cannot be written",
            found=error.strerror or str(error),
            run=f"make room or correct the permissions of {shown(dist)}, then run the same command again",
        ) from error
    return folder


def compare(
    config: Config,
    toolchain: Toolchain,
    runner: Runner,
    reference: str,
    plan: Plan,
    renders: Sequence[Render],
    *,
    values: Iterable[Path] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """What leads from the chart at `reference` to `renders`, each version rendered with its own values files.

    `values` are the further files of `plan`. Raises RegistryError, GitError, and ChartError or ValuesError
    naming `reference` where that state of the chart cannot be rendered.
    """
    with earlier_chart(config, toolchain, runner, reference, say=say) as chart:
        schemas = Schemas(config.cache_dir, toolchain, say=say)
        try:
            whole = make_plan(chart, schemas.minors(), values=values, api_versions=schemas.api_versions)
            minors = {_minor(version) for version in plan.kube_versions}
            versions = tuple(version for version in whole.kube_versions if _minor(version) in minors)
            old = render(replace(whole, kube_versions=versions, release=plan.release), toolchain, runner)
        except (ChartError, ValuesError) as error:
            raise type(error)(f"{reference} cannot be rendered: {error}") from error
    return differences(reference, old, renders)


def differences(reference: str, old: Sequence[Render], new: Sequence[Render]) -> Comparison:
    """The differences of renders that both have, equal ones told once."""
    before = {(one.values, _minor(one.kube_version)): one for one in old}
    groups: list[tuple[Difference, list[tuple[str, str]]]] = []
    for one in new:
        cell = (one.values, _minor(one.kube_version))
        if cell not in before or before[cell].text == one.text:
            continue
        if found := difference(before[cell].manifests, one.manifests):
            cells = next((cells for known, cells in groups if known == found), None)
            if cells is None:
                groups.append((found, [cell]))
            else:
                cells.append(cell)
    after = {(one.values, _minor(one.kube_version)) for one in new}
    return Comparison(
        reference,
        tuple((spread(cells), found) for found, cells in groups),
        spread(cell for cell in before if cell not in after),
        spread(sorted(after - before.keys())),
    )


def junit(checked: Sequence[Checked]) -> str:
    """The verdict as JUnit XML: a suite a render, a case an object."""
    root = ElementTree.Element("testsuites", name="kubeconform")
    for one in checked:
        suite_name = f"{one.values} / Kubernetes {_minor(one.kube_version)}"
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


def spans(versions: Sequence[str]) -> str:
    """Minors as people write them: `1.28 to 1.30, 1.33`."""
    parts: list[list[str]] = []
    for version in versions:
        if parts and int(version.split(".")[1]) == int(parts[-1][-1].split(".")[1]) + 1:
            parts[-1].append(version)
        else:
            parts.append([version])
    return ", ".join(part[0] if len(part) == 1 else f"{part[0]} to {part[-1]}" for part in parts)


def _notes(chart: Chart, known: Sequence[str]) -> Iterator[str]:
    if not chart.values_files:
        yield f"{chart.name} has no values files: rendered once, as it is"
    if chart.kube_version is None:
        yield f"{chart.name} has no kubeVersion: rendered for every known Kubernetes, {spans(known)}"


def _submitted(plan: Plan, helm: Helm, pool: Executor) -> dict[tuple[str, str], Future[Render]]:
    parsed: dict[str, Manifests] = {}

    def one(values: Values, version: str) -> Render:
        text = helm.template(
            plan.chart.path,
            release=plan.release,
            namespace=plan.release,
            values=values.files,
            kube_version=version,
            api_versions=plan.api_versions,
        )
        # Two threads may parse the same text at once, which costs a moment and nothing else.
        if text not in parsed:
            parsed[text] = read_manifests(text)
        return Render(values.name, version, text, parsed[text])

    # By version, so that the first version's check finds its renders done.
    return {
        (values.name, version): pool.submit(one, values, version)
        for version in plan.kube_versions
        for values in plan.values
    }


def _gathered(plan: Plan, futures: Mapping[tuple[str, str], Future[Render]]) -> tuple[Render, ...]:
    renders: list[Render] = []
    refusals: dict[str, tuple[ReleaseError, list[tuple[str, str]]]] = {}
    for values in plan.values:
        for version in plan.kube_versions:
            try:
                renders.append(futures[values.name, version].result())
            except (ChartError, ValuesError) as error:
                refusals.setdefault(str(error), (error, []))[1].append((values.name, version))
    if not refusals:
        return tuple(renders)
    told = [f"{error}\n  with:     {spread(cells)}" for error, cells in refusals.values()]
    first = next(iter(refusals.values()))[0]
    raise type(first)("\n".join(told))


def _minor(version: str) -> str:
    return ".".join(version.removeprefix("v").split(".")[:2])


def _asks_for_apis(folder: Path) -> bool:
    """Whether a template, or one of an unpacked dependency, looks at the APIs that the cluster serves."""
    return any(
        "APIVersions" in file.read_text(errors="replace") for file in folder.rglob("templates/**/*") if file.is_file()
    )
