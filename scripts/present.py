"""Turns the toolkit's values into what a person (a table) or a machine (JSON) reads."""

from __future__ import annotations

import dataclasses
import io
import json as json_module
import os
import shlex
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.core.paths import shown
from scripts.core.progress import plain
from scripts.core.words import filled, many

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scripts.checks.fleet import Part
    from scripts.checks.lint import Lint
    from scripts.checks.render import Render, Rendered
    from scripts.checks.validate import Validation
    from scripts.containers.images import Image, PlannedImage
    from scripts.containers.node_image import NodeImage, NodePlan
    from scripts.core.errors import ReleaseError
    from scripts.core.progress import Row
    from scripts.doctor import Line
    from scripts.judge.diff import Diff
    from scripts.judge.verdict import Verdict
    from scripts.new_chart import NewChart
    from scripts.registry.reference import Registry
    from scripts.release.bump import Bump
    from scripts.release.plan import Release
    from scripts.release.proof import Proof
    from scripts.release.record import ReleaseRecord
    from scripts.release.several import Candidate
    from scripts.toolchain.finder import ToolState

_UNLIMITED = 10_000  # columns
_ROOM = 12  # columns that the last one has to have beside the others


@dataclass(frozen=True)
class Mark:
    """A finding at a place; `level` is error, warning or info, `file` relative to the folder that CI checked out."""

    level: str
    message: str
    file: str = ""
    line: int | None = None


@dataclass(frozen=True)
class View:
    """The same answer twice: `records` for JSON, `columns` and `rows` for a table; `marks` for a CI system.

    Where a terminal is too narrow for the table, the columns named in `below` stand on lines of their own; without
    such columns, where it is too narrow for a word of it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    records: Any
    marks: tuple[Mark, ...] = ()
    below: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The same answer twice where a person reads lines: `text`, and `records` for JSON.

    `coloured`: what steers the terminal in the text is ours.
    """

    text: str
    records: Any
    coloured: bool = False


def failure(error: ReleaseError, records: Any = None) -> dict[str, Any]:
    """What ended a task, for a machine; the members of `records`, which it had found by then, stand beside it."""
    from scripts.core import errors

    kind = next(each for each in type(error).__mro__ if each.__module__ == errors.__name__)  # not one of a module's own
    told: dict[str, Any] = {"class": kind.__name__, "code": error.code, "message": error.message}
    told |= {"expected": error.expected, "found": error.found, "next": error.next}
    told |= {"done": error.done, "left": error.left} if error.done else {}
    told |= {"doctor": error.doctor} if error.doctor else {}
    return {**(records if isinstance(records, dict) else {}), "error": told}


def tools(states: Sequence[ToolState]) -> View:
    return View(
        "Pinned tools",
        ("tool", "pin", "PATH", "found", "state", "path", "not taken"),
        tuple((s.name, s.version, s.rule, s.source, s.state, str(s.where or ""), s.note) for s in states),
        [dataclasses.asdict(s) for s in states],
        below=("PATH", "path", "not taken"),
    )


def doctor(lines: Sequence[Line]) -> View:
    rows = tuple((line.about, line.level, line.found, line.fix or "") for line in lines)
    records = {"lines": [dataclasses.asdict(line) for line in lines]}
    return View("This machine", ("what", "state", "found", "fix"), rows, records, below=("fix",))


def images(built: Sequence[Image]) -> View:
    return View(
        "Images",
        ("image", "size", "built in", "id"),
        tuple((i.reference, f"{i.size / 1e6:.0f} MB", f"{i.seconds:.1f} s", i.id) for i in built),
        [dataclasses.asdict(i) for i in built],
    )


def node(image: NodeImage) -> Answer:
    """`invoke node-image`: the reference."""
    return Answer(image.reference, dataclasses.asdict(image))


def planned_node(plan: NodePlan) -> Answer:
    """`invoke node-image --dry-run`: what is there, or the ways to get it in the order they are tried."""
    ways = ", else ".join(f"{way} {name}" for way, name in plan.otherwise.items())
    return Answer(plan.there or ways, dataclasses.asdict(plan))


