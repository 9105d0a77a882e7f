"""Owns the matrix of a chart: each of its values sets rendered for each Kubernetes minor, and stored."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.chart.constraints import supported
from scripts.chart.contents import Contents, read_contents
from scripts.chart.dependencies import demand_dependencies, dependencies, is_local, provide_dependencies
from scripts.chart.selection import needed
from scripts.chart.source import Chart, check_sources, demand_values, read_chart, read_yaml
from scripts.checks.kubeconform import Tolerance
from scripts.checks.schemas import Schemas, group_of, schemas_of
from scripts.core.config import Config, parts
from scripts.core.errors import ChartError, ConfigError, ValuesError
from scripts.core.files import copied
from scripts.core.owner import temporary
from scripts.core.paths import line_of, shown
from scripts.core.semver import minor
from scripts.workspace import Workspace

SCHEMA_VERSION = 1
WITHOUT, ASKED = "without operators", "with every API asked for"
"""Further ways to render: what templates do for an operator's cluster is seen on one without it, and the reverse."""


def own_name(name: str) -> str:
    """What a values set is called by itself, in whichever of these ways it is rendered."""
    return name.removesuffix(f" {WITHOUT}").removesuffix(f" {ASKED}")


@dataclass(frozen=True)
class Values:
    """One way to render the chart: `files` are laid over its values.yaml, `name` is for people."""

    name: str
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One render: `values` for `kube_version`, on a cluster with the operators, or WITHOUT, or with all ASKED."""

    values: Values
    kube_version: str
    way: str = ""

    @property
    def name(self) -> str:
        """What a person calls it, beside the version."""
        return f"{self.values.name} {self.way}".strip()


@dataclass(frozen=True)
class Plan:
    """What is rendered: each of `values` for each of `kube_versions`, and in the further `ways` for the ends of those.

    `release` names the release and its namespace. `notes` tell a person what the chart lacks and what that means
    here. `through` is the library chart that `chart`, a chart of tests, is there to render.
    """

    chart: Chart
    values: tuple[Values, ...]
    kube_versions: tuple[str, ...]
    release: str
    ways: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    contents: Contents = field(default_factory=lambda: Contents({}))
    served: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    tolerance: Tolerance = field(default_factory=Tolerance)
    through: Chart | None = None
    given: bool = False
    """Whether somebody gave values: then the chart may refuse its values.yaml alone, which is a note."""
    upgrade: bool = False
    """Whether templates hear that they are rendered for an upgrade, and not for an installation."""
    left_out: tuple[str, ...] = ()
    """The minors that the chart supports, and nobody asked for."""

    @property
    def subject(self) -> Chart:
        """The chart that all of this is about."""
        return self.through or self.chart

    def cells(self) -> tuple[Cell, ...]:
        """Every render, by version, so that the first version's are done first."""
        ends = dict.fromkeys((*self.kube_versions[:1], *self.kube_versions[-1:]))
        return (
            *(Cell(values, version) for version in self.kube_versions for values in self.values),
            *(Cell(values, version, way) for version in ends for values in self.values for way in self.ways),
        )

    def apis(self, cell: Cell) -> tuple[str, ...]:
        """What helm hears of the cell's cluster; nothing where no template asks."""
        return self.served.get((minor(cell.kube_version), cell.way), ())


@dataclass(frozen=True)
class Spread:
    """The renders for which something holds, as (values names, minors): all of the one with all of the other."""

    groups: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

    def __str__(self) -> str:
        known = {name: {*minors} for values, minors in self.groups for name in values}
        told = list[str]()
        for values, minors in self.groups:
            own = (
                name for name in values if name == own_name(name) or not {*minors} <= known.get(own_name(name), set())
            )
            if names := ", ".join(own):  # a further way to render says nothing more
                told.append(f"{names} for {spans(minors)}")
        return "; ".join(told)

    def records(self) -> list[dict[str, Any]]:
        return [{"values": values, "kube_versions": minors} for values, minors in self.groups]


