"""Decides which Kubernetes minors a chart's `kubeVersion` constraint admits, by helm's rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from scripts.core.errors import ChartError

_PART = r"(?:\d+|[xX*])"
_VERSION = rf"v?{_PART}(?:\.{_PART})?(?:\.{_PART})?(?:-[\w.-]+)?(?:\+[\w.-]+)?"
_OPERATOR = r"!=|>=|=>|<=|=<|~>|[=<>~^]"
_HYPHEN = re.compile(rf"({_VERSION})\s+-\s+({_VERSION})")
_COMPARISON = re.compile(rf"\s*({_OPERATOR})?\s*({_VERSION})(?=[\s,]|$)\s*(?:,(?=.))?")


@dataclass(frozen=True)
class Comparison:
    """An operator and a version of which trailing parts may be open (None)."""

    operator: str
    major: int | None
    minor: int | None
    patch: int | None
    prerelease: bool

    def admits(self, version: tuple[int, int, int]) -> bool:
        """Whether a released version, which no prerelease of the same numbers equals, satisfies it."""
        low = (self.major or 0, self.minor or 0, self.patch or 0)
        given = tuple(part for part in (self.major, self.minor, self.patch) if part is not None)
        same = version[: len(given)] == given  # open parts match anything
        exact = same and not self.prerelease
        covered = exact or (same and len(given) < 3)  # 1.30.x-0 is all of 1.30
        match self.operator:
            case ">":
                # With open parts: above everything that they cover. 1.30.0 is above 1.30.0-0.
                return version > low and not same if not self.prerelease or len(given) < 3 else version >= low
            case ">=" | "=>":
                return version >= low
            case "<":
                return version < low
            case "<=" | "=<":
                return version < low or covered
            case "!=":
                return not exact
            case "~" | "~>":
                return version >= low and version[: max(1, min(2, len(given)))] == given[:2] if given else True
            case "^":
                return self._caret(version, low, given)
            case _:
                return covered

    @staticmethod
    def _caret(version: tuple[int, int, int], low: tuple[int, int, int], given: tuple[int, ...]) -> bool:
        """The leftmost part that is not 0 stays."""
        if not given:
            return True
        fixed = next((index for index, part in enumerate(given) if part), len(given) - 1)
        return version >= low and version[: fixed + 1] == low[: fixed + 1]


def parse_constraint(text: str) -> tuple[tuple[Comparison, ...], ...]:
    """The alternatives (`||`) of comparisons that must all hold. Raises ChartError for what helm refuses too."""
    alternatives = []
    for alternative in text.split("||"):
        rest = _HYPHEN.sub(r">=\1 <=\2", alternative).strip()
        comparisons = []
        while rest:
            found = _COMPARISON.match(rest)
            if found is None:
                raise ChartError(
                    f"kubeVersion {text!r} is no version constraint",
                    expected='for example ">=1.28.0-0 <1.38.0-0"',
                    found=rest,
                )
            comparisons.append(_comparison(found.group(1) or "", found.group(2)))
            rest = rest[found.end() :].strip()
        if not comparisons:
            raise ChartError(f"kubeVersion {text!r} is no version constraint", found="nothing to compare with")
        alternatives.append(tuple(comparisons))
    return tuple(alternatives)


def supported(constraint: str | None, known: Iterable[str]) -> tuple[str, ...]:
    """A version for each minor of `known` of which a patch is admitted: the first such, mostly 0. Raises ChartError."""
    alternatives = parse_constraint(constraint) if constraint else ((),)
    versions = []
    for name in known:
        major, minor = (int(part) for part in name.split("."))
        # A patch can only matter where the constraint names one of this minor.
        named = {
            c.patch for a in alternatives for c in a if (c.major, c.minor) == (major, minor) and c.patch is not None
        }
        for patch in sorted({0} | named | {patch + 1 for patch in named}):
            if any(all(c.admits((major, minor, patch)) for c in alternative) for alternative in alternatives):
                versions.append(f"{major}.{minor}.{patch}")
                break
    return tuple(versions)


def _comparison(operator: str, version: str) -> Comparison:
    numbers, _, prerelease = version.removeprefix("v").partition("+")[0].partition("-")
    given = map(int, takewhile(str.isdigit, numbers.split(".")))  # what follows an open part is open as well
    parts: list[int | None] = [*given, None, None, None]
    return Comparison(operator, parts[0], parts[1], parts[2], bool(prerelease))
