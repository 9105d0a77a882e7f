"""Turns the toolkit's values into what a person (a table) or a machine (JSON) reads."""

from __future__ import annotations

import dataclasses
import json as json_module
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scripts.checks.lint import Lint
    from scripts.checks.matrix import Render
    from scripts.checks.validate import Validation
    from scripts.containers.images import Image, PlannedImage
    from scripts.release.bump import Bump
    from scripts.release.plan import Release
    from scripts.release.record import ReleaseRecord
    from scripts.toolchain.finder import ToolState

_UNLIMITED = 10_000  # columns


@dataclass(frozen=True)
class View:
    """The same answer twice: `records` for JSON, `columns` and `rows` for a table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    records: Any


def tools(states: Iterable[ToolState]) -> View:
    """`invoke tools`: one row a tool."""
    states = tuple(states)
    return View(
        "Pinned tools",
        ("tool", "pin", "found", "state", "path"),
        tuple((s.name, s.version, s.source, s.state, str(s.where or "")) for s in states),
        [dataclasses.asdict(s) for s in states],
    )


def images(built: Iterable[Image]) -> View:
    """`invoke images`: one row an image."""
    built = tuple(built)
    return View(
        "Images",
        ("image", "size", "built in", "id"),
        tuple((i.reference, f"{i.size / 1e6:.0f} MB", f"{i.seconds:.1f} s", i.id) for i in built),
        [dataclasses.asdict(i) for i in built],
    )


def planned_images(plan: Iterable[PlannedImage]) -> View:
    """`invoke images --dry-run`: one row an image."""
    plan = tuple(plan)
    return View(
        "Images that would be built",
        ("image", "now", "base", "now"),
        tuple((p.reference, _presence(p.there), p.base, _presence(p.base_there)) for p in plan),
        [dataclasses.asdict(p) for p in plan],
    )


def _presence(there: bool) -> str:
    return "there" if there else "missing"


def lint(outcome: Lint) -> View:
    """`invoke lint`: one row a finding."""
    return View(
        f"{outcome.chart.name} {outcome.chart.version}",
        ("level", "where", "what", "with", "check"),
        tuple((f.level, f.place, f.message, ", ".join(f.values), f.check) for f in outcome.findings),
        outcome.report(),
    )


def problems(outcome: Validation) -> View:
    """`invoke kubeconform-check`: one row a problem, however many renders have it."""
    rows = tuple(
        (problem.source, f"{problem.kind}/{problem.name}", problem.message, str(spread))
        for problem, spread in outcome.problems()
    )
    return View("Problems", ("template", "object", "what", "with"), rows, outcome.report())


def matrix(renders: Iterable[Render], index: Any) -> View:
    """`invoke template`: one row a file that was written, with the renders that it stands for."""
    from scripts.checks.matrix import spread

    files: dict[str, list[Render]] = {}
    for one in renders:
        files.setdefault(one.file, []).append(one)
    rows = tuple(
        (name, str(len(same[0].manifests)), str(spread((one.values, one.kube_version) for one in same)))
        for name, same in files.items()
    )
    return View("Manifests", ("file", "objects", "values files and Kubernetes versions"), rows, index)


def facts(value: Any, *, json: bool = False) -> str:
    """The fields of one frozen dataclass that are not None, one a line, unfolded: digests are there to be copied."""
    record = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    record = {key: fact for key, fact in record.items() if fact is not None and not isinstance(fact, Exception)}
    if json:
        return to_json(record)
    width = max(map(len, record))
    return "\n".join(f"{key.replace('_', ' '):<{width}}  {fact}" for key, fact in record.items())


def bumped(plan: Bump, *, dry_run: bool, json: bool = False) -> str:
    """`invoke version-bump`: the diff where nothing was written, else what was and what comes next."""
    from scripts.core import edits
    from scripts.core.paths import shown

    names, change = [shown(edit.path) for edit in plan.edits], edits.diff(plan.edits)
    if json:
        record = {"name": plan.name, "old": plan.old, "new": plan.new, "files": names, "notes": plan.notes}
        return to_json({**record, "diff": change, "written": not dry_run})
    lines = [change.rstrip()] if dry_run else [f"{plan.name} {plan.old} -> {plan.new}: {', '.join(names)}"]
    lines += [f"note: {note}" for note in plan.notes]
    return "\n".join(lines)


def plan(ready: Release) -> View:
    """`invoke release`: one row a step."""
    columns = ("step", "state", "action")
    rows = tuple((step.name, step.state, step.action) for step in ready.plan)
    title = f"Release of {ready.package.name} {ready.package.version}"
    return View(title, columns, rows, [dict(zip(columns, row, strict=True)) for row in rows])


def released(ready: Release, record: ReleaseRecord | None, *, json: bool = False) -> str:
    """What `invoke release` has done: nothing after a dry run, which has no `record`."""
    from scripts.release.record import EMBEDDED

    if json:
        return to_json({"plan": plan(ready).records, "release": record and dataclasses.asdict(record)})
    if record is None:
        return "dry run: nothing is done"
    shown = {key: getattr(record, key) for key in ("reference", "digest", "sha256", "commit", "tag")}
    lines = [f"{key:<9}  {value}" for key, value in shown.items() if value is not None]
    if record.registry == EMBEDDED:
        lines.append("`invoke registry` serves it again, at another port")
    return "\n".join([*lines, "released" if ready.absent() else "nothing to do: this is released already"])


def to_json(records: Any) -> str:
    """`records` as indented JSON; paths become text."""
    return json_module.dumps(
        records, indent=2, default=lambda value: str(value) if isinstance(value, Path) else vars(value)
    )


def to_table(view: View) -> RenderableType:
    """`view` as a table that wraps rather than truncates."""
    from rich.table import Table

    table = Table(title=view.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in view.columns:
        table.add_column(column, overflow="fold")
    for row in view.rows:
        table.add_row(*(_plain(cell) for cell in row))
    return table


def render(view: View, *, json: bool = False, width: int | None = None) -> str:
    """The text of `view`: JSON, or a table `width` columns wide.

    None is the terminal's width, and no limit where there is no terminal: a log is searched for whole paths.
    """
    if json:
        return to_json(view.records)
    from rich.console import Console

    console = Console(width=width, highlight=False)
    if width is None and not console.is_terminal:
        console.width = _UNLIMITED
    with console.capture() as capture:
        console.print(to_table(view))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _plain(cell: str) -> str:
    from rich.markup import escape

    return escape(cell)
