"""Packages the chart into `dist/`: the same files give the same archive, wherever and whenever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from scripts.chart.archive import RECORD, UNDATED, Given, Package, describe, pack, read_members, record_text
from scripts.chart.changelog import read_changelog
from scripts.chart.dependencies import demand_dependencies, provide_dependencies
from scripts.chart.helm import Helm
from scripts.chart.secrets import refuse_secrets
from scripts.chart.source import Chart, check_sources
from scripts.core.config import Config
from scripts.core.files import write_atomic
from scripts.core.paths import line_of, shown
from scripts.core.progress import Say, silent
from scripts.core.semver import parse
from scripts.release.origin import origin_of


def package(
    config: Config, chart: Chart, helm: Helm, say: Say = silent, *, given: Given | None = None, dry_run: bool = False
) -> Package:
    """Write `dist/<name>-<version>.tgz` and `dist/<name>.package.json`; when `dry_run`, only say what they would be.

    It is made from the commit where the folder is as the commit holds it, else from the folder, which is said. Raises
    VersionError (no semver), ValuesError (a values file is no YAML), ChartError (a schema that is no JSON, or helm
    refuses the chart), SecretError, ChangelogError, GitError, OutputError (`dist/` cannot be written): whatever was in
    `dist/` is then still there.
    """
    if not dry_run:
        provide_dependencies(chart, helm, say)
    with origin_of(config, helm) as origin, origin.telling():
        own, source = origin.config(config), origin.chart
        if given and given.version:
            source = replace(source, version=given.version)
        found, data = build(own, source, helm, release_time(own, source), given)
    for difference in (each for each in origin.differences if not each.fetched):
        say(f"note: {'the commit is packed, not' if origin.copies else 'no commit holds'} {difference}")
    if not dry_run:
        store(config, found, data)
        say(f"packaged {chart.name} {found.version}: {found.size} bytes")
    return found


def build(config: Config, chart: Chart, helm: Helm, epoch: int, given: Given | None = None) -> tuple[Package, bytes]:
    """The package of `chart` with the time `epoch`, and its bytes; nothing is written. Raises as `package` does."""
    file = chart.path / "Chart.yaml"
    parse(chart.version, f"{shown(file)}:{line_of(file, ['version'])}: version")
    check_sources(chart)
    demand_dependencies(chart)
    data = pack(helm, chart.path, epoch, given)
    refuse_secrets(read_members(data, chart.archive_name), config.meant_files)
    return replace(describe(config.dist / chart.archive_name, data, epoch), given=given), data


def store(config: Config, package: Package, data: bytes) -> None:
    """Write the archive `data` to where `package` says, and its record beside it. Raises OutputError."""
    write_atomic(package.path, data)
    write_atomic(config.result(package.name, RECORD), record_text(package))


def release_time(config: Config, chart: Chart) -> int:
    """The time that the archive carries, in seconds since 1970.

    It comes from the files alone, since a git clone, a shallow clone and an unpacked source must give the same
    bytes: midnight UTC of the version's date in the changelog, or a constant where no date stands there.
    """
    changelog = read_changelog(config.changelog)
    section = changelog.section(chart.version) if changelog else None
    return midnight(section.date if section else None)


def midnight(day: date | None) -> int:
    """The time that the archive of a version of this `day` carries, in seconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) if day else UNDATED