def planned_images(plan: Sequence[PlannedImage]) -> View:
    words = {True: "there", False: "missing"}
    return View(
        "Images that would be built",
        ("image", "now", "base", "now"),
        tuple((p.reference, words[p.there], p.base, words[p.base_there]) for p in plan),
        [dataclasses.asdict(p) for p in plan],
    )


def lint(outcome: Lint) -> View | Answer:
    if not outcome.findings:
        return Answer(outcome.summary(), outcome.report())
    return View(
        outcome.chart.title,
        ("level", "where", "what", "with", "check"),
        tuple((f.level, f.place, f.message, ", ".join(f.values), f.check) for f in outcome.findings),
        outcome.report(),
        tuple(Mark(f.level, f.message, shown(f.file) if f.file else "", f.line) for f in outcome.findings),
    )


def problems(outcome: Validation) -> View | Answer:
    """`invoke kubeconform-check`: one row a problem, however many renders have it."""
    if not outcome.problems():
        return Answer(outcome.summary(), outcome.report())
    rows = tuple(
        (problem.source, problem.called, problem.message, str(spread)) for problem, spread in outcome.problems()
    )
    folder = shown(outcome.plan.chart.path)  # a template's name begins with that of the chart
    marks = tuple(
        Mark(
            "error",
            f"{': '.join(filter(None, (name, what)))} (with {where})",
            f"{folder}/{source.partition('/')[2]}" if source else "",
        )
        for source, name, what, where in rows
    )
    return View("Problems", ("template", "object", "what", "with"), rows, outcome.report(), marks)


def matrix(rendered: Rendered, index: Any) -> View:
    """`invoke template`: one row a file that was written, with the renders that it stands for."""
    from scripts.checks.matrix import spread

    files: dict[str, list[Render]] = {}
    for one in rendered.renders:
        files.setdefault(one.file, []).append(one)
    rows = tuple(
        (name, str(len(same[0].manifests)), str(spread((one.values, one.kube_version) for one in same)))
        for name, same in files.items()
    )
    return View("Manifests", ("file", "objects", "values files and Kubernetes versions"), rows, index)


def fleet(parts: Sequence[Part], views: Iterable[View | Answer]) -> View:
    """The same check of several charts: one row a chart, and below it what was found in it where it failed.

    `views` are those of each chart by itself, of which a CI system shows the marks.
    """
    rows: list[tuple[str, ...]] = []
    for part in parts:
        rows.append((part.chart.title, "ok" if part.error is None else "FAILED", part.verdict))
        rows += [("", "", line) for line in part.told()]
    records = [
        {"name": part.chart.name, "path": part.chart.path, "ok": part.error is None, "verdict": part.verdict,
         "report": part.report, "error": None if part.error is None else str(part.error)}
        for part in parts
    ]  # fmt: skip
    title = many(len(parts), "chart") if parts else "no chart differs"
    marks = tuple(mark for view in views for mark in getattr(view, "marks", ()))
    return View(title, ("chart", "state", "what"), tuple(rows), {"charts": records}, marks)


def compared(found: Diff, *, as_html: bool = False) -> Answer:
    """`invoke diff`: what differs, an object and a field a line."""
    from scripts.judge import diff

    if as_html:
        return Answer(diff.as_html(found), found.record())
    lines = list(map(plain, found.lines()))
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        lines = diff.coloured(lines)
    return Answer("\n".join(lines), found.record(), coloured=True)


def judged(verdict: Verdict, *, as_markdown: bool = False) -> Answer:
    """`invoke judge`: the reasons by level, and what they come to."""
    from scripts.judge import words

    text = words.markdown(verdict).rstrip() if as_markdown else "\n".join(words.lines(verdict))
    return Answer(text, verdict.record())


def facts(value: Any) -> Answer:
    """The fields of one frozen dataclass that are not None, one a line, unfolded: digests are there to be copied."""
    record = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    record = {key: fact for key, fact in record.items() if fact is not None and not isinstance(fact, Exception)}
    return Answer(_listed(record), record)


def _listed(record: Mapping[str, object]) -> str:
    width = max(map(len, record))
    return "\n".join(f"{key.replace('_', ' '):<{width}}  {fact}" for key, fact in record.items() if fact is not None)


