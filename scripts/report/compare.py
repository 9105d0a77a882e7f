"""Sets the durations, latencies and losses of two reports side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.core.errors import MALFORMED, UsageError
from scripts.core.paths import shown
from scripts.report.inputs import objection, read_json


def read_earlier(place: Path) -> dict[str, Any]:
    """The record of an earlier report: its JSON, or the folder where that is. Raises UsageError."""
    file = place / "report.json" if place.is_dir() else place
    try:
        told = read_json(file)
        flaw = objection("report", told)
        if not flaw:
            _figures(told)
            return dict(told)
    except OSError as error:
        flaw = error.strerror or str(error)
    except MALFORMED as error:
        flaw = f"{type(error).__name__}: {error}"
    raise UsageError(
        f"{shown(file)} is no earlier report",
        expected="the report.json that `invoke report` wrote, or its folder",
        found=flaw,
        run="keep dist/report.json of the run that you compare with, and name it after --compare",
    )


def compare(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Each figure that either of them has: before, now, and the difference; None where one has it not."""
    old, new = _figures(before), _figures(now)
    rows = [
        {
            "what": what,
            "before": old.get(what),
            "now": new.get(what),
            "difference": round(new[what] - old[what], 4) if what in old and what in new else None,
        }
        for what in dict.fromkeys((*old, *new))
    ]
    return {"chart": before["chart"], "made": before["made"], "rows": rows}


def _figures(record: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a report by their names. Raises one of MALFORMED where it has another shape."""
    found: dict[str, float] = {}

    def figure(what: str, value: float, digits: int = 4) -> None:
        found[what] = round(value, digits)

    for step in record["release"].get("steps", ()):
        figure(f"release, {step['name']}: seconds", step["seconds"])
    for one in record["availability"].get("scenarios", ()):
        name = one["scenario"]
        figure(f"{name}: seconds", one["seconds"], 1)
        for load in one["loads"]:
            if load["state"] == "absent" or load["attempt"] != one["attempts"]:
                continue
            where = f"{name}, {load['name']}"
            figure(f"{where}: requests", load["requests"])
            figure(f"{where}: lost", load["failed"])
            for share in ("median", "p99", "longest"):
                figure(f"{where}: {share}, ms", load["during"][share] * 1000, 1)
    for one in record.get("scaling", {}).get("scenarios", ()):  # which reports of before have not
        figure(f"{one['scenario']}, with operators: seconds", one["seconds"], 1)
        if one["curve"]:
            figure(f"{one['scenario']}, with operators: lost", one["curve"]["lost"])
    for one in record["figures"].get("figures", ()):
        figure(f"{one['name']}, {one['unit']}", one["value"], 3)
    return found
