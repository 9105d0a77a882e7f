"""Puts configuration, workflow, changelog and values sets beside a chart, and replaces nothing."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.chart.source import read_chart
from scripts.core.errors import ChartError, UsageError
from scripts.core.files import write_atomic
from scripts.core.git import find_repository
from scripts.core.owner import temporary
from scripts.core.paths import shown
from scripts.core.yaml_read import load
from scripts.workspace import Workspace

TOOLKIT = "OWNER/gati-release-toolkit@REVISION"
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_CONFIG = """\
# What the toolkit is told of this chart; every key is in its docs/reference.md.
changelog = "CHANGELOG.md"
# registry = "oci://ghcr.io/OWNER/charts"  # without it, versions go to a registry on this machine

# What the smoke test has to be told and cannot find in the objects: docs/other-charts.md.
[e2e]
"""
_IGNORED = """
# For who releases the chart.
gati.toml
.github/
"""
_CHANGELOG = """\
# Changelog

The format is [Keep a Changelog 1.1.0](https://keepachangelog.com/en/1.1.0/), and the chart's versions follow
[Semantic Versioning 2.0.0](https://semver.org/spec/v2.0.0.html).

## [Unreleased]

## [{version}] - {today}

### Added

- The chart
"""
_WORKFLOW = """\
# A pull request is checked and tried on a cluster; a push to main publishes a version that is not out yet.
name: {name}

on:
  pull_request:
  push:
    branches: [main]

permissions:
  contents: read

jobs:
  check:
    runs-on: ubuntu-24.04
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          fetch-depth: 0
          persist-credentials: false
      - uses: {toolkit}
        with:
          chart: {chart}
          run: |
            lint
            template
            kubeconform-check
            e2e
            report

  release:
    if: github.event_name == 'push'
    needs: check
    runs-on: ubuntu-24.04
    timeout-minutes: 30
    permissions:
      contents: read
      packages: write
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          fetch-depth: 0
          persist-credentials: false
      - uses: {toolkit}
        with:
          chart: {chart}
          registry: oci://ghcr.io/${{{{ github.repository_owner }}}}/charts
          username: ${{{{ github.actor }}}}
          password: ${{{{ secrets.GITHUB_TOKEN }}}}
          run: release --yes
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

    `toolkit` is how a workflow names this repository. Raises UsageError, ChartError, OutputError, CommandFailed.
    """
    path = path.absolute()
    if path.is_file():
        raise UsageError(f"{shown(path)} is a file", expected="the folder of a chart, or of one that is to be")
    files: dict[Path, bytes | str] = {}
    for file, content in _files(work, path, toolkit):
        files.setdefault(file, content)  # of a name that helm begins with, too
    written = tuple(file for file in files if not file.exists())
    kept = tuple(file for file in files if file.exists())
    if not dry_run:
        for file in written:
            write_atomic(file, files[file])
    return NewChart(path, written, kept, f"invoke lint --chart {shown(path)}")


def _files(work: Workspace, path: Path, toolkit: str) -> Iterator[tuple[Path, bytes | str]]:
    if (path / "Chart.yaml").exists():
        chart = read_chart(path)
        name, version, values = chart.name, chart.version, _values(path)
    else:
        name, version = path.name, "0.1.0"
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name of a chart", expected="small letters, digits, and - between them", found=name
            )
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
    yield path / "gati.toml", _CONFIG
    yield path / "CHANGELOG.md", _CHANGELOG.format(version=version, today=datetime.datetime.now(datetime.UTC).date())
    yield path / "ci" / "default-values.yaml", "# The chart as it is.\n{}\n"
    if isinstance(values.get("replicaCount"), int):
        yield path / "ci" / "replicas-values.yaml", "# Enough that one pod may go.\nreplicaCount: 2\n"
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())
    repository = find_repository(there, work.runner)
    root = repository.root if repository is not None else path
    chart_folder = path.relative_to(root).as_posix() if path.is_relative_to(root) else "."
    workflow = _WORKFLOW.format(name=name, chart=chart_folder, toolkit=toolkit)
    yield root / ".github" / "workflows" / f"{name}.yml", workflow


def _values(folder: Path) -> Mapping[str, Any]:
    file = folder / "values.yaml"
    found = load(file.read_text(encoding="utf-8")) if file.is_file() else None
    return found if isinstance(found, Mapping) else {}
