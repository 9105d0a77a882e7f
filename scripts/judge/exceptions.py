"""Reads from the changelog which reasons count as another level than the judge says, and why."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from scripts.chart.changelog import Changelog, Entry
from scripts.core.errors import ChangelogError
from scripts.core.semver import is_semver, parse
from scripts.judge.reason import LEVELS, Level, Reason

_SAID = re.compile(r"\bcounts as (?:(?:a )?(?:major|minor|patch|none)\b|\w+: `)", re.IGNORECASE)
_AGAIN = re.compile(r"\bcounts as \w+: `", re.IGNORECASE)
_FORM = re.compile(
    r"\bcounts as (?P<level>\w+): (?P<abouts>`[^`]+`(?:(?:,| and|, and) `[^`]+`)*),? (?:because|since) (?P<why>\S.*)",
    re.IGNORECASE,
)
_EXPECTED = "Counts as LEVEL: `ABOUT`, because WHY; LEVEL one of major, minor, patch, none"


@dataclass(frozen=True)
class Exempt:
    """What the changelog says of the reasons whose `about` is the one named; `*` in it stands for anything."""

    level: Level
    about: str
    why: str
    line: int

    def holds(self, reason: Reason) -> bool:
        """Whether it speaks of `reason`."""
        pattern = ".*".join(map(re.escape, self.about.split("*")))
        return re.fullmatch(pattern, reason.about, re.DOTALL) is not None


def read_exceptions(changelog: Changelog | None, *, above: str) -> tuple[Exempt, ...]:
    """The exceptions under Unreleased and under every version above `above`. Raises ChangelogError naming the line."""
    if changelog is None:
        return ()
    found: list[Exempt] = []
    for section in changelog.sections:
        if section.version is None or not is_semver(above) or parse(section.version) > parse(above):
            for entry in section.entries:
                found += _read(changelog.source, entry)
    return tuple(found)


def _read(source: str, entry: Entry) -> list[Exempt]:
    found: list[Exempt] = []
    first = _SAID.search(entry.text)
    begins = {first.start(), *(again.start() for again in _AGAIN.finditer(entry.text))} if first else set[int]()
    for begin, end in itertools.pairwise([*sorted(begins), len(entry.text)]):
        said = entry.text[begin:end].strip()
        form = _FORM.fullmatch(said)
        level = next((one for one in LEVELS if form and one == form["level"].lower()), None)
        if form is None or level is None:
            raise ChangelogError(
                f"{source}:{entry.line}: what counts as another level is not said in the form that is read",
                expected=_EXPECTED,
                found=said,
                run="correct that entry; ABOUT is what invoke judge prints before the colon",
            )
        found += [Exempt(level, about, form["why"], entry.line) for about in re.findall(r"`([^`]+)`", form["abouts"])]
    return found


def exempted(reasons: Iterable[Reason], exceptions: Sequence[Exempt]) -> tuple[list[Reason], list[str]]:
    """The reasons with the levels that the changelog gives them, and a note for an exception that nothing needs."""
    told, used = [], set[Exempt]()
    for reason in reasons:
        if exempt := next((one for one in exceptions if one.holds(reason)), None):
            used.add(exempt)
            words = f"{reason.meaning} (counts as {exempt.level} by the changelog, because {exempt.why})"
            reason = replace(reason, level=exempt.level, meaning=words)
        told.append(reason)
    unused = dict.fromkeys(one for one in exceptions if one not in used)
    return told, [f"the changelog's line {one.line} speaks of {one.about!r}, which is no reason" for one in unused]
