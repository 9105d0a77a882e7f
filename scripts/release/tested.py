"""Reads the smoke test's report: which archive was tested, on what, and whether what it lists adds up to a pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.core import json_read
from scripts.core.config import Config
from scripts.core.errors import MALFORMED, REFUSED, FindingsError, ReleaseError
from scripts.core.files import read_any, sha256
from scripts.core.paths import shown

REPORT = Path("e2e/report.json")
"""Where the report stands in `dist/`."""
SCHEMA_VERSION = 2
UNTESTED = "untested"
NEGATIVE_CONTROL = "selfcheck"  # the scenario in which requests have to be lost
RUN = "invoke e2e"


@dataclass(frozen=True)
class Tested:
    """What a report says: the archive's `sha256`, its own (`report`), each scenario's state and losses, `faults`."""

    sha256: str
    report: str
    kubernetes: str
    cluster: Mapping[str, Any]
    toolkit: Mapping[str, Any]
    sources: tuple[str, ...]
    scenarios: Mapping[str, Mapping[str, Any]]
    faults: tuple[str, ...]


def read_tested(config: Config) -> Tested | None:
    """The report in `dist/`, None where there is none. Raises ReleaseError for one that cannot be read."""
    file = config.dist / REPORT
    data = read_any(file, ReleaseError, shown(file), run=RUN, code=REFUSED)
    try:
        return None if data is None else parse_report(data)
    except MALFORMED as error:
        found = f"{type(error).__name__}: {error}"
        raise ReleaseError(f"{shown(file)} is no report of e2e", found=found, run=RUN, code=REFUSED) from error


def parse_report(data: bytes) -> Tested:
    """The report in `data`. Raises ValueError, KeyError, TypeError, AttributeError where it is none."""
    raw = json_read.load(data)
    if raw["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema_version {raw['schema_version']!r} in place of {SCHEMA_VERSION}")
    scenarios = {}
    for one in raw["scenarios"]:
        ledgers = one["ledgers"].values()
        scenarios[str(one["scenario"])] = {
            "state": str(one["state"]),
            "requests": sum(int(ledger["requests"]) for ledger in ledgers),
            "lost": sum(int(ledger["failed"]) for ledger in ledgers),
            "skipped": [str(what) for what in one["skipped"]],
        }
    candidate, cluster = raw["candidate"], raw["cluster"]
    return Tested(
        sha256=str(candidate.get("sha256", "")),
        report=sha256(data),
        kubernetes=str(cluster.get("kubernetes", "")),
        cluster={key: cluster[key] for key in ("context", "nodes") if cluster.get(key)},
        toolkit=dict(raw.get("toolkit", {})),
        sources=tuple(str(source["version"]) for source in raw["sources"]),
        scenarios=scenarios,
        faults=tuple(_faults(raw, scenarios)),
    )


def _faults(raw: Mapping[str, Any], scenarios: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What keeps a report from being a proof, whatever its `passed` says."""
    if not raw["passed"]:
        yield "it did not pass"
    yield from scenario_faults(scenarios)
    if left_out := raw.get("left_out", ["(it does not say which)"]):
        yield f"scenarios were left out: {', '.join(map(str, left_out))}"


def scenario_faults(scenarios: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The same of its scenarios alone: their states, and the requests that were lost."""
    if all(one["state"] == UNTESTED for one in scenarios.values()):
        yield "it has no scenario that was tried"
    for name, one in scenarios.items():
        if one["state"] == UNTESTED:
            continue  # the chart has not what it takes, and `skipped` says so
        if one["state"] != "passed":
            yield f"{name} {one['state']}"
        elif name == NEGATIVE_CONTROL and not one["lost"]:
            yield f"{name}, the negative control, lost no request"
        elif name != NEGATIVE_CONTROL and one["lost"]:
            yield f"{name} lost {one['lost']} of {one['requests']} requests"


def demand_tested(tested: Tested | None, archive: str, *, raised: str = "") -> None:
    """Raises ReleaseError where no report names the archive of that sha256, FindingsError where the report fails it.

    `raised` is the part by which the version is about to be raised: then no test can have been made yet.
    """
    run = f"invoke version-bump --part {raised}, then git commit --all, then {RUN}" if raised else RUN
    expected = f"a report of the archive sha256 {archive}"
    if tested is None:
        raise ReleaseError("the smoke test has not been run", expected=expected, run=run, code=REFUSED)
    if tested.sha256 != archive:
        found = f"sha256 {tested.sha256}" if tested.sha256 else "a report that names no archive"
        raise ReleaseError(
            "the smoke test was run with another archive", expected=expected, found=found, run=run, code=REFUSED
        )
    if tested.faults:
        raise FindingsError("this archive has not passed the smoke test", found="\n".join(tested.faults), run=RUN)
