"""Gathers the reasons of every comparison into one verdict on a chart's step from one version to another."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scripts.chart.manifests import Manifests
from scripts.checks.matrix import own_name, spread
from scripts.core.errors import FindingsError
from scripts.core.words import many, some
from scripts.judge.exceptions import Exempt, exempted
from scripts.judge.immutable import fixed_in
from scripts.judge.metadata import judge_metadata
from scripts.judge.noise import Noise, Places, join_clusters
from scripts.judge.objects import TESTED, Scene, judge_objects
from scripts.judge.reason import LEVELS, Level, Reason, highest, raised_part, required_part, suffices, told_once
from scripts.judge.side import Side, versions
from scripts.judge.values import judge_values

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Cell:
    """The old and the new chart rendered with one values set (its name) for one Kubernetes minor.

    `new` is None where the new chart refuses what the old one took; then `refusal` says why.
    """

    values: str
    minor: str
    old: Manifests
    new: Manifests | None
    refusal: str = ""
    release: str = ""
    """The release's name and namespace, where it is not the usual one."""
    further: bool = False
    """Whether it is none of the chart's own values sets."""


@dataclass(frozen=True)
class Verdict:
    """`level` is the smallest step that SemVer allows as of 1.0, `part` what has to be raised in `version`.

    `version` is the one judged from, `current` the one that the chart bears now; `source` is how the first was named.
    """

    chart: str
    source: str
    version: str
    current: str
    level: Level
    part: Level
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...] = ()
    sources: str = ""
    """The digest of the chart's files."""

    @property
    def raised(self) -> Level:
        """The part by which the chart's version is above the one judged from."""
        return raised_part(self.version, self.current)

    @property
    def enough(self) -> bool:
        """Whether the chart's version is raised as far as it has to be."""
        return suffices(self.version, self.current, self.part)

    def summary(self) -> str:
        head = f"{self.chart} {self.version} -> {self.current}: "
        if self.level == "none":
            return head + "nothing differs that anybody would notice"
        count = many(len(self.reasons), "reason")
        custom = f" as of 1.0; in {self.version} that is the {self.part} part" if self.part != self.level else ""
        said = f"{head}{self.level} ({count}){custom}"
        if self.raised == "none":
            return f"{said}; the version is not raised{' yet' * (self.current == self.version)}"
        if not self.enough:
            return f"{said}; the version is raised by its {self.raised} part only"
        if LEVELS.index(self.raised) > LEVELS.index(self.part):
            return f"{said}; the version is raised by more, its {self.raised} part"
        return f"{said}, and so it is raised"

    def record(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "chart": self.chart,
            "from": self.source,
            "version": self.version,
            "current": self.current,
            "sources": self.sources,
            "level": self.level,
            "part": self.part,
            "enough": self.enough,
            "reasons": [reason.record() for reason in self.reasons],
            "notes": list(self.notes),
        }


def make_verdict(
    old: Side,
    new: Side,
    cells: Iterable[Cell],
    *,
    source: str,
    namespace: str = "default",
    known: Sequence[str] = (),
    drawn: Noise | None = None,
    further: Sequence[Reason] = (),
    exempt: Sequence[Exempt] = (),
    initial: bool = True,
    files: Callable[[], Sequence[str]] = tuple,
) -> Verdict:
    """The verdict on the step from `old` to `new`.

    `known` are the Kubernetes minors that are out. `drawn` names the fields that are random. `further` are reasons
    that rendering more has shown, `exempt` exceptions of the changelog. `files` gives the packed files that differ,
    besides the version, and is asked where nothing else does: then they are a patch. `initial` as for `required_part`.
    """
    noise = replace(drawn or Noise(), versions=versions(old, new))
    rendered = _cell_reasons(cells, Scene(namespace, noise))
    shown = {reason.about for reason in further}  # of these the renders tell more than the texts
    values = [_tested(reason, rendered) for reason in judge_values(old, new) if reason.about not in shown]
    values += further
    gone = tuple(f"{one.about}." for one in values if one.level == "major" and one.new is None)
    values = [one for one in values if not one.about.startswith(gone)]  # of what is in these there is no more to tell
    reasons = [*judge_metadata(old, new, known), *values, *rendered]
    reasons = [reason for reason in reasons if reason.level != "none"]
    if not reasons and (differing := ", ".join(files())):
        reasons = [Reason("patch", "files", None, differing, "what is rendered means the same with every values set")]
    reasons, notes = exempted(reasons, exempt)
    level = highest(reason.level for reason in reasons)
    part = required_part(old.version, level, initial=initial)
    name = str(new.metadata.get("name", ""))
    once = told_once(_ordered(reasons), _apart_from_its_name)
    told = (replace(one, meaning=f"{one.meaning} (and of {more} others)") if more else one for one, more in once)
    return Verdict(name, source, old.version, new.version, level, part, tuple(told), tuple(notes))


def demand_enough(verdict: Verdict) -> None:
    """Raises FindingsError where the version is raised by less than it has to be."""
    if verdict.enough:
        return
    needed = [reason for reason in verdict.reasons if reason.level == verdict.level]
    raised = "is not raised above" if verdict.raised == "none" else "is raised by too little above"
    why = f", since the step is {verdict.level} as of 1.0" if verdict.part != verdict.level else ""
    raise FindingsError(
        f"{verdict.chart} {verdict.current} {raised} {verdict.version}",
        expected=f"its {verdict.part} part, or a higher one{why}; or words in the changelog why it counts as less",
        found="\n".join(some(map(line, needed))),
        run=f"invoke version-bump --part {verdict.part}",
    )


