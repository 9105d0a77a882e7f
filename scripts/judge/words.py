"""Puts a verdict into words: for a terminal, and as Markdown for a pull request."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from scripts.judge.reason import LEVELS, Reason
from scripts.judge.verdict import Verdict, briefs, line

_MARKS = {"major": "🔴", "minor": "🟡", "patch": "🟢", "none": "⚪"}
_MOST = 60_000  # characters of a comment; GitHub takes 65,536


def lines(verdict: Verdict) -> list[str]:
    """For a person: the reasons by level, the highest first, then what it comes to."""
    told = []
    for level, reasons in _by_level(verdict):
        told.append(f"{level}:")
        told += [f"  {line(reason)}" for reason in reasons]
    told += [f"note: {note}" for note in verdict.notes]
    return [*told, verdict.summary()]


def markdown(verdict: Verdict) -> str:
    """For a pull request's comment: a sentence, and a table for each level."""
    raised = verdict.current == verdict.version or verdict.enough
    mark = _MARKS[verdict.level] if raised else "❌"
    parts = [f"## {mark} {_escaped(verdict.summary())}", "", f"Judged from `{verdict.source}`."]
    for level, reasons in _by_level(verdict):
        table = ["", "| what | from | to | what it means |", "|---|---|---|---|", *map(_row, reasons)]
        if level in ("patch", "none"):
            table = ["", f"<details><summary>{level} ({len(reasons)})</summary>", *table, "", "</details>"]
        else:
            table = ["", f"### {level} ({len(reasons)})", *table]
        if sum(map(len, parts)) + sum(map(len, table)) > _MOST:
            parts += ["", f"{len(reasons)} reasons of level {level} do not fit here: `invoke judge` tells them."]
            continue
        parts += table
    parts += [f"\n> {_escaped(note)}" for note in verdict.notes]
    return "\n".join(parts) + "\n"


def _by_level(verdict: Verdict) -> Iterator[tuple[str, list[Reason]]]:
    for level in reversed(LEVELS):
        if reasons := [reason for reason in verdict.reasons if reason.level == level]:
            yield level, reasons


def _row(reason: Reason) -> str:
    where = f" (with {reason.where})" if reason.where else ""
    cells = (*map(code, (reason.about, *briefs(reason.old, reason.new))), _escaped(reason.meaning + where))
    return f"| {' | '.join(cells)} |"


def code(text: str) -> str:
    """`text` as code in a cell of a table, whatever it holds; "" for what is not there."""
    return "" if text == "(absent)" else f"<code>{_escaped(text)}</code>"


def _escaped(text: str) -> str:
    """`text` without any meaning in Markdown or HTML, on one line."""
    plain = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]|~#@])", lambda found: f"&#{ord(found[1])};", plain)
