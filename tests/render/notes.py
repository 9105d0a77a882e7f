"""Renders NOTES.txt, which `helm template` leaves out, by a dry run that needs no cluster."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence

from tests.render.harness import CHART, Values, runner, tool


def notes(values: Values | None = None, *, values_files: Sequence[str] = (), namespace: str = "gati") -> str:
    """What a person reads after `helm install`."""
    return _notes(json.dumps(values or {}, sort_keys=True, ensure_ascii=False), tuple(values_files), namespace)


@functools.cache
def _notes(values: str, values_files: tuple[str, ...], namespace: str) -> str:
    argv = [tool("helm"), "install", "gati", str(CHART), "--namespace", namespace, "--dry-run=client"]
    for name in values_files:
        argv += ["--values", str(CHART / name)]
    printed = runner().run([*argv, "--values", "-"], stdin=values, deadline=60).stdout
    _, found, text = printed.partition("\nNOTES:\n")
    assert found, "the chart has no NOTES.txt"
    return text
