"""Parses, compares and raises semantic versions, and names the git tag of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from scripts.core.errors import VersionError

if TYPE_CHECKING:
    from semver import Version

PARTS = ("major", "minor", "patch", "prerelease")
_TOKEN = "rc"  # noqa: S105 - the word before a pre-release's number


def parse(text: str, where: str = "") -> Version:
    """`text` as a semantic version (https://semver.org/spec/v2.0.0.html). Raises VersionError, naming `where`."""
    from semver import Version

    try:
        return Version.parse(text)
    except (ValueError, TypeError):
        raise VersionError(
            f"{where + ': ' if where else ''}{text!r} is not a semantic version",
            expected="MAJOR.MINOR.PATCH, such as 1.4.0, 1.4.0-rc.1 or 1.4.0+build.5",
            found=_flaw(text),
        ) from None


def is_semver(text: str) -> bool:
    """True when `text` is a semantic version."""
    try:
        parse(text)
    except VersionError:
        return False
    return True


def bump(version: str, part: str) -> str:
    """The version after `version` when `part` is raised; build metadata is dropped.

    A pre-release is finished by the part that it was opened for: patch of 1.4.1-rc.2 is 1.4.1, minor of
    1.4.0-rc.2 is 1.4.0, major of 2.0.0-rc.2 is 2.0.0. prerelease of 1.4.0 is 1.4.1-rc.1 and of 1.4.1-rc.1 is
    1.4.1-rc.2; another word than rc is kept. Raises VersionError for a version or a part there is not.
    """
    if part not in PARTS:
        raise VersionError(f"{part!r} is not a part of a version", expected=" | ".join(PARTS))
    current = parse(version)
    if part == "prerelease" and current.prerelease:
        return str(current.bump_prerelease())
    return str(current.next_version(part, prerelease_token=_TOKEN))


def highest(versions: Iterable[str]) -> str | None:
    """The highest of `versions` by semver precedence; words that are no versions are passed over."""
    return max((text for text in versions if is_semver(text)), key=parse, default=None)


def tag_name(chart: str, version: str) -> str:
    """The git tag of a chart's version; one repository can hold several charts."""
    return f"{chart}-{version}"


def _flaw(text: str) -> str | None:
    """What is wrong, where it is one of the usual slips."""
    if not text:
        return "an empty version"
    if text[0] in "vV" and text[1:2].isdigit():
        return "a leading v, which belongs to git tags"
    numbers = text.split("-")[0].split("+")[0].split(".")
    if all(number.isascii() and number.isdigit() for number in numbers):
        if len(numbers) != 3:
            return f"{len(numbers)} number{'s' if len(numbers) > 1 else ''} instead of three"
        if any(len(number) > 1 and number.startswith("0") for number in numbers):
            return "a number with a leading zero"
    return None
