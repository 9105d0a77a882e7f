"""Parses, compares and raises semantic versions, and names the git tag of one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from semver import Version

from scripts.core.errors import FINDING, PartError, VersionError

PARTS = ("major", "minor", "patch", "prerelease")
BORNE = ": helm packs it, and passes over it where it looks for the newest version in a registry"
_WORD = re.compile(r"[A-Za-z](?:[A-Za-z-]*[A-Za-z])?")
_TOKEN = "rc"  # noqa: S105 - the word before a pre-release's number


def parse(text: str, where: str = "", error: type[VersionError] = VersionError) -> Version:
    """`text` as a semantic version (https://semver.org); helm bears a leading v. Raises `error`, naming `where`."""
    try:
        return Version.parse(text.removeprefix("v"))
    except (ValueError, TypeError):
        raise error(
            f"{where + ': ' if where else ''}{text!r} is not a semantic version",
            expected="MAJOR.MINOR.PATCH, such as 1.4.0, 1.4.0-rc.1 or 1.4.0+build.5",
            found=flaw(text),
            code=FINDING if error is VersionError else None,
        ) from None


def minor(version: str) -> str:
    """The minor of a version: `1.30` of `v1.30.4`."""
    return ".".join(version.removeprefix("v").split(".")[:2])


def is_semver(text: str) -> bool:
    return Version.is_valid(text.removeprefix("v"))


def bump(version: str, part: str, *, pre: str | None = None) -> str:
    """The version after `version` when `part` is raised; build metadata is dropped, a leading v stays.

    A pre-release is finished by the part that it was opened for: patch of 1.4.1-rc.2 is 1.4.1, minor of
    1.4.0-rc.2 is 1.4.0, major of 2.0.0-rc.2 is 2.0.0. prerelease of 1.4.0 is 1.4.1-rc.1 and of 1.4.1-rc.1 is
    1.4.1-rc.2; another word than rc is kept. `pre` is that word, and opens the pre-release of any part: with "rc",
    minor of 1.3.2 is 1.4.0-rc.1. Raises PartError for a part or a word there is not, VersionError for a version.
    """
    demand_part(part, pre)
    if version.startswith("v"):
        return f"v{bump(version[1:], part, pre=pre)}"
    current = parse(version)
    if pre is None and part == "prerelease" and current.prerelease:
        return _next_candidate(current)
    if pre is None:
        return str(current.next_version(part, prerelease_token=_TOKEN))
    final = current.finalize_version()
    if part != "prerelease" or not current.prerelease:
        final = current.next_version("patch" if part == "prerelease" else part)
    if current.finalize_version() == final and re.match(rf"{pre}(?![A-Za-z-])", current.prerelease or ""):
        return _next_candidate(current)
    return f"{final}-{pre}.1"


def _next_candidate(version: Version) -> str:
    """The pre-release after `version`: rc.2 after rc.1, rc2 after rc1, rc.0 after rc; rc9.1 after rc9, not rc10, which
    is below it.
    """
    word, number = re.fullmatch(r"(.*?)(\d*)", version.prerelease or "").groups()  # type: ignore[union-attr]
    found = version.replace(prerelease=f"{word}{int(number) + 1}" if number else f"{word}.0", build=None)
    return str(found if found > version else version.replace(prerelease=f"{version.prerelease}.1", build=None))


def demand_part(part: str, pre: str | None = None) -> None:
    """Raises PartError where `part` is no part of a version, or `pre` no word for a pre-release."""
    if part not in PARTS:
        run = "invoke version-bump --part auto" if part == "auto" else None
        expected = f"{' | '.join(PARTS)}, for version-bump also auto"
        raise PartError(f"{part!r} is not a part of a version", expected=expected, run=run)
    if pre is not None and not _WORD.fullmatch(pre):
        raise PartError(f"--pre {pre!r} cannot name a pre-release", expected="a word such as rc, beta or alpha")


def is_prerelease(version: str) -> bool:
    """True for a version such as 1.4.0-rc.1. Raises VersionError."""
    return parse(version).prerelease is not None


def step(old: str, new: str) -> Literal["major", "minor", "patch"]:
    """The part of the version that leads from one to another: the first that differs, and patch at the least."""
    before, after = parse(old), parse(new)
    return "major" if before.major != after.major else "minor" if before.minor != after.minor else "patch"


def in_line(versions: Iterable[str], old: str, new: str) -> tuple[str, ...]:
    """Those of `versions` on the line on which `old` leads to `new`: patches stay in a minor, minors in a major."""
    kept = PARTS.index(step(old, new))
    wanted = parse(new).to_tuple()[:kept]
    return tuple(text for text in versions if is_semver(text) and parse(text).to_tuple()[:kept] == wanted)


def highest(versions: Iterable[str]) -> str | None:
    """The highest of `versions` by semver precedence; words that are no versions are passed over."""
    return max((text for text in versions if is_semver(text)), key=parse, default=None)


def newest_first(versions: Iterable[str]) -> list[str]:
    """Those of the texts that are versions, from the highest down: first the final ones, then all pre-releases."""
    known = sorted(filter(is_semver, versions), key=parse, reverse=True)
    return sorted(known, key=is_prerelease)


def tag_name(chart: str, version: str) -> str:
    """The git tag of a chart's version; one repository can hold several charts."""
    return f"{chart}-{version}"


def flaw(text: str) -> str | None:
    """What is wrong with a version, where it is one of the usual slips."""
    if not text:
        return "an empty version"
    numbers = text.split("-")[0].split("+")[0].split(".")
    if all(number.isascii() and number.isdigit() for number in numbers):
        if len(numbers) > 3:
            return f"{len(numbers)} numbers instead of three"
        if len(numbers) < 3:
            return f"{len(numbers)} number{'s' * (len(numbers) > 1)} instead of three{BORNE}"
        if any(len(number) > 1 and number.startswith("0") for number in numbers):
            return f"a number with a leading zero{BORNE}"
    return None
