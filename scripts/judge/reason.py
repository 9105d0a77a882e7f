"""Owns levels, the reasons for them, and which part of a version a level asks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

from scripts.core.semver import parse, step

Level = Literal["none", "patch", "minor", "major"]
LEVELS: tuple[Level, ...] = get_args(Level)


_Item = TypeVar("_Item")
_FEW = 3  # of the same that are told one by one
Found = tuple[Level, str, Any, Any, str]
"""What is a reason once it is known of what: level, path, old, new, meaning."""


@dataclass(frozen=True)
class Reason:
    """One thing that somebody notices. `about` is an object (and field), a key, or a line of Chart.yaml.

    `old` and `new` are as they stand there, None where they do not. `meaning` says what comes of it for an
    installation, `where` for which values sets and Kubernetes versions, "" for all.
    """

    level: Level
    about: str
    old: Any = field(compare=False)
    new: Any = field(compare=False)
    meaning: str
    where: str = ""

    def record(self) -> dict[str, Any]:
        named = {"level": self.level, "about": self.about, "old": self.old, "new": self.new, "meaning": self.meaning}
        return {**named, **({"where": self.where} if self.where else {})}


def highest(levels: Iterable[Level]) -> Level:
    """The highest of `levels`, "none" without any."""
    return max(levels, key=LEVELS.index, default="none")


def told_once(items: Iterable[_Item], key: Callable[[_Item], Any]) -> Iterator[tuple[_Item, int]]:
    """Each of `items` with how many more it stands for: the first of many that are the same by `key`."""
    groups: dict[Any, list[_Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    for same in groups.values():
        yield from [(same[0], len(same) - 1)] if len(same) > _FEW else ((one, 0) for one in same)


def required_part(version: str, level: Level, *, initial: bool = True) -> Level:
    """The smallest part that has to be raised in `version` for a change of `level`.

    `initial`: 0.y.z is initial development (https://semver.org/#spec-item-4), and the leftmost number that is not 0
    is the breaking one, as cargo has it.
    """
    numbers = parse(version)
    if level == "none" or numbers.major or not initial:
        return level
    if numbers.minor == 0:
        return "patch"
    return "minor" if level == "major" else "patch"


def raised_part(old: str, new: str) -> Level:
    """The part by which `new` is above `old`; "none" where it is not above it.

    A pre-release counts as the version that it leads to.
    """
    return step(old, new) if parse(new) > parse(old) else "none"


def suffices(old: str, new: str, needed: Level) -> bool:
    """Whether the step from `old` to `new` raises the part `needed`, or a higher one.

    From a pre-release, the part that it was opened for is raised already: 2.0.0-rc.1 to 2.0.0 may break.
    """
    before = parse(old)
    opened: Level = "none"
    if before.prerelease:
        opened = "major" if not (before.minor or before.patch) else "patch" if before.patch else "minor"
    if needed == "none":
        return True
    raised = raised_part(old, new)
    return raised != "none" and max(LEVELS.index(raised), LEVELS.index(opened)) >= LEVELS.index(needed)


def version_level(old: str | None, new: str | None) -> Level:
    """How far two versions of something else (an application, an image, a dependency) are apart.

    By its own SemVer; going back loses what the higher one had. "minor" where a number does not tell.
    """
    before, after = numbers(old), numbers(new)
    if before is None or after is None:
        return "none" if old == new else "minor"
    low, high = sorted((before, after))
    if low == high:
        return "none" if old == new else "patch"  # another build or suffix
    place = next(index for index in range(3) if low[index] != high[index])
    fixed = next((index for index, number in enumerate(low) if number), 2)  # the breaking place of 0.y.z
    if place == 0 and low[0] >= _DATE:
        return "minor"  # another year
    level: Level = "major" if place <= fixed else "minor" if place == 1 else "patch"
    return "major" if after < before and level == "minor" else level


_DATE = 1000  # a first number from which on it is a date; alone it may count builds, too


def numbers(text: str | None) -> tuple[int, int, int] | None:
    """The three numbers that a version begins with (`v1.2`, `15-alpine`, `1.2.3-rc.1`), None for other text."""
    found = re.match(r"^v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?=$|[-+._a-z])", str(text or ""))
    if found is None:
        return None
    major, minor, patch = (int(part or 0) for part in found.groups())
    return (major, minor, patch) if found[2] or major < _DATE else None


def bears(old: Any, new: Any, versions: Iterable[tuple[str, str]]) -> bool:
    """Whether two texts differ by nothing but one of `versions` (old, new), as in the address of a release's files."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return False
    for was, now in versions:
        told_apart = "." in was or old == was  # 8 stands in too much else
        if told_apart and re.sub(rf"(?<![\d.]){re.escape(was)}(?!\.?\d)", now, old) == new:
            return True
    return False
