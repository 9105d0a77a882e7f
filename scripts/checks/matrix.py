"""Owns the matrix of a chart: each of its values files rendered for each Kubernetes minor, and stored."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.chart.helm import Helm
from scripts.chart.kubeversion import minor, supported
from scripts.chart.manifests import Manifests, read_manifests
from scripts.chart.source import Chart, check_sources, read_chart, read_yaml
from scripts.checks.schemas import schemas_of
from scripts.core import files
from scripts.core.errors import ChartError, ConfigError, OutputError, ReleaseError, ValuesError
from scripts.core.interrupt import held
from scripts.core.parallel import workers
from scripts.core.paths import line_of, shown
from scripts.workspace import Workspace

SCHEMA_VERSION = 1
_RELEASE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")


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
        return files.sha256(self.text)

    @property
    def file(self) -> str:
        """The name under which the text is stored."""
        return f"{self.sha256[:16]}.yaml"


@dataclass(frozen=True)
class Spread:
    """The renders for which something holds, as (values names, minors): all of the one with all of the other."""

    groups: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

    def __str__(self) -> str:
        return "; ".join(f"{', '.join(values)} for {spans(minors)}" for values, minors in self.groups)

    def records(self) -> list[dict[str, Any]]:
        """For JSON."""
        return [{"values": values, "kube_versions": minors} for values, minors in self.groups]


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
    wanted = {minor(version) for version in kube_versions}
    if unknown := wanted - {minor(version) for version in versions}:
        raise ConfigError(
            f"the chart is not rendered for Kubernetes {', '.join(sorted(unknown))}",
            expected=f"--kube-version among {spans([minor(version) for version in versions])}"
            + (f" (kubeVersion {chart.kube_version!r})" if chart.kube_version else ""),
        )
    return Plan(
        chart,
        tuple(columns),
        tuple(version for version in versions if not wanted or minor(version) in wanted),
        release,
        api_versions() if _asks_for_apis(chart.path) else (),
        tuple(_notes(chart, known)),
    )


def read_plan(work: Workspace, *, values: Iterable[Path] = (), kube_versions: Iterable[str] = ()) -> Plan:
    """The matrix of the chart at `config.chart`; what the chart lacks is said. Raises as `make_plan` does."""
    schemas = schemas_of(work)
    plan = make_plan(
        read_chart(work.config.chart),
        schemas.minors(),
        values=values,
        kube_versions=kube_versions,
        api_versions=schemas.api_versions,
    )
    for note in plan.notes:
        work.say(note)
    return plan


def render(plan: Plan, work: Workspace) -> tuple[Render, ...]:
    """The whole matrix, by values and then by version.

    Raises ChartError or ValuesError telling each distinct refusal once, with the renders that it stops.
    """
    with workers(work.runner) as pool:
        return gathered(plan, submitted(plan, work.helm, pool))


def submitted(plan: Plan, helm: Helm, pool: Executor) -> dict[tuple[str, str], Future[Render]]:
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


def gathered(plan: Plan, futures: Mapping[tuple[str, str], Future[Render]]) -> tuple[Render, ...]:
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


def make_index(plan: Plan, renders: Sequence[Render]) -> dict[str, Any]:
    """Which file holds which render, as JSON: `dist/<chart>.manifests/index.json` and `--json`."""
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


def store(plan: Plan, renders: Sequence[Render], folder: Path) -> Path:
    """Write `folder`: a file for each distinct render, named by content, and `index.json`.

    The folder is replaced as a whole or left as it was. Raises OutputError where it cannot be written.
    """
    dist, index = folder.parent, make_index(plan, renders)
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


def spread(cells: Iterable[tuple[str, str]]) -> Spread:
    """`cells`, pairs of a values name and a Kubernetes version, in as few groups as that takes."""
    minors: dict[str, list[str]] = {}
    for name, version in cells:
        minors.setdefault(name, []).append(minor(version))
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, versions in minors.items():
        groups.setdefault(tuple(versions), []).append(name)
    return Spread(tuple((tuple(names), versions) for versions, names in groups.items()))


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


def _asks_for_apis(folder: Path) -> bool:
    """Whether a template, or one of an unpacked dependency, looks at the APIs that the cluster serves."""
    return any(
        "APIVersions" in file.read_text(errors="replace") for file in folder.rglob("templates/**/*") if file.is_file()
    )
