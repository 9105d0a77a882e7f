"""What is judged of one version of a chart apart from its renders: its Chart.yaml, values, schema and templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.chart.archive import read_members
from scripts.chart.constraints import admits
from scripts.chart.manifests import mappings
from scripts.chart.source import parse_yaml, read_yaml, values_sets
from scripts.core import json_read
from scripts.core.errors import ChartError, ValuesError

_SCHEMA = "values.schema.json"
_FILES = ("Chart.yaml", "requirements.yaml", "values.yaml", _SCHEMA)  # the second of the days of Helm 2


@dataclass(frozen=True)
class Side:
    """One version of a chart. `settings` are the chart's values files by name, `values.yaml` among them.

    `templates` are the texts in which values are read, by name. `dependencies` are the charts in `charts/`.
    """

    metadata: Mapping[str, Any]
    settings: Mapping[str, Mapping[str, Any]]
    schema: Mapping[str, Any] | None = None
    templates: Mapping[str, str] = field(default_factory=dict)
    dependencies: tuple[Side, ...] = ()

    @property
    def version(self) -> str:
        return str(self.metadata.get("version", ""))

    @property
    def app_version(self) -> str | None:
        found = self.metadata.get("appVersion")
        return None if found is None else str(found)

    @property
    def values(self) -> Mapping[str, Any]:
        return self.settings.get("values.yaml", {})

    @property
    def listed(self) -> list[Mapping[str, Any]]:
        """The entries of Chart.yaml's `dependencies`."""
        return mappings(self.metadata.get("dependencies"))

    @property
    def subcharts(self) -> dict[str, Side]:
        """The charts in `charts/` by the key of their values, of which one that is listed twice has two."""
        found: dict[str, Side] = {}
        for side in self.dependencies:
            name = str(side.metadata.get("name"))
            entries = [one for one in self.listed if one.get("name") == name]
            fitting = [one for one in entries if admits(str(one.get("version") or "*"), side.version)]
            found |= dict.fromkeys([called(one) for one in fitting or entries] or [name], side)
        return found


def called(entry: Mapping[str, Any]) -> str:
    """The key under which the values of a dependency stand."""
    return str(entry.get("alias") or entry.get("name"))


def read_side(folder: Path) -> Side:
    """The chart in `folder`. Raises ChartError, ValuesError with file and line."""
    side, more = _read(folder), {file.name: read_yaml(file, ValuesError) for file in values_sets(folder)}
    return replace(side, settings={**side.settings, **more})


def _read(chart: Path) -> Side:
    """A chart, in a folder or an archive, without further values files; what is packed in an archive counts with it."""
    if chart.is_dir():
        where, places = f"{chart}/", (*(chart / name for name in _FILES), *sorted((chart / "templates").rglob("*")))
        files = {file.relative_to(chart).as_posix(): file.read_bytes() for file in places if file.is_file()}
    else:
        where, members = f"{chart}: ", read_members(chart.read_bytes(), str(chart))
        files = {name.partition("/")[2]: data for name, data in members.items()}
    metadata, older, values = (
        parse_yaml(files.get(name, b""), where + name, error)
        for name, error in zip(_FILES, (ChartError, ChartError, ValuesError), strict=False)
    )
    schema = files.get(_SCHEMA)
    inner = (
        _read(one)
        for one in sorted((chart / "charts").glob("*"))
        if (one / "Chart.yaml").is_file() or one.suffix == ".tgz"
    )
    return Side(
        {**metadata, **older},
        {"values.yaml": values},
        read_schema(schema, where + _SCHEMA) if schema else None,
        {name: data.decode(errors="replace") for name, data in files.items() if re.search(r"(^|/)templates/", name)},
        tuple(inner),
    )


def read_schema(data: bytes, where: str) -> Mapping[str, Any] | None:
    """A values.schema.json; `true` takes all, as none does. Raises ChartError."""
    try:
        schema = json_read.load(data)
    except ValueError as error:
        raise ChartError(f"{where}: not valid JSON", found=str(error), run="correct that file") from error
    if schema is True:
        return None
    if not isinstance(schema, Mapping):
        raise ChartError(f"{where}: not a JSON schema", expected="an object", found=type(schema).__name__)
    return schema


def versions(old: Side, new: Side) -> tuple[tuple[str, str], ...]:
    """What labels and texts carry of each version: the chart's own and the application's."""
    pairs = [(old.version, new.version), (old.app_version or "", new.app_version or "")]
    return tuple(pair for pair in pairs if all(pair))
