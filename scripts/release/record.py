"""Owns `dist/<chart>.release.json`: what was released, from which commit, where to, by which tools and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scripts.core import json_read
from scripts.core.config import Config
from scripts.core.errors import MALFORMED
from scripts.core.files import read_file, write_json

SCHEMA_VERSION = 1
EMBEDDED = "embedded"  # stands for the registry on loopback, whose port changes from run to run


@dataclass(frozen=True)
class ReleaseRecord:
    """A release that was made and read back. Times are RFC 3339 in UTC, `seconds` by step.

    `registry` is the configured prefix, or EMBEDDED; `commit` is None outside of a git repository, and `tag`
    where none was asked for; `dirty` names files of the chart that the commit does not hold as they were, and
    `differences` says of each why. `proofs` are what was found attached to the digest, signatures among it: in words,
    with the digest of each. `flags` tell helm how to speak with the registry.
    """

    schema_version: int
    name: str
    version: str
    app_version: str | None
    commit: str | None
    dirty: tuple[str, ...]
    tag: str | None
    archive: str
    sha256: str
    size: int
    digest: str
    reference: str
    registry: str
    tools: Mapping[str, str]
    started: str
    finished: str
    seconds: Mapping[str, float]
    differences: Mapping[str, str] = field(default_factory=dict)
    proofs: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def record_file(config: Config, chart: str) -> Path:
    return config.result(chart, "release.json")


def read_record(config: Config, chart: str) -> ReleaseRecord | None:
    """The record of the last release of the chart of that name; None where there is none that can be read."""
    try:
        raw = json_read.load(read_file(record_file(config, chart)))
        lists = {name: tuple(raw.get(name, ())) for name in ("proofs", "flags")}
        record = ReleaseRecord(**{**raw, "dirty": tuple(raw["dirty"]), **lists})
    except (OSError, *MALFORMED):
        return None
    return record if record.schema_version == SCHEMA_VERSION else None


def write_record(config: Config, record: ReleaseRecord) -> None:
    """Replace the record. Raises OutputError."""
    write_json(record_file(config, record.name), asdict(record))