def line(reason: Reason) -> str:
    where = f" (with {reason.where})" if reason.where else ""
    step = "" if reason.old is None and reason.new is None else f": {' -> '.join(briefs(reason.old, reason.new))}"
    return f"{reason.about}{step}: {reason.meaning}{where}"


def briefs(old: Any, new: Any) -> tuple[str, str]:
    """Two values in a few words each; where these would read alike, by their types, and from where they differ."""
    texts = [_text(old), _text(new)]
    if texts[0] == texts[1] and old != new:
        texts = [json.dumps(value, default=str) for value in (old, new)]
    if _cut(texts[0]) == _cut(texts[1]) and texts[0] != texts[1]:
        same = len([*itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False))])
        texts = [f"...{text[max(0, same - 20) :]}" for text in texts]
    return _cut(texts[0]), _cut(texts[1])


def _cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _text(value: Any) -> str:
    if value is None:
        return "(absent)"
    return value if isinstance(value, str) and value and "\n" not in value else json.dumps(value, default=str)


def _cell_reasons(cells: Iterable[Cell], scene: Scene) -> list[Reason]:
    """The reasons of every cell, the same ones of several told once with where they hold."""
    usual: Places = []
    known: dict[tuple[Any, ...], list[Reason]] = {}
    places: dict[str, tuple[Reason, Places]] = {}
    for cell in sorted(cells, key=lambda cell: (cell.further, cell.release)):
        here = (cell.values, cell.minor)
        usual += [] if cell.further else [here]
        if cell.new is None:
            meaning = f"an installation with these settings cannot be upgraded: {cell.refusal}"
            found = [Reason("major", f"values set {own_name(cell.values)}", "renders", "refused", meaning)]
        else:
            fixed = tuple(one for one in fixed_in(cell.minor) if cell.old.all(one[0][1]))
            pair = (cell.old.sha256, cell.new.sha256, cell.release, fixed)
            if pair not in known:
                here_alone = replace(scene, namespace=cell.release or scene.namespace, fixed=fixed)
                known[pair] = list(judge_objects(cell.old, cell.new, here_alone))
            found = known[pair]
        if cell.further:  # all that is no matter of what it alone turns on, or of the release's name, is told already
            alike = _nameless if cell.release else _wordless
            told = Counter(alike(reason) for reason, _ in places.values())
            here_too = Counter(map(alike, found))
            found = [one for one in found if told[alike(one)] < here_too[alike(one)]]
        for reason in found:
            # The release's namespace is told where it is another, and a place in a list may be another with each set.
            about = re.sub(rf" \([a-z0-9-]+\)|{_PLACE}", "", reason.about)
            key = json.dumps([*replace(reason, about=about).record().values()], default=str, sort_keys=True)
            places.setdefault(key, (reason, []))[1].append(here)
    join_clusters(places)
    found = []
    for reason, where in places.values():
        own = [cell for cell in where if cell in usual]
        everywhere = set(own) == set(usual) and reason.new != "refused"
        found.append(reason if everywhere else replace(reason, where=str(spread(own or where))))
    return found


def _tested(reason: Reason, rendered: Iterable[Reason]) -> Reason:
    """Another default, as a patch where the tests of the chart are all that it is rendered in."""
    if reason.old in (None, "") or reason.new in (None, ""):
        return reason
    shown = [one for one in rendered if str(reason.old) in str(one.old) and str(reason.new) in str(one.new)]
    alone = bool(shown) and all((one.level, one.meaning) == TESTED for one in shown)
    return replace(reason, level=TESTED[0], meaning=TESTED[1]) if alone else reason


def _apart_from_its_name(reason: Reason) -> str:
    """The very same change of a field is the same of every object of a kind."""
    about = re.sub(r"^(\w+)/\S+( \([a-z0-9-]+\))? ", r"\1 ", reason.about)
    return json.dumps({**reason.record(), "about": about}, default=str, sort_keys=True)


def _nameless(reason: Reason) -> str:
    """A reason by all but the names of its object and of what is in it; what it was and is may bear them, too."""
    about = re.sub(r"^(\w+)/\S+( \([a-z0-9-]+\))?|(?<=\[)[^\]]*(?=\])", r"\1", reason.about)
    return _wordless(replace(reason, about=about))


def _wordless(reason: Reason) -> str:
    """A reason by all but what was, and what is, and places in lists."""
    return f"{reason.level} {re.sub(_PLACE, '', reason.about)}: {reason.meaning}"


_PLACE = r"(?<=\[)\d+(?=\])"


_GROUPS = ("Chart.yaml", "values", "schema")


def _ordered(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """The highest level first, then Chart.yaml, values and schema, and objects."""

    def key(reason: Reason) -> tuple[int, int, str, str]:
        word = reason.about.split(" ")[0]
        group = _GROUPS.index(word) if word in _GROUPS else len(_GROUPS)
        return -LEVELS.index(reason.level), group, reason.about, reason.where

    return tuple(sorted(reasons, key=key))
