"""Tells which renders the renders for an older and a newer Kubernetes stand for, where those come out alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from scripts.chart.contents import INSTALLED_FIRST
from scripts.checks.matrix import Cell, Plan
from scripts.core.semver import minor

_MINOR = re.compile(r"(?<![\w.])v?1\.(\d+)")
_ALL = re.compile(r"\brange\b[^}]*\bAPIVersions\b")
_COUNTED = re.compile(r"\b(?:add1?|sub|mul|div|mod|max|min|seq|until(?:Step)?)f?\b")
_NUMBER = re.compile(r"(?<![\w.])\d+\b")


def between(plan: Plan) -> Mapping[Cell, tuple[Cell, Cell]]:
    """The cells that need a render only where those of an older and a newer minor differ, with these two.

    A chart that comes out the same for two minors does so for one between them, unless it has something to do with
    this one alone. It then names it, a minor beside it, or an API that came or went there: these cells are not told.
    """
    if not plan.contents.asks_for_version or len(plan.kube_versions) < 3 or _ALL.search(text := _text(plan)):
        return {}
    if "Minor" in text and _COUNTED.search(text):  # its number may be reached by arithmetic
        return {}
    found: dict[Cell, tuple[Cell, Cell]] = {}
    for stretch in _stretches(plan, text):
        for values in plan.values:
            first, *middle, last = (Cell(values, version) for version in stretch)
            found |= dict.fromkeys(middle, (first, last))
    return found


def _stretches(plan: Plan, text: str) -> Iterator[tuple[str, ...]]:
    """Runs of three Kubernetes versions or more in which only the first and the last may be special to the chart."""
    versions = plan.kube_versions
    numbers = {int(found) for found in _MINOR.findall(text)}
    if "Minor" in text:
        numbers |= {int(found) for found in _NUMBER.findall(text)}
    beside = {number + step for number in numbers for step in (-1, 0, 1)}
    special = {version for version in versions if int(minor(version).split(".")[1]) in beside}
    for older, newer in pairwise(versions):
        one, other = (frozenset(plan.served.get((minor(version), ""), ())) for version in (older, newer))
        if any(_asks(plan, api, text) for api in one ^ other):
            special |= {older, newer}
    stretch: list[str] = []
    for version in versions:
        stretch.append(version)
        if version in special or version == versions[-1]:
            if len(stretch) > 2:
                yield tuple(stretch)
            stretch = [version]


def _text(plan: Plan) -> str:
    """All that may say for which Kubernetes something is: templates, what they read, and who refuses one."""
    files = plan.contents.files.items()
    own = (
        data
        for name, data in files
        if not name.endswith((".md", "/values.schema.json")) and not INSTALLED_FIRST.match(name)
    )
    given = (file.read_bytes() for values in plan.values for file in values.files)
    return "\n".join(data.decode(errors="replace") for data in (*own, *given) if len(data) < _LARGE)


_LARGE = 1_000_000  # bytes: archives, of which only what is no template can be so large


def _asks(plan: Plan, api: str, text: str) -> bool:
    """Whether a template asks for an API: by its name, or, where it does not write that there, by some part of it."""
    if api in plan.contents.asked:
        return True
    group, _, last = api.rpartition("/")
    part = group if re.match(r"v\d", last) else last  # the group of a version, the kind of anything else
    # Nearly no part is there at all, which is found out sooner without the ends of words.
    return plan.contents.asks_indirectly and part in text and re.search(rf"\b{re.escape(part)}\b", text) is not None
