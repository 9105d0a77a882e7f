"""Chooses among the charts of a project: all, or those that changed; what others depend on comes first."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from scripts.chart.dependencies import by_path
from scripts.chart.source import Chart, read_chart
from scripts.core.command import Runner
from scripts.core.config import Config
from scripts.core.errors import ChartError, ConfigError, GitError, ValuesError
from scripts.core.git import find_repository
from scripts.core.paths import matching, shown


def selected(config: Config, runner: Runner, *, changed: str | None = None) -> tuple[Chart, ...]:
    """The charts of the project, or those that differ from the merge base with the revision `changed`, uncommitted
    changes included; a chart changes with those that it depends on by `file://`, and with what its symlinks lead to.

    In the order of dependency. Raises ConfigError, ChartError, GitError.
    """
    charts = _ordered(all_of(config))
    if changed is None:
        return charts
    repository = find_repository(config.project, runner)
    if repository is None:
        raise GitError(f"{shown(config.project)} is in no git repository, so nothing is known to have changed")
    files = [repository.root / name for name in repository.changed_since(changed)]

    @functools.cache
    def differs(folder: Path) -> bool:
        linked = (found.resolve() for found in folder.rglob("*") if found.is_symlink())
        return any(file.is_relative_to(place) for place in (folder, *linked) for file in files)

    return tuple(chart for chart in charts if any(map(differs, (chart.path.resolve(), *needed(chart)))))


def all_of(config: Config) -> tuple[Chart, ...]:
    """The charts of the project; of several, one that is unreadable bears its place. Raises ConfigError, ChartError."""
    if not config.charts:
        return (read_chart(config.chart),)
    found: dict[Path, Chart] = {}
    for pattern in config.charts:
        fits = (folder for folder in matching(config.project, pattern) if (folder / "Chart.yaml").is_file())
        folders = [folder for folder in fits if "**" not in pattern or not _inside(folder)]
        if not folders:
            raise ConfigError(
                f"[tool.gati] charts: no chart fits {pattern!r}",
                expected=f"folders with a Chart.yaml below {shown(config.project)}",
            )
        found |= {folder.resolve(): _read(folder) for folder in folders}
    names: dict[str, Chart] = {}
    for chart in found.values():
        if (other := names.setdefault(chart.name, chart)) is not chart:
            raise ChartError(f"two charts are called {chart.name}", found=f"{shown(other.path)}, {shown(chart.path)}")
    return tuple(found.values())


def _inside(folder: Path) -> bool:
    """Whether the chart there is a part of another one, which is not meant where a pattern goes down all folders."""
    return folder.parent.name == "charts" and (folder.parent.parent / "Chart.yaml").is_file()


def _read(folder: Path) -> Chart:
    try:
        return read_chart(folder)
    except (ChartError, ValuesError):
        return Chart(folder, shown(folder), "", None, None, {}, ())


def _ordered(charts: Iterable[Chart]) -> tuple[Chart, ...]:
    by_path = {chart.path.resolve(): chart for chart in charts}
    graph = {path: needed(chart) & by_path.keys() for path, chart in by_path.items()}
    try:
        return tuple(by_path[path] for path in TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " -> ".join(by_path[path].name for path in error.args[1])
        raise ChartError("the charts depend on each other in a circle", found=circle) from None


def needed(chart: Chart) -> set[Path]:
    """The folders that `chart` depends on by path, directly or through others, also where a chart is there no more."""
    found: set[Path] = set()
    ahead = [chart]
    while ahead:
        with contextlib.suppress(ChartError):  # which is told to whoever looks into that one
            for path in (way.resolve() for way in by_path(ahead.pop()).values()):
                if path not in found:
                    found.add(path)
                    ahead.append(_read(path))
    return found
