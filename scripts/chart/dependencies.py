"""Sees that a chart's dependencies are there, and are the ones that Chart.yaml and Chart.lock ask for."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.chart.archive import chart_metadata
from scripts.chart.constraints import admits
from scripts.chart.contents import left_out, read_archived, read_contents
from scripts.chart.helm import Helm
from scripts.chart.manifests import mappings
from scripts.chart.source import Chart, read_chart, read_yaml
from scripts.core.command import Runner
from scripts.core.committed import placed
from scripts.core.errors import OUTSIDE, ChartError, CommandFailed, CommandTimeout
from scripts.core.git import why_absent
from scripts.core.paths import line_of, shown
from scripts.core.waiting import locked
from scripts.core.yaml_read import dump

_PATIENCE = 600.0  # seconds to wait for another run that fetches the same
_FETCH, _COMPARE = 300.0, 60.0  # seconds for helm to fetch what is missing, and what is there already

# What helm says of a Chart.lock that asks for something else than Chart.yaml, or than what is there by now.
_OUTDATED_LOCK = re.compile(r"can't get a valid version|out of sync")
# What it says of a repository that cannot be one: no folder, or an address of another kind.
_NO_REPOSITORY = re.compile(r"directory .* not found|could not find protocol handler")
_LOG = re.compile(r"^level=(?:INFO|WARN) .*\n", re.MULTILINE)  # what it says of links, for one
_ARCHIVE = "{}-[v0-9]*.tgz"  # what helm calls the archive of a dependency
_REWRITTEN = ("/Chart.yaml", "/Chart.lock")  # by helm, as it packs


@dataclass(frozen=True)
class Dependency:
    """An entry of Chart.yaml's `dependencies`; `index` is its place there, `repository` "" for one kept in charts/."""

    index: int
    name: str
    version: str
    repository: str


@dataclass(frozen=True)
class Objection:
    """What is wrong with a dependency (`index`), or Chart.lock; `missing`: not there; `way`: what helps, not helm."""

    message: str
    index: int | None = None
    missing: bool = False
    way: str = ""

    def run(self, chart: Chart) -> str:
        if self.way:
            return self.way
        if self.index is None:
            return f"helm dependency update {shown(chart.path)}"
        # Not `helm dependency build`, which wants each repository to be added before.
        fetch = f"invoke lint --chart {shown(chart.path)}"
        return fetch if self.missing else "take it out of charts/, to be fetched"

    def place(self, chart: Chart) -> tuple[Path, int | None]:
        if self.index is None:
            return locked_in(chart), line_of(locked_in(chart), ["dependencies"])
        return declared_in(chart), line_of(declared_in(chart), ["dependencies", self.index])


def declared_in(chart: Chart) -> Path:
    """The file that names the dependencies: requirements.yaml, where a chart has one from the days of Helm 2."""
    old = chart.path / "requirements.yaml"
    return old if old.is_file() else chart.path / "Chart.yaml"


def locked_in(chart: Chart) -> Path:
    """The file that holds them to versions, whether or not it is there."""
    return declared_in(chart).with_suffix(".lock")


