"""Puts configuration, workflow, changelog and values sets beside a chart, and replaces nothing."""

from __future__ import annotations

import datetime
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from scripts.chart.contents import left_out
from scripts.chart.source import read_chart, read_yaml
from scripts.core.errors import ChartError, UsageError, ValuesError
from scripts.core.files import write_atomic
from scripts.core.git import find_repository
from scripts.core.owner import temporary
from scripts.core.paths import shown
from scripts.core.yaml_edit import quoted, scalar
from scripts.workspace import Workspace

TOOLKIT = "OWNER/gati-release-toolkit@REVISION"
_STARTER = Path(__file__).with_name("starter")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_USED = re.compile(r"(?:\./|[\w.-]+/[\w./-]+@\S).*")
_IGNORED = """
# For who releases the chart.
gati.toml
.github/
"""


@dataclass(frozen=True)
class NewChart:
    """What was written, or would be, for the chart at `path`; `kept` was there and stays as it is. `next` to run."""

    path: Path
    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    next: str


def new_chart(work: Workspace, path: Path, *, toolkit: str = TOOLKIT, dry_run: bool = False) -> NewChart:
    """Write what is missing at `path`, the folder of a chart; where there is none, the chart that helm begins with.

    `toolkit` is how a workflow names this repository. Raises UsageError, ChartError, ValuesError, OutputError,
    CommandFailed.
    """
    path = path.resolve()  # as git names the root of the repository
    if path.is_file():
        raise UsageError(f"{shown(path)} is a file", expected="the folder of a chart, or of one that is to be")
    if not _USED.fullmatch(toolkit):
        raise UsageError(f"no workflow can use {toolkit!r}", expected="OWNER/NAME@REVISION")
    files: dict[Path, bytes | str] = {}
    for file, content in _files(work, path, toolkit):
        files.setdefault(file, content)  # of a name that helm begins with, too
    written = tuple(file for file in files if not file.exists())
    kept = tuple(file for file in files if file.exists())
    if not dry_run:
        for file in written:
            write_atomic(file, files[file])
    ignore, own = path / ".helmignore", path / "gati.toml"
    if ignore in kept and own in files and not left_out(path)(own.name, False):
        work.say(f"note: gati.toml will be packed, and a change of it need a version: name it in {shown(ignore)}")
    return NewChart(path, written, kept, f"invoke lint --chart {shlex.quote(shown(path))}")


def _files(work: Workspace, path: Path, toolkit: str) -> Iterator[tuple[Path, bytes | str]]:
    if (path / "Chart.yaml").exists():
        chart = read_chart(path)
        name, version, values = chart.name, chart.version, _values(path)
        tested = any(file.parent == path / "ci" for file in chart.values_files)
    else:
        name, version, tested = path.name, "0.1.0", False
        if not _NAME.fullmatch(name) or scalar(name) != name:
            expected = "small letters, digits, and - between them; nothing that YAML takes for a number or a switch"
            raise UsageError(f"{name!r} is no name of a chart", expected=expected)
        if path.exists() and any(path.iterdir()):
            raise ChartError(
                f"{shown(path)} holds files, and no Chart.yaml",
                expected="the folder of a chart, or an empty one",
                run="name another folder",
            )
        with temporary("new-chart") as scratch:
            made = scratch / name
            work.runner.run((work.tools.path("helm"), "create", made))
            values = _values(made)
            for file in sorted(made.rglob("*")):
                if file.is_file():
                    more = _IGNORED.encode() if file.name == ".helmignore" else b""
                    yield path / file.relative_to(made), file.read_bytes() + more
    yield path / ".helmignore", _IGNORED
    if not work.of_chart(path).config.charts:  # else the project of several has one, and the nearest alone counts
        yield path / "gati.toml", _filled("gati.toml")
    today = datetime.datetime.now(datetime.UTC).date()
    yield path / "CHANGELOG.md", _filled("CHANGELOG.md", version=version, today=today)
    if not tested:  # else its maintainers know what it needs, and bare values may not do
        yield path / "ci" / "default-values.yaml", "# The chart as it is, with what it cannot do without.\n{}\n"
    if not tested and isinstance(values.get("replicaCount"), int):
        yield path / "ci" / "replicas-values.yaml", "# Enough that one pod may go.\nreplicaCount: 2\n"
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())
    repository = find_repository(there, work.runner)
    root = repository.root if repository is not None else path
    branch = repository.main_branch() if repository is not None else "main"
    place = path.relative_to(root).as_posix()
    named = {"name": scalar(name), "chart": scalar(place), "toolkit": scalar(toolkit)}
    workflow = _filled("workflow.yml", branch=quoted(branch), **named)
    yield root / ".github" / "workflows" / f"{name}.yml", workflow


def _filled(name: str, /, **words: object) -> str:
    """A file to begin with, where `$word` stands for one of `words`."""
    return Template((_STARTER / name).read_text(encoding="utf-8")).safe_substitute(words)


def _values(folder: Path) -> Mapping[str, Any]:
    file = folder / "values.yaml"
    return read_yaml(file, ValuesError) if file.is_file() else {}
