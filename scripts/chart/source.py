"""Reads a chart folder into a frozen value, and is the only writer of its Chart.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.core import json_read
from scripts.core.command import Runner
from scripts.core.errors import USAGE, ChartError, ReleaseError, ValuesError
from scripts.core.files import demand_settled, read_any
from scripts.core.git import why_absent
from scripts.core.paths import matching, shown
from scripts.core.yaml_edit import set_value
from scripts.core.yaml_read import dump, flaw_of, load, load_merged

_FORM = re.compile(rb"^\s*[\"']?__metadata[\"']?:", re.MULTILINE)  # of IBM's console: what a form asks of each value
_RELEASE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")  # which a namespace may have, too
ARTIFACT_HUB = "artifacthub.io/"  # what its annotations begin with
TESTS = "ci/"  # where helm's own chart-testing looks for the values of its tests


@dataclass(frozen=True)
class Chart:
    """A chart folder. `values_files` is what is rendered, one by one: `values.yaml` stands for the bare chart."""

    path: Path
    name: str
    version: str
    app_version: str | None
    kube_version: str | None
    metadata: Mapping[str, Any]
    values_files: tuple[Path, ...]

    @property
    def title(self) -> str:
        """What a person calls it: `NAME VERSION`."""
        return f"{self.name} {self.version}".strip()

    @property
    def release(self) -> str:
        """What a release of it is called: as the chart is, where helm takes that for one."""
        return self.name if _RELEASE_NAME.fullmatch(self.name) else "release"

    @property
    def archive_name(self) -> str:
        """The file name that `helm package` gives."""
        return f"{self.name}-{self.version}.tgz"

    @property
    def is_library(self) -> bool:
        """Whether it renders nothing by itself, and cannot be installed."""
        return self.metadata.get("type") == "library"


def read_chart(path: Path, values: Sequence[str] = ()) -> Chart:
    """The chart in the folder `path`, rendered with the files that the patterns `values` name.

    Without patterns these are each `ci/*-values.yaml` or else `values.yaml`, and each `values-*.yaml`.
    Raises ChartError when the folder, its Chart.yaml, or a name or version in it is missing or unreadable.
    Whether the version is semver is lint's question, not this one's.
    """
    file = path / "Chart.yaml"
    for name in (".helmignore", "values.yaml", "values.schema.json"):  # which helm opens, and would wait at a pipe
        if (path / name).exists() and not (path / name).is_file():
            raise ChartError(f"{path / name} is no regular file", run="make it one, or take it out")
    if not file.is_file():
        absent = None if path.is_file() else why_absent(file if path.is_dir() else path, Runner())
        held, run = absent or ("it is a file" if path.is_file() else None, None)
        raise ChartError(
            f"no chart at {path}",
            expected="a folder with a Chart.yaml",
            found=held or ("no Chart.yaml in the folder" if path.is_dir() else "no such folder"),
            run=run or "name the chart's folder with --chart PATH",
            code=USAGE,
        )
    metadata = read_yaml(file, ChartError)
    for key in ("name", "version"):
        if not isinstance(metadata.get(key), str) or not metadata[key]:
            raise ChartError(
                f"{file}: {key} is missing or not text",
                expected=f"{key}: some text (quoted where it looks like a number)",
                found=repr(metadata.get(key)),
            )
    return Chart(
        path=path,
        name=metadata["name"],
        version=metadata["version"],
        app_version=_text(metadata.get("appVersion")),
        kube_version=_text(metadata.get("kubeVersion")),
        metadata=metadata,
        values_files=_values_files(path, values),
    )


def _values_files(path: Path, patterns: Sequence[str]) -> tuple[Path, ...]:
    if patterns:
        for pattern in patterns:
            if not _fitting(path, pattern):
                raise ValuesError(f"no values file of {path} fits {pattern!r}", run="correct [tool.gati] values")
        return tuple(dict.fromkeys(file for pattern in patterns for file in _fitting(path, pattern)))
    # The values of tests take the place of the bare ones, which may not do.
    tests = _fitting(path, f"{TESTS}*-values.yaml", f"{TESTS}*-values.yml")
    return (*(tests or _fitting(path, "values.yaml")), *values_sets(path))


def values_sets(path: Path) -> tuple[Path, ...]:
    """Each `values-*.yaml` in a chart's folder, but for those that hold no values."""
    files = _fitting(path, "values-*.yaml", "values-*.yml")
    return tuple(file for file in files if not _FORM.search(read_any(file, ValuesError) or b""))