def dependencies(chart: Chart) -> tuple[Dependency, ...]:
    """What that file says; entries of another form are helm's affair. Raises ChartError for one that is no YAML."""
    file = declared_in(chart)
    metadata = chart.metadata if file.name == "Chart.yaml" else read_yaml(file, ChartError)
    entries = metadata.get("dependencies")
    return tuple(
        Dependency(index, *(str(entry.get(key) or "") for key in ("name", "version", "repository")))
        for index, entry in enumerate(entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
    )


def fetched_archives(chart: Chart) -> Iterator[Path]:
    """The archives in charts/ of dependencies that helm fetches, as far as they are there."""
    for one in dependencies(chart):
        yield from (chart.path / "charts").glob(_ARCHIVE.format(one.name)) if one.repository else ()


def is_local(chart: Chart, folder: Path) -> bool:
    """Whether `chart` depends on the chart in `folder` by its path, be that a copy with links to what is beside it."""
    there = os.path.normpath(folder), folder.resolve()
    return any(os.path.normpath(way) == there[0] or way.resolve() == there[1] for way in by_path(chart).values())


def local_dependencies(chart: Chart) -> tuple[Path, ...]:
    """The folders that `file://` dependencies lie in, as far as they are there."""
    return tuple(folder for _, folder in _near(chart))


def by_path(chart: Chart) -> dict[Dependency, Path]:
    """The `file://` dependencies, each with the way to the folder that it names, whether or not that is there."""
    found = ((one, one.repository.removeprefix("file://")) for one in dependencies(chart))
    return {one: chart.path / way for one, way in found if way != one.repository}


def _near(chart: Chart) -> Iterator[tuple[Dependency, Path]]:
    """Those of them whose folder is there and holds a chart."""
    found = ((one, way.resolve()) for one, way in by_path(chart).items())
    return ((one, folder) for one, folder in found if (folder / "Chart.yaml").is_file())


def objections(chart: Chart) -> Iterator[Objection]:
    """What differs between Chart.yaml, Chart.lock and charts/. Raises ChartError for an archive that is damaged."""
    wanted, there, locked = dependencies(chart), _there(chart.path), _locked(chart)
    file, lock_file = declared_in(chart).name, locked_in(chart).name
    near = {one.index: read_chart(folder).version for one, folder in _near(chart)}
    hidden = tuple(_hidden(chart.path))
    for one in wanted:
        versions, lock = there.get(one.name), (locked or {}).get(one.name)
        held = near.get(one.index)
        if one.version and held and not admits(one.version, held):
            told = f"{one.name} in {one.repository} is {held}, not {one.version}"
            yield Objection(told, one.index, way="correct the version there")
        elif not versions and any(entry.name == one.name or entry.match(_ARCHIVE.format(one.name)) for entry in hidden):
            told = f"{one.name} in charts/ is what .helmignore leaves out"
            yield Objection(told, one.index, way="correct .helmignore")
        elif not versions:
            told, way = f"{one.name} {one.version} is not in charts/".replace("  ", " "), ""
            if not one.repository:
                way = "put it there, or say which repository has it"
                if absent := why_absent(chart.path / "charts" / one.name / "Chart.yaml", Runner()):
                    told, way = f"{told}: {absent[0]}", absent[1] or way
            yield Objection(told, one.index, missing=True, way=way)
        elif one.version and not any(admits(one.version, version) for version in versions):
            told = f"{one.name} in charts/ is {', '.join(versions)}, not {one.version}"
            yield Objection(told, one.index, way="" if one.repository else "correct one of the two")
        elif one.repository and lock and not any(admits(exact, version) for exact in lock for version in versions):
            told = f"{one.name} in charts/ is {', '.join(versions)}, but {lock_file} says {', '.join(sorted(lock))}"
            yield Objection(told, one.index)
        elif len(versions) > sum(each.name == one.name for each in wanted):
            told = f"{one.name} is in charts/ as {', '.join(versions)}, and helm renders a mix of them"
            yield Objection(told, one.index, way="take out of charts/ what is not meant")
    if locked is None:
        return
    for one in wanted:
        if one.name not in locked:
            yield Objection(f"{lock_file} does not have {one.name}")
        elif one.version and not any(admits(one.version, version) for version in locked[one.name]):
            yield Objection(f"{lock_file} has {one.name} {', '.join(sorted(locked[one.name]))}, not {one.version}")
    way = "" if wanted else f"rm {shown(locked_in(chart))}"  # which helm leaves as it is where nothing is wanted
    for name in sorted(locked.keys() - {one.name for one in wanted}):
        yield Objection(f"{lock_file} has {name}, which {file} does not", way=way)


def demand_dependencies(chart: Chart) -> None:
    """Raises ChartError where charts/ is not as Chart.yaml and Chart.lock say."""
    for one in sorted(objections(chart), key=lambda one: (not one.way, one.index is not None)):
        file, line = one.place(chart)
        raise ChartError(f"{shown(file)}:{line or 1}: {one.message}", run=one.run(chart))


def provide_dependencies(chart: Chart, helm: Helm, say: Callable[[str], None]) -> bool:
    """Have helm fetch the dependencies that are missing, by Chart.lock where there is one; into charts/, as it does.

    Those that lie in a folder are packed anew where that has changed. Nothing is done, and False returned, where all
    are there. Raises ChartError with helm's words.
    """
    own = chart.path.resolve()
    for folder in local_dependencies(chart):
        if folder not in (own, own / "charts" / folder.name):  # what stands there is rendered as it is
            provide_dependencies(read_chart(folder), helm, say)
    what = f"the dependencies of {shown(chart.path)}"
    with locked(chart.path / "Chart.yaml", what=what, deadline=_PATIENCE, say=say, error=ChartError):
        if told := outdated(chart):
            say(f"fetching the dependencies of {chart.name}: {'; '.join(told)}")
            _build(chart, helm)
        return bool(told)


def lend(chart: Chart, charts: Path) -> None:
    """Put the archives of the folder `charts` that the lock of `chart` names into its own, so that none is fetched."""
    there, locked = _there(chart.path), _locked(chart) or {}
    for one in dependencies(chart):
        if one.name in there or not one.repository or one.repository.startswith("file://"):
            continue  # what lies in a folder is packed anew
        for archive in (charts / f"{one.name}-{version}.tgz" for version in locked.get(one.name, ())):
            if archive.is_file():
                (chart.path / "charts").mkdir(exist_ok=True)
                shutil.copyfile(archive, chart.path / "charts" / archive.name)


def fetched_anew(chart: Chart, helm: Helm, root: Path, into: Path, archives: Collection[Path]) -> Path:
    """The folder with what helm fetches for the dependencies of these `archives`, by Chart.lock. Raises ChartError."""
    copy, locked = placed(root, chart.path, into), _locked(chart) or {}
    entries = []
    for one in dependencies(chart):
        if one.repository and any(archive.match(_ARCHIVE.format(one.name)) for archive in archives):
            fitting = (
                each for each in sorted(locked.get(one.name, ())) if not one.version or admits(one.version, each)
            )
            entry = {"name": one.name, "alias": f"a{one.index}", "repository": one.repository}
            entries.append({**entry, "version": next(fitting, one.version)})
    for inside in chart.path.iterdir():
        if inside.is_dir() and inside.name not in ("charts", ".git"):  # where a `file://` dependency may lie
            (copy / inside.name).symlink_to(inside)
    facts = {"apiVersion": "v2", "name": chart.name, "version": "0.0.0", "dependencies": entries}
    (copy / "Chart.yaml").write_text(dump(facts), encoding="utf-8")
    _build(read_chart(copy), helm, deadline=_COMPARE)
    return copy / "charts"


def outdated(chart: Chart) -> tuple[str, ...]:
    """What `provide_dependencies` would have fetched, in words."""
    if not any(one.repository for one in dependencies(chart)):
        return ()
    lacking = (one.message for one in objections(chart) if one.missing)
    return (*dict.fromkeys(lacking), *_stale(chart))  # one under several names is missing once


def _stale(chart: Chart) -> Iterator[str]:
    """The archives in charts/ of dependencies whose folder holds something else by now."""
    for one, folder in _near(chart):
        for archive in sorted((chart.path / "charts").glob(_ARCHIVE.format(one.name))):
            before, now = (
                {name: data for name, data in contents.files.items() if not name.endswith(_REWRITTEN)}
                for contents in (read_archived(archive, one.name), read_contents(folder, one.name))
            )
            if before != now:
                yield f"{shown(folder)} has changed"


def _build(chart: Chart, helm: Helm, *, deadline: float = _FETCH) -> None:
    urls = {one.repository for one in dependencies(chart)}
    near = any(re.match(r"oci://(localhost|127\.[\d.]+|\[::1\])[:/]", url) for url in urls)
    lock = locked_in(chart)
    locks = lock.exists() or any(url and not url.startswith("file://") for url in urls)
    try:
        helm.build_dependencies(chart.path, sorted(urls), near=near, deadline=deadline)
        if not locks:  # what lies in folders is held by the commit; helm's lock bears the time, and would be a change
            lock.unlink(missing_ok=True)
    except (CommandFailed, CommandTimeout) as error:
        said = _LOG.sub("", error.stderr).strip().removeprefix("Error: ")
        file = declared_in(chart)
        lacking = {way.resolve() for way in by_path(chart).values()}.difference(local_dependencies(chart))
        absent = (why_absent(folder / "Chart.yaml", helm.runner) for folder in sorted(lacking))
        ways = [*(one.way for one in objections(chart)), *(way for _, way in filter(None, absent))]
        way = next(filter(None, ways), "")
        if not way and _NO_REPOSITORY.search(said):
            way = "correct the repository there" + ", or install helm's plugin for it" * ("protocol" in said)
        elif not way and _OUTDATED_LOCK.search(said):
            way = f"helm dependency update {shown(chart.path)}"
        raise ChartError(
            f"{shown(file)}:{line_of(file, ['dependencies']) or 1}: the dependencies cannot be fetched: "
            + "; ".join(outdated(chart)),
            found=said or str(error),
            run=way or "see that the repositories are known and can be reached, then run the same command again",
            code=None if way else OUTSIDE,
        ) from error


def _there(folder: Path) -> dict[str, dict[str, None]]:
    """The versions of each chart that helm finds in charts/, by name."""
    found: dict[str, dict[str, None]] = {}
    for entry in sorted({*(folder / "charts").glob("*")}.difference(_hidden(folder))):
        metadata: Mapping[str, Any] | None = None
        if (entry / "Chart.yaml").is_file():
            metadata = read_yaml(entry / "Chart.yaml", ChartError)
        elif entry.suffix == ".tgz" and entry.is_file():
            metadata = chart_metadata(entry.read_bytes(), shown(entry))
        if metadata and metadata.get("name"):
            found.setdefault(str(metadata["name"]), {})[str(metadata.get("version"))] = None
    return found


def _hidden(folder: Path) -> Iterator[Path]:
    """What in charts/ helm passes over, by the chart's .helmignore."""
    ignored = left_out(folder)
    for entry in (folder / "charts").glob("*"):
        if ignored("charts", True) or ignored(f"charts/{entry.name}", entry.is_dir()):
            yield entry


def _locked(chart: Chart) -> dict[str, set[str]] | None:
    """The versions of each chart in the lock; None where there is none."""
    file = locked_in(chart)
    if not file.is_file():
        return None
    locked: dict[str, set[str]] = {}
    for entry in mappings(read_yaml(file, ChartError).get("dependencies")):
        locked.setdefault(str(entry.get("name")), set()).add(str(entry.get("version")))
    return locked
