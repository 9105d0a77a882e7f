"""Packs a chart again from the commit that its provenance names, in a clone that is gone afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts.chart.dependencies import provide_dependencies
from scripts.chart.source import read_chart
from scripts.core.config import Config, demand_no_login
from scripts.core.errors import FINDING, ChartError
from scripts.core.git import cloned
from scripts.core.owner import temporary
from scripts.release.origin import origin_of
from scripts.release.package import build
from scripts.workspace import Workspace


def rebuilt(work: Workspace, url: str, commit: str, definition: Mapping[str, Any]) -> tuple[bytes, list[str]]:
    """The archive that `commit` of the repository at `url` gives, and notes on why it may be another one.

    `definition` is that of the provenance: where the chart and its changelog are, the time, the tools. Raises GitError
    (no such repository, or the commit is gone), ChartError, and KeyError where `definition` lacks something.
    """
    parameters, internal = definition["externalParameters"], definition["internalParameters"]
    helm, ours = str(internal["tools"].get("helm")), work.tools.version("helm")
    notes = [f"it was packed by helm {helm}, and here it is {ours}"] if helm != ours else []
    demand_no_login(url, "the address in the provenance")
    with temporary("rebuild") as scratch:
        root = scratch.resolve() / "clone"
        repository = cloned(url, commit, root, work.runner)
        if lacking := repository.fetch_submodules():
            notes.append(f"its submodules cannot be fetched: {lacking}")
        chart, changelog = _inside(root, str(parameters["chart"])), parameters["changelog"]
        if not (chart / "Chart.yaml").is_file():
            raise ChartError(f"{commit[:12]} has no chart at {parameters['chart']}", code=FINDING)
        log = _inside(root, str(changelog)) if changelog else chart / "no changelog"
        config = replace(Config(root=root), chart=chart, changelog=log, dist=root.parent / "dist")
        provide_dependencies(read_chart(chart), work.helm, work.say)
        with origin_of(config, work.helm) as origin:
            _, data = build(origin.config(config), origin.chart, work.helm, int(internal["SOURCE_DATE_EPOCH"]))
    return data, notes


def _inside(root: Path, name: str) -> Path:
    """The path below `root`. Raises ChartError for one that leads out of it, or nowhere."""
    try:
        path = (root / name).resolve()
        path.exists()
    except (OSError, RuntimeError) as error:  # too long, or in a circle
        raise ChartError("the provenance leads nowhere in its repository", found=name[:200], code=FINDING) from error
    if not path.is_relative_to(root):
        raise ChartError("the provenance leads out of its repository", found=name, code=FINDING)
    return path
