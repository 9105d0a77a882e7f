"""Packages the chart into `dist/`: the same files give the same archive, wherever and whenever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from scripts.archive import RECORD, Package, describe, pack, record_text
from scripts.changelog import read_changelog
from scripts.chart import Chart
from scripts.config import Config
from scripts.files import write_atomic
from scripts.helm import Helm

UNDATED = 315532800  # 1980-01-01, the first day that every archive format can hold


def package(config: Config, chart: Chart, helm: Helm, say: Callable[[str], None] = lambda _: None) -> Package:
    """Write `dist/<name>-<version>.tgz` and `dist/package.json`.

    Raises ChartError (helm refuses the chart), ChangelogError, OutputError (`dist/` cannot be written): whatever
    was in `dist/` is then still there.
    """
    epoch = release_time(config, chart)
    data = pack(helm, chart.path, epoch)
    found = describe(config.dist / chart.archive_name, data, epoch)
    write_atomic(found.path, data)
    write_atomic(config.dist / RECORD, record_text(found))
    say(f"packaged {chart.name} {chart.version}: {found.size} bytes")
    return found


def release_time(config: Config, chart: Chart) -> int:
    """The time that the archive carries, in seconds since 1970.

    It comes from the files alone, since a git clone, a shallow clone and an unpacked source must give the same
    bytes: midnight UTC of the version's date in the changelog, or a constant where no date stands there.
    """
    changelog = read_changelog(config.changelog)
    section = changelog.section(chart.version) if changelog else None
    if section is None or section.date is None:
        return UNDATED
    return int(datetime(section.date.year, section.date.month, section.date.day, tzinfo=UTC).timestamp())