def bumped(plan: Bump, *, dry_run: bool) -> Answer:
    """`invoke version-bump`: the diff where nothing was written, else what was and what comes next."""
    from scripts.core import edits

    names, change = [shown(edit.path) for edit in plan.edits], edits.diff(plan.edits)
    record = {"name": plan.name, "old": plan.old, "new": plan.new, "files": names, "notes": plan.notes}
    lines = [change.rstrip()] if dry_run else [f"{plan.name} {plan.old} -> {plan.new}: {', '.join(names)}"]
    lines += [f"note: {note}" for note in plan.notes]
    return Answer("\n".join(lines), {**record, "diff": change, "written": not dry_run})


def pulling(registry: Registry | None, reference: str) -> str:
    """What comes after a publication, as a line of progress: the command that pulls it, or serves the embedded one."""
    if registry is None:
        return "next: invoke registry"
    name, _, version = reference.rpartition(":")
    return f"next: {shlex.join(['helm', 'pull', name, '--version', version.replace('_', '+'), *registry.flags])}"


def after_release(registry: Registry | None, ready: Release, record: ReleaseRecord) -> str:
    """What comes after a release: the push of what it left in git, then the pull."""
    from scripts.core.errors import SAME_COMMAND

    push = ready.push_command()
    if ready.waiting:
        if record.tag is None and record.commit is not None and not record.dirty:
            return f"next: {SAME_COMMAND} --tag"
        return f"next: {push} && {SAME_COMMAND}" if push else f"next: push the tag, then {SAME_COMMAND}"
    pull = pulling(registry, record.reference)
    return f"next: {push} && {pull.removeprefix('next: ')}" if push else pull


def plan(ready: Release) -> View:
    columns = ("step", "state", "action")
    rows = tuple((step.name, step.state, step.action) for step in ready.plan)
    title = f"Release of {ready.package.title}"
    return View(title, columns, rows, [dict(zip(columns, row, strict=True)) for row in rows])


def proof(found: Proof) -> View:
    rows = tuple((one.check, one.state, one.detail) for one in found.checks)
    return View(found.reference, ("check", "state", "detail"), rows, dataclasses.asdict(found))


def candidates(found: Sequence[Candidate]) -> View:
    """`invoke release --changed`, before: one row a chart, in the order in which they are released."""
    rows = tuple((chart.title, step.state, step.action) for chart, step in found)
    columns = ("chart", "state", "action")
    title = "Releases" if rows else "no chart differs"
    return View(title, columns, rows, {"charts": [dict(zip(columns, row, strict=True)) for row in rows]})


def all_released(records: Sequence[ReleaseRecord]) -> View:
    """`invoke release --changed`, after: one row a chart that was released."""
    rows = tuple((f"{record.name} {record.version}", record.reference, record.digest) for record in records)
    return View(
        "Released", ("chart", "reference", "digest"), rows, {"releases": [dataclasses.asdict(one) for one in records]}
    )


def released(ready: Release, record: ReleaseRecord | None) -> Answer:
    """What `invoke release` has done: nothing after a dry run, which has no `record`."""
    records = {"plan": plan(ready).records, "release": record and dataclasses.asdict(record)}
    if record is None:
        return Answer("dry run: nothing is done", records)
    told = {key: getattr(record, key) for key in ("digest", "sha256", "commit", "tag")}
    ended = "released" if ready.absent() else "nothing to do: this is released already"
    return Answer(f"{_listed({'reference': ready.reference, **told})}\n{ended}", records)


def reported(made: dict[str, Any], target: Path) -> Answer:
    """`invoke report`: where the page is, the verdict, and the first cause."""
    verdict = made["verdict"]
    lines = [f"{made['chart']['name']} {made['chart']['version']}: {verdict['state']}"]
    lines += [f"  {row['gate']:<12} {row['state']:<8} {row['what']}" for row in verdict["rows"]]
    lines += [f"first cause: {verdict['first']}"] if verdict["first"] else []
    lines += [f"not covered: {many(len(made['uncovered']), 'thing')}, which the page names", shown(target)]
    return Answer("\n".join(lines), made)


