"""Decides which versions a constraint admits, of Kubernetes or of a dependency, by the rules of helm's library."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from semver import Version

from scripts.core.errors import ChartError

_NUMBERS = r"(?:\d+|[xX*])(?:\.(?:\d+|[xX*])){0,2}"
_VERSION = rf"v?({_NUMBERS})(?:-([\dA-Za-z.-]+))?(?:\+[\dA-Za-z.-]+)?"
_OPERATOR = r"!=|>=|=>|<=|=<|~>|[=<>~^]"
_HYPHEN = re.compile(rf"({_VERSION})\s+-\s+({_VERSION})")
_COMPARISON = re.compile(rf"\s*({_OPERATOR})?\s*{_VERSION}(?=[\s,]|$)\s*(?:,(?=.))?")


@dataclass(frozen=True)
class Comparison:
    """An operator and a version, of whose numbers so many are `given`; those left open are 0."""

    operator: str
    version: Version
    given: int

    def admits(self, version: Version) -> bool:
        """Whether `version` satisfies it; whether one that is a pre-release may at all is not asked."""
        found, own, given = version.to_tuple()[:3], self.version.to_tuple()[:3], self.given
        match self.operator:
            case ">":  # with open parts: above everything that they cover
                return found[:given] > own[:given] if given in (1, 2) else version > self.version
            case ">=" | "=>":
                return version >= self.version
            case "<":
                return version < self.version
            case "<=" | "=<":
                return version <= self.version if given == 3 else found[: given or 2] <= own[: given or 2]
            case "!=":
                alike = given == 1 or version.prerelease == self.version.prerelease
                return found[: given or 3] != own[: given or 3] or not alike
            case "^":  # the leftmost part that is not 0 stays
                fixed = next((place for place, part in enumerate(own, 1) if part or place == given), 3)
                return version >= self.version and found[:fixed] == own[:fixed]
            case "" | "=" if given == 3:
                return version == self.version
            case _:  # `~`, which a version with open parts means by itself
                fixed = 1 if given == 1 else 2
                everything = not any(own) and given in (0, 3)
                return version >= self.version and (everything or found[:fixed] == own[:fixed])


Alternatives = Sequence[Sequence[Comparison]]
"""The parts of a constraint (`||`), each of comparisons that must all hold."""


def satisfied(alternatives: Alternatives, version: Version) -> bool:
    """Whether one of them admits `version`: a pre-release only where one of its comparisons names a pre-release."""
    return any(
        all(one.admits(version) for one in alternative)
        and (not version.prerelease or any(one.version.prerelease for one in alternative))
        for alternative in alternatives
    )


def admits(constraint: str, version: str) -> bool:
    """The same of texts. What is no constraint admits nothing, and what is no version is admitted by none."""
    found = re.fullmatch(_VERSION, version)
    try:
        return found is not None and satisfied(parse_constraint(constraint), _read(found[1], found[2]))
    except (ChartError, ValueError):
        return False


def parse_constraint(text: str | None) -> Alternatives:
    """What a constraint asks for, which is nothing without one. Raises ChartError for what helm refuses too."""
    if text is None:
        return ((),)
    alternatives = []
    for alternative in text.split("||"):
        rest = _HYPHEN.sub(r">=\1 <=\4", alternative).strip()
        comparisons = []
        while rest:
            found = _COMPARISON.match(rest)
            try:
                if found is None:
                    raise ValueError
                version = _read(found[2], found[3])
            except ValueError:
                raise ChartError(
                    f"kubeVersion {text!r} is no version constraint",
                    expected='for example ">=1.28.0-0 <1.38.0-0"',
                    found=rest,
                ) from None
            comparisons.append(Comparison(found[1] or "", version, len(_given(found[2]))))
            rest = rest[found.end() :].strip()
        if not comparisons:
            raise ChartError(f"kubeVersion {text!r} is no version constraint", found="nothing to compare with")
        alternatives.append(tuple(comparisons))
    return tuple(alternatives)


def edges(alternatives: Alternatives) -> set[Version]:
    """The patches that a constraint names, with those beside them: at others its answer does not change."""
    return {
        Version(one.version.major, one.version.minor, max(0, one.version.patch + step))
        for alternative in alternatives
        for one in alternative
        for step in (-1, 0, 1)
        if one.given > 1
    }


def supported(constraint: str | None, known: Iterable[str]) -> tuple[str, ...]:
    """A version for each minor of `known` of which a patch is admitted: the first such, mostly 0. Raises ChartError."""
    alternatives = parse_constraint(constraint or None)
    near = sorted(edges(alternatives))
    found = []
    for name in known:
        within = (Version.parse(f"{name}.0"), *(version for version in near if str(version).startswith(f"{name}.")))
        found += [str(version) for version in within if satisfied(alternatives, version)][:1]
    return tuple(found)


def _given(numbers: str) -> list[str]:
    """The numbers of a version that are none of the open ones; what follows an open one is open as well."""
    return [*takewhile(str.isdigit, numbers.split("."))]


def _read(numbers: str, prerelease: str | None) -> Version:
    """A version, whose open numbers are 0, and whose others may begin with zeros. Raises ValueError."""
    major, minor, patch = [*map(int, _given(numbers)), 0, 0, 0][:3]
    return Version.parse(f"{major}.{minor}.{patch}" + (f"-{prerelease}" if prerelease else ""))
