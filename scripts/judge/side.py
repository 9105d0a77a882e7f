"""What is judged of one version of a chart apart from its renders: its Chart.yaml, values, schema and templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.chart.archive import read_members
from scripts.chart.source import parse_yaml, read_yaml, values_sets
from scripts.core import json_read
from scripts.core.errors import ChartError, ValuesError


@dataclass(frozen=True)
class Side:
    """One version of a chart. `settings` are the chart's values files by name, `values.yaml` among them.

    `templates` are the texts in which values are read, by name. `dependencies` are the charts in `charts/`, by name.
    """

    metadata: Mapping[str, Any]
    settings: Mapping[str, Mapping[str, Any]]
    schema: Mapping[str, Any] | None = None
    templates: Mapping[str, str] = field(default_factory=dict)
    dependencies: Mapping[str, Side] = field(default_factory=dict)

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


def read_side(folder: Path) -> Side:
    """The chart in `folder`. Raises ChartError, ValuesError with file and line."""
    metadata = read_yaml(folder / "Chart.yaml", ChartError)
    files = [file for file in (folder / "values.yaml", *values_sets(folder)) if file.is_file()]
    file = folder / "values.schema.json"
    schema = read_schema(file.read_bytes(), str(file)) if file.is_file() else None
    texts = {
        name.relative_to(folder).as_posix(): name.read_text(encoding="utf-8", errors="replace")
        for name in sorted((folder / "templates").rglob("*"))
        if name.is_file()
    }
    return Side(metadata, {file.name: read_yaml(file, ValuesError) for file in files}, schema, texts, _packed(folder))


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


def _packed(folder: Path) -> dict[str, Side]:
    """The charts in `charts/`, as folders or archives, by the name in their Chart.yaml."""
    parts = sorted((folder / "charts").glob("*"))
    sides = [
        (part, read_side(part) if part.is_dir() else _archived(part))
        for part in parts
        if (part / "Chart.yaml").is_file() or part.suffix == ".tgz"
    ]
    return {str(side.metadata.get("name", part.name)): side for part, side in sides}


def _archived(archive: Path) -> Side:
    """A packed dependency; the charts that are packed in it count with it."""
    members = read_members(archive.read_bytes(), str(archive))
    inside = {name.partition("/")[2]: data for name, data in members.items()}
    metadata, values = (
        parse_yaml(inside.get(name, b""), f"{archive}: {name}", error)
        for name, error in (("Chart.yaml", ChartError), ("values.yaml", ValuesError))
    )
    schema = inside.get("values.schema.json")
    return Side(
        metadata,
        {"values.yaml": values},
        read_schema(schema, f"{archive}: values.schema.json") if schema else None,
        {name: data.decode(errors="replace") for name, data in inside.items() if re.search(r"(^|/)templates/", name)},
    )


def versions(old: Side, new: Side) -> tuple[tuple[str, str], ...]:
    """What labels and texts carry of each version: the chart's own and the application's."""
    pairs = [(old.version, new.version), (old.app_version or "", new.app_version or "")]
    return tuple(pair for pair in pairs if all(pair))