def begun(made: NewChart, *, dry_run: bool) -> Answer:
    """`invoke new-chart`: a line a file, and what comes next."""
    lines = [f"{'would write' if dry_run else 'wrote'}  {shown(file)}" for file in made.written]
    lines += [f"kept   {shown(file)}" for file in made.kept]
    return Answer("\n".join([*lines, f"next: {made.next}"]), dataclasses.asdict(made))


def live(head: RenderableType, rows: Iterable[Row], height: int) -> RenderableType:
    """What runs side by side, on a terminal of `height` lines: those that run first, then what is still to begin."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    if not (rows := tuple(rows)):
        return head
    order = {"runs": 0, "waits": 1}
    ranked = sorted(rows, key=lambda row: order.get(row.state, 2))
    table = Table(box=None, pad_edge=False, show_header=False, expand=True)
    for ratio in (None, None, 1):
        table.add_column(no_wrap=True, ratio=ratio, overflow="ellipsis")
    for _ in ("seconds", "typical"):
        table.add_column(no_wrap=True, justify="right", overflow="ellipsis")
    first = ranked[: max(1, height - 3)]
    for row in first:
        taken = row.seconds if row.begun is None or row.seconds is not None else time.monotonic() - row.begun
        usual = "" if row.typical is None else f"of ~{row.typical:.0f} s"
        cells = (row.name, row.state, row.doing, "" if taken is None else f"{taken:.0f} s", usual)
        table.add_row(*(Text(plain(cell.replace("\n", " "))) for cell in cells))
    left = len(ranked) - len(first)
    return Group(head, table, *([Text(f"and {left} more")] if left else []))


def to_json(records: Any) -> str:
    """`records` as indented JSON; paths become text."""
    return json_module.dumps(
        records, indent=2, default=lambda value: str(value) if isinstance(value, Path) else vars(value)
    )


def _stacked(view: View, width: int) -> Iterable[RenderableType]:
    """`view` for a narrow terminal: a line a row, and below it what is long. A path stays whole, to be copied."""
    from rich.text import Text

    def led(lead: str, text: str) -> Text:
        return Text(filled(text, width, lead, " " * len(lead)) or lead)

    *first, last = (index for index, name in enumerate(view.columns) if name not in view.below)
    widths = {index: max((len(row[index]) for row in view.rows), default=0) for index in first}
    beside = sum(widths.values()) + 2 * len(widths) + _ROOM <= width
    yield Text(view.title, style="bold")
    for row in view.rows:
        if beside:
            yield led("".join(f"{row[index]:<{widths[index]}}  " for index in first), row[last])
        else:
            yield Text(filled("  ".join(row[index] for index in (*first, last) if row[index]), width, "", "  "))
        for name, cell in zip(view.columns, row, strict=True):
            if name in view.below and cell:
                yield led("    ", f"{name}: {cell}")


def render(view: View | Answer | str, *, width: int | None = None) -> str:
    """The text of `view`: lines, or a table `width` columns wide; nothing from elsewhere steers the terminal in it.

    None is the terminal's width, and no limit where there is no terminal: a log is searched for whole paths.
    """
    if isinstance(view, str):
        return plain(view)
    if isinstance(view, Answer):
        return view.text if view.coloured else plain(view.text)
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = tuple(tuple(map(plain, row)) for row in view.rows)
    view = dataclasses.replace(view, title=plain(view.title), rows=rows)
    text = io.StringIO()  # for who prints this to write, and to be told where that fails
    console = Console(file=text, force_terminal=sys.stdout.isatty() or None, width=width, highlight=False)
    if width is None and not sys.stdout.isatty():  # whatever FORCE_COLOR says
        console.width = _UNLIMITED
    table = Table(title=Text(view.title, "bold"), title_justify="left", box=None, pad_edge=False)
    for column in view.columns:
        table.add_column(column, overflow="fold")  # which wraps rather than truncates
    for row in view.rows:
        table.add_row(*map(Text, row))
    needed = console.measure(table, options=console.options.update(width=_UNLIMITED))
    narrow = (needed.maximum if view.below else needed.minimum) > console.width
    for part in _stacked(view, console.width) if narrow else (table,):
        console.print(part, soft_wrap=narrow)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
