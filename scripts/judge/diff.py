"""Shows what differs between two versions of a chart: objects and fields, values, schema, Chart.yaml, each once."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scripts.chart.contents import sources
from scripts.chart.manifests import FieldChange, Identity, changes, difference
from scripts.chart.source import Chart
from scripts.checks.matrix import Spread, spread
from scripts.core.words import many
from scripts.judge import schema as schemas
from scripts.judge.noise import Noise, Places, join_clusters, leaves, masked
from scripts.judge.renders import render_both
from scripts.judge.side import Side, read_side, versions
from scripts.judge.verdict import Cell, briefs
from scripts.workspace import Workspace

SCHEMA_VERSION = 1
Kind = Literal["+", "-", "~"]


@dataclass(frozen=True)
class Field:
    """One field, key or line that differs; `where` says for which renders, None for all that have the object."""

    path: str
    old: Any
    new: Any
    where: Spread | None = None

    def __str__(self) -> str:
        told = f"{self.path}: {' -> '.join(briefs(self.old, self.new))}"
        return f"{told} (with {self.where})" if self.where else told

    def record(self) -> dict[str, Any]:
        record = {"path": self.path, "old": self.old, "new": self.new}
        return {**record, **({"with": self.where.records()} if self.where else {})}


@dataclass(frozen=True)
class Object:
    """One object that came (+), went (-) or changed (~), for the renders `where`, None for all."""

    kind: Kind
    identity: Identity
    where: Spread | None
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Diff:
    """What leads from the chart named `old` to the one named `new`, which is of `version`.

    `folded` counts what is no change, by its name; `sources` is a digest of the latter's files.
    """

    old: str
    new: str
    version: str
    objects: tuple[Object, ...]
    parts: Mapping[str, tuple[Field, ...]]
    folded: Mapping[str, int]
    sources: str = ""

    def lines(self) -> list[str]:
        told = []
        for one in self.objects:
            told.append(f"{one.kind} {one.identity}" + (f" (with {one.where})" if one.where else ""))
            told += [f"    {field}" for field in one.fields]
        if not self.objects:
            told.append(f"renders the same objects as {self.old}")
        for title, fields in self.parts.items():
            if fields:
                told += [f"~ {title}", *(f"    {field}" for field in fields)]
        if self.folded:
            count = sum(self.folded.values())
            told.append(f"folded: {many(count, 'change')} of {', '.join(sorted(self.folded))}")
        return told

    def record(self) -> dict[str, Any]:
        names = {"+": "added", "-": "removed", "~": "changed"}
        return {
            "schema_version": SCHEMA_VERSION,
            "from": self.old,
            "to": self.new,
            "version": self.version,
            "sources": self.sources,
            "objects": [
                {
                    "change": names[one.kind],
                    **one.identity._asdict(),
                    "fields": [field.record() for field in one.fields],
                    **({"with": one.where.records()} if one.where else {}),
                }
                for one in self.objects
            ],
            **{title: [field.record() for field in fields] for title, fields in self.parts.items()},
            "folded": dict(self.folded),
        }


def diff_charts(
    work: Workspace,
    old: tuple[str, Chart],
    new: tuple[str, Chart],
    *,
    values: Iterable[Path] = (),
    kube_versions: Iterable[str] = (),
) -> Diff:
    """What leads from one named chart to another, each rendered with its own values files.

    Raises ChartError and ValuesError where one of them cannot be read or rendered.
    """
    charts = old[1], new[1]
    rendered = render_both(work, *charts, values=values, kube_versions=kube_versions, told=old[0], wholly=False)
    sides = read_side(old[1].path), read_side(new[1].path)
    noise = Noise(versions(*sides), rendered.drawn.drawn)
    objects, folded = _objects(rendered.own, noise)
    return Diff(old[0], new[0], new[1].version, objects, _parts(*sides), folded, sources(new[1]))


def _objects(cells: Iterable[Cell], noise: Noise) -> tuple[tuple[Object, ...], Counter[str]]:
    """Every object that differs in any cell, once; and what is folded."""
    came: dict[tuple[Kind, Identity], Places] = {}
    changed: dict[Identity, dict[str, tuple[FieldChange, Places]]] = {}
    there: dict[Identity, Places] = {}
    every: Places = []
    passed: set[tuple[str, Identity, str]] = set()
    for cell in cells:
        if cell.new is None:
            continue
        here = (cell.values, cell.minor)
        every.append(here)
        found = difference(cell.old, cell.new)
        for identity in found.added:
            came.setdefault(("+", identity), []).append(here)
        for identity in found.removed:
            came.setdefault(("-", identity), []).append(here)
        for document in cell.new:
            there.setdefault(document.identity, []).append(here)
        for identity, fields in found.changed.items():
            for field in (one for part in fields for one in leaves(part)):
                if why := noise.folds(identity, field):
                    passed.add((why, identity, field.path))
                    continue
                key = repr((field.path, field.old, field.new))
                changed.setdefault(identity, {}).setdefault(key, (field, []))[1].append(here)
    objects = [Object(kind, identity, _where(where, every)) for (kind, identity), where in came.items()]
    for identity, apart in changed.items():
        join_clusters(apart)
        told = (
            Field(one.path, *masked(identity.kind, one.path, one.old, one.new), _where(where, there[identity]))
            for one, where in apart.values()
        )
        objects.append(Object("~", identity, None, tuple(told)))
    objects.sort(key=lambda one: ("-+~".index(one.kind), one.identity))
    return tuple(objects), Counter(why for why, _, _ in passed)


def _where(cells: Places, there: Places) -> Spread | None:
    return None if len(cells) == len(there) else spread(cells)


def _parts(old: Side, new: Side) -> dict[str, tuple[Field, ...]]:
    names = dict.fromkeys(["values.yaml", *old.settings, *new.settings])
    settings = {name: _fields(old.settings.get(name, {}), new.settings.get(name, {})) for name in names}
    found = (
        Field(f"{schemas.key_of(change.path) or '(top level)'} {change.what}", change.old, change.new)
        for change in schemas.compare(old.schema, new.schema)
    )
    schema = tuple({str(one): one for one in found}.values())  # what is narrower and wider is one change here
    metadata = [{key: value for key, value in side.metadata.items() if key != "version"} for side in (old, new)]
    return {**settings, "values.schema.json": schema, "Chart.yaml": _fields(*metadata)}


def _fields(old: Any, new: Any) -> tuple[Field, ...]:
    return tuple(Field(change.path, change.old, change.new) for change in changes(old, new))


_STYLES = {"+": "32", "-": "31", "~": "33"}  # of terminals: green, red, yellow
_HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --text: #1f2328; --page: #fff; --plus: #1a6b30; --minus: #b3261e; --tilde: #7a4b00 }}
@media screen and (prefers-color-scheme: dark) {{
  :root {{ --text: #e6e9ed; --page: #14171b; --plus: #6fd08c; --minus: #ff8f86; --tilde: #f0b860 }}
}}
body {{ font: 14px/1.5 ui-monospace, monospace; margin: 2rem 1rem; overflow-wrap: anywhere }}
body {{ color: var(--text); background: var(--page) }}
h1 {{ font-size: 16px }}
.plus {{ color: var(--plus) }} .minus {{ color: var(--minus) }} .tilde {{ color: var(--tilde) }}
.field {{ margin-left: 2rem }} .folded {{ opacity: .8 }}
</style>
<main>
<h1>{title}</h1>
"""


def coloured(lines: Iterable[str]) -> list[str]:
    return [f"\033[{_STYLES[line[0]]}m{line}\033[0m" if line[:1] in _STYLES else line for line in lines]


def as_html(diff: Diff) -> str:
    """A page that stands by itself."""
    classes = {"+": "plus", "-": "minus", "~": "tilde", " ": "field", "f": "folded"}
    title = html.escape(f"{diff.old} to {diff.new}")
    told = ((classes.get(line[:1], "folded"), html.escape(line.strip())) for line in diff.lines())
    return (
        _HEAD.format(title=title) + "\n".join(f'<div class="{kind}">{text}</div>' for kind, text in told) + "\n</main>"
    )
