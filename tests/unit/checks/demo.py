"""A chart of two values files for two minors, and renders made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from scripts.chart.manifests import read_manifests
from scripts.chart.source import read_chart
from scripts.checks.matrix import Plan, make_plan
from scripts.checks.render import Render

KNOWN = ("1.28", "1.29", "1.30", "1.31")


def plan_of(folder: Path, **options: Sequence[Path] | Sequence[str]) -> Plan:
    return make_plan(read_chart(folder), KNOWN, **options)  # type: ignore[arg-type]


def config_map(name: str, **data: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def render(values: str, version: str, *objects: str) -> Render:
    text = "\n---\n".join(objects)
    return Render(values, version, read_manifests(text))