def _fitting(path: Path, *names: str) -> list[Path]:
    found = {file for name in names for file in matching(path, name) if file.is_file()}
    return sorted(found, key=lambda file: (file.name != "values.yaml", file))


def check_sources(chart: Chart) -> None:
    """See that values and schema are YAML and JSON, and no merge is in templates. Raises ValuesError, ChartError."""
    for file in chart.values_files:
        read_yaml(file, ValuesError)
    for file in sorted((chart.path / "templates").rglob("*")):
        if file.is_file():
            demand_settled(str(file), file.read_bytes(), ChartError)
    check_json(chart.path / "values.schema.json")


def check_json(file: Path) -> None:
    """See that a file, where there is one, is JSON. Raises ChartError."""
    content = read_any(file, ChartError)
    try:
        json_read.load("{}" if content is None else content)
    except json.JSONDecodeError as error:
        demand_settled(str(file), error.doc, ChartError)
        place = f"{file}:{error.lineno}:{error.colno}"
        raise ChartError(f"{place}: not valid JSON", found=error.msg, run="correct that line") from error
    except UnicodeDecodeError as error:
        raise ChartError(f"{file}: not UTF-8 text", found=error.reason) from error
    except ValueError as error:
        raise ChartError(f"{file}: not valid JSON", found=str(error)) from error


def with_version(
    text: str,
    version: str,
    *,
    app_version: str | None = None,
    changes: Sequence[tuple[str, str]] | None = None,
    source: str = "Chart.yaml",
) -> str:
    """The text of a Chart.yaml with another version, every byte that does not depend on it kept.

    `changes` are (kind, description) for Artifact Hub's annotation, None leaves it alone. Its `prerelease`, where
    there is one, follows the version; the tags of its `images` that were the old `appVersion` follow `app_version`.
    Raises ChartError.
    """
    metadata = load(text)
    annotations = metadata.get("annotations") or {}
    wanted: dict[tuple[str, ...], str] = {("version",): version}
    if app_version is not None:
        wanted["appVersion",] = app_version
        images, old = annotations.get(f"{ARTIFACT_HUB}images"), _text(metadata.get("appVersion"))
        if images and old:
            pattern = rf"^(\s*(?:- )?image:.*):{re.escape(old)}(?=[\"'\s@]|$)"
            wanted["annotations", f"{ARTIFACT_HUB}images"] = re.sub(
                pattern, lambda found: f"{found[1]}:{app_version}", images, flags=re.MULTILINE
            )
    if f"{ARTIFACT_HUB}prerelease" in annotations:
        wanted["annotations", f"{ARTIFACT_HUB}prerelease"] = str("-" in version.partition("+")[0]).lower()
    if changes is not None:
        entries = [{"kind": kind, "description": description} for kind, description in changes]
        wanted["annotations", f"{ARTIFACT_HUB}changes"] = dump(entries, width=100)
    for path, value in wanted.items():
        current = metadata if len(path) == 1 else annotations
        if current.get(path[-1]) != value or path[-1] == "appVersion":  # which may be there, and need quotes
            text = set_value(text, path, value, source=source)
    return text


def demand_values(files: Iterable[Path]) -> None:
    """Raises ValuesError for a values file that is not there."""
    for file in files:
        if not file.is_file():
            raise ValuesError(f"no values file at {shown(file)}", run="correct --values", code=USAGE)


def read_yaml(file: Path, error_type: type[ReleaseError]) -> dict[str, Any]:
    """The mapping in `file`, as `parse_yaml` reads it."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise error_type(f"{file} cannot be read", found=error.strerror) from error
    return parse_yaml(data, str(file), error_type)


def parse_yaml(data: bytes, where: str, error_type: type[ReleaseError]) -> dict[str, Any]:
    """The mapping in `data` ({} for nothing); `error_type` with `where`:line:column where it is not one.

    Of values (ValuesError) several documents count, laid over each other.
    """
    try:
        content = (load_merged if error_type is ValuesError else load)(data)
    except yaml.YAMLError as error:
        demand_settled(where, data, error_type)
        if (mark := getattr(error, "problem_mark", None)) is None:
            raise error_type(f"{where}: not valid YAML", found=flaw_of(error)) from error
        if flaw_of(error) == "but found another document":
            told = f"{where}:{mark.line + 1}: holds a further document, which helm does not read"
            raise error_type(told, run="take it out") from error
        place = f"{where}:{mark.line + 1}:{mark.column + 1}"
        raise error_type(f"{place}: not valid YAML", found=flaw_of(error), run="correct that line") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise error_type(f"{where}: not a mapping", expected="key: value lines", found=type(content).__name__)
    return content


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