def make_plan(
    chart: Chart,
    known: Sequence[str],
    *,
    values: Iterable[Path] = (),
    kube_versions: Iterable[str] = (),
    clusters: Schemas | None = None,
    config: Config = Config(Path()),  # noqa: B008 - frozen
) -> Plan:
    """The whole matrix of `chart`, or the part of it for `kube_versions` (minors of `known`, such as `1.30`).

    `values` are further files, each rendered by itself. `clusters` is asked where a template looks at what the
    cluster serves. A library chart gives an empty plan. Raises ChartError (a `kubeVersion` that admits nothing
    known), ValuesError (a file that is missing or no YAML), ConfigError (a version that is not supported).
    """
    if library := _library(chart):
        note = f"{chart.name} {library}: it renders nothing by itself, and no chart of tests (test_chart) uses it"
        return Plan(chart, (), (), chart.release, notes=(note,))
    bare = chart.path / "values.yaml"
    columns = [Values(column_name(chart, file), () if file == bare else (file,)) for file in chart.values_files]
    columns = columns or [Values("values.yaml" if bare.is_file() else "no values file")]
    further = tuple(values)
    columns += (Values(shown(file), (file,)) for file in further)
    demand_values(file for column in columns for file in column.files)
    for file in further:
        read_yaml(file, ValuesError)
    check_sources(chart)
    every, versions = _versions(chart, known, kube_versions)
    contents = read_contents(chart.path, chart.name)
    ways, served = _served(contents, versions, clusters, config) if clusters and contents.asks_for_apis else ((), {})
    return Plan(
        chart,
        tuple(columns),
        versions,
        chart.release,
        ways,
        tuple(_notes(chart, () if kube_versions else known, contents)),
        contents,
        served,
        _tolerance(contents, clusters, config),
        given=bool(further),
        left_out=tuple(minor(version) for version in every if version not in versions),
    )


def column_name(chart: Chart, file: Path) -> str:
    """What a person calls the values set of that file."""
    return file.relative_to(chart.path).as_posix() if file.is_relative_to(chart.path) else shown(file)


def _versions(
    chart: Chart, known: Sequence[str], kube_versions: Iterable[str]
) -> tuple[Sequence[str], tuple[str, ...]]:
    """The supported versions among `known`, and those of them that `kube_versions` names. Raises as `make_plan`."""
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
    return versions, tuple(version for version in versions if not wanted or minor(version) in wanted)


def _served(
    contents: Contents, versions: Sequence[str], clusters: Schemas, config: Config
) -> tuple[tuple[str, ...], dict[tuple[str, str], tuple[str, ...]]]:
    """The further ways to render, and what the clusters of each minor and way serve."""
    builtin = {minor(version): clusters.builtin(minor(version)) for version in versions}
    own = with_versions((*config.api_versions, *contents.installed_first)) | clusters.defined()
    operators = clusters.operators()
    foreign = frozenset(name for name in contents.asked if not clusters.owned_by_kubernetes(group_of(name)))
    guessed = with_versions(foreign - operators - own)
    ways = {"": operators}
    if foreign or contents.asks_indirectly:
        ways[WITHOUT] = frozenset()
    if guessed:
        ways[ASKED] = operators | guessed
    served = {(m, way): tuple(sorted(builtin[m] | own | more)) for m in builtin for way, more in ways.items()}
    return tuple(way for way in ways if way), served


def _tolerance(contents: Contents, clusters: Schemas | None, config: Config) -> Tolerance:
    skipped, unproven = {}, {}
    for entry in config.skip_kinds:
        kind, reason = parts("skip_kinds", entry)
        skipped[kind] = reason
    for name in contents.asked:
        if clusters and name.count("/") < 2 and clusters.owned_by_kubernetes(group_of(name)):
            unproven[name] = "helm tells every template that asks that the cluster serves it"
    return Tolerance(skipped, unproven)


def with_versions(names: Iterable[str]) -> frozenset[str]:
    """`names`, and of each `group/version/Kind` its `group/version` too."""
    return frozenset(part for name in names for part in (name, "/".join(name.split("/")[:2])))


def read_plan(work: Workspace, *, values: Iterable[Path] = (), kube_versions: Iterable[str] = ()) -> Plan:
    """The matrix of the chart, of a library by its chart of tests, dependencies fetched. Raises as `make_plan` does."""
    schemas, config = schemas_of(work), work.config
    chart, library = read_chart(config.chart, config.values), None
    provide_dependencies(chart, work.helm, work.say)
    demand_dependencies(chart)
    if _library(chart) and (user := _test_chart(chart, config)):
        if _others(user, chart):
            provide_dependencies(user, work.helm, work.say)
            demand_dependencies(user)
        chart, library = user, chart
    plan = make_plan(
        chart, schemas.minors(), values=values, kube_versions=kube_versions, clusters=schemas, config=config
    )
    if library is not None:
        note = f"{library.name} {_library(library)}: rendered through {shown(chart.path.resolve())}"
        with renderable(chart, library) as folder:
            contents = read_contents(folder, chart.name)
        tolerance = replace(plan.tolerance, parts="a chart of tests may render parts of objects")
        plan = replace(plan, through=library, contents=contents, tolerance=tolerance, notes=(note, *plan.notes))
    for note in plan.notes:
        work.say(note)
    return plan


def _library(chart: Chart) -> str:
    """Why a chart is there for others alone: it says so, or is of before charts could. "" where it is not."""
    if chart.is_library:
        return "is a library chart"
    if dependencies(chart) or any((chart.path / name).is_dir() for name in ("charts", "crds")):
        return ""
    contents = read_contents(chart.path, chart.name)
    helpers = any("/_" in name for name in contents.templates)
    return "has helpers alone" if helpers and not any(contents.expected()) else ""


def _test_chart(library: Chart, config: Config) -> Chart | None:
    """The chart of tests that renders `library`: as configured, else one that depends on it by path, on few others."""
    if config.test_chart:
        return read_chart(library.path / config.test_chart)
    near = [library.path, library.path.parent, library.path.parent.parent]
    places = [
        file.parent for folder in near for depth in ("*", "*/*") for file in sorted(folder.glob(f"{depth}/Chart.yaml"))
    ]
    users = []
    for place in dict.fromkeys(places):
        with contextlib.suppress(ChartError):
            user = read_chart(place)
            used = is_local(user, library.path) or library.path.resolve() in needed(user)
            if used and not _library(user):
                users.append(user)
    return min(users, key=lambda user: (not is_local(user, library.path), _others(user, library)), default=None)


def _others(user: Chart, library: Chart) -> int:
    """How many dependencies `user` has beside `library`."""
    return sum(one.name != library.name for one in dependencies(user))


@contextlib.contextmanager
def renderable(chart: Chart, library: Chart | None) -> Iterator[Path]:
    """The folder that helm renders: the chart's own, or of a chart of tests a copy that holds the library as it is."""
    if library is None:
        yield chart.path
        return
    with temporary("library") as scratch:
        copy = copied(chart.path, scratch / chart.path.name, "Chart.lock", f"{library.name}-[v0-9]*.tgz")
        copied(library.path, copy / "charts" / library.name)
        yield copy


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


def _notes(chart: Chart, known: Sequence[str], contents: Contents) -> Iterator[str]:
    if not chart.values_files:
        yield f"{chart.name} has no values files: rendered once, as it is"
    if chart.kube_version is None and known:
        yield f"{chart.name} has no kubeVersion: rendered for every known Kubernetes, {spans(known)}"
    if remote := contents.remote_schemas:
        yield f"the schema of the values refers to {', '.join(remote)}: without that, the values are not checked"
