"""Versions are semver, rise by their parts, and are compared by precedence."""

from __future__ import annotations

import pytest

from scripts.core.errors import USAGE, PartError, VersionError
from scripts.core.semver import bump, highest, in_line, is_semver, parse, tag_name


@pytest.mark.parametrize(
    ("version", "part", "expected"),
    [
        ("1.2.3", "major", "2.0.0"),
        ("1.2.3", "minor", "1.3.0"),
        ("1.2.3", "patch", "1.2.4"),
        ("0.1.0", "minor", "0.2.0"),
        ("1.2.3", "prerelease", "1.2.4-rc.1"),
        ("1.2.4-rc.1", "prerelease", "1.2.4-rc.2"),
        ("1.2.4-rc.9", "prerelease", "1.2.4-rc.10"),
        ("1.2.4-beta.1", "prerelease", "1.2.4-beta.2"),
        ("1.2.4-beta", "prerelease", "1.2.4-beta.0"),
        ("1.2.4-rc.2", "patch", "1.2.4"),
        ("1.3.0-rc.2", "minor", "1.3.0"),
        ("2.0.0-rc.2", "major", "2.0.0"),
        ("1.3.1-rc.2", "minor", "1.4.0"),
        ("1.3.0-rc.2", "major", "2.0.0"),
        ("1.2.3+build.5", "patch", "1.2.4"),
        ("v1.2.3", "minor", "v1.3.0"),
        ("v1.2.4-rc.1", "prerelease", "v1.2.4-rc.2"),
        ("1.2.4-rc1", "prerelease", "1.2.4-rc2"),
        ("1.2.4-rc9", "prerelease", "1.2.4-rc9.1"),  # rc10 is below rc9
        ("1.2.4-beta-99+b", "prerelease", "1.2.4-beta-99.1"),
        ("1.2.4-9", "prerelease", "1.2.4-10"),
    ],
)
def test_a_part_is_raised(version: str, part: str, expected: str) -> None:
    assert bump(version, part) == expected
    assert parse(expected) > parse(version)


@pytest.mark.parametrize("part", ["", "Minor", "1.2.3", "pre"])
def test_an_unknown_part_is_refused(part: str) -> None:
    with pytest.raises(VersionError, match="not a part") as caught:
        bump("1.2.3", part)
    assert caught.value.expected == "major | minor | patch | prerelease, for version-bump also auto"


BORNE = ": helm packs it, and passes over it where it looks for the newest version in a registry"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "an empty version"),
        ("V1.2.3", None),
        ("1.16-SNAPSHOT", f"2 numbers instead of three{BORNE}"),
        ("1", f"1 number instead of three{BORNE}"),
        ("1.2.3.4", "4 numbers instead of three"),
        ("1.02.3", f"a number with a leading zero{BORNE}"),
        ("1.2.x", None),
        ("1.2.3-", None),
        ("1.2.3-01", None),
        ("1.2.3 ", None),
        ("latest", None),
    ],
)
def test_what_is_no_semver_is_refused_with_the_slip(text: str, found: str | None) -> None:
    with pytest.raises(VersionError, match=r"Chart.yaml:5: version: .* is not a semantic version") as caught:
        parse(text, "Chart.yaml:5: version")
    assert caught.value.found == found
    assert not is_semver(text)


def test_the_highest_is_by_precedence_and_passes_over_other_words() -> None:
    assert highest(["1.9.0", "1.10.0", "latest", "1.10.0-rc.1", "v2"]) == "1.10.0"
    assert highest(["1.0.0-rc.2", "1.0.0-rc.10"]) == "1.0.0-rc.10"
    assert highest(["latest"]) is None
    assert highest(()) is None


def test_a_tag_names_the_chart() -> None:
    assert tag_name("gati", "1.2.3") == "gati-1.2.3"


@pytest.mark.parametrize(
    ("version", "part", "pre", "expected"),
    [
        ("0.3.2", "minor", "rc", "0.4.0-rc.1"),
        ("0.3.2", "patch", "beta", "0.3.3-beta.1"),
        ("0.3.2", "major", "rc", "1.0.0-rc.1"),
        ("0.3.2", "prerelease", "beta", "0.3.3-beta.1"),
        ("0.4.0-rc.1", "minor", "rc", "0.4.0-rc.2"),
        ("0.4.0-rc1", "prerelease", "rc", "0.4.0-rc2"),
        ("0.4.0-alpha.3", "prerelease", "beta", "0.4.0-beta.1"),
        ("0.4.0-alpha.3", "minor", "beta", "0.4.0-beta.1"),
        ("0.4.0-rc.1", "major", "rc", "1.0.0-rc.1"),
    ],
)
def test_a_candidate_is_opened_and_raised(version: str, part: str, pre: str, expected: str) -> None:
    assert bump(version, part, pre=pre) == expected
    assert parse(expected) > parse(version)


@pytest.mark.parametrize("pre", ["", "1", "rc.1", "rc 1", "-", "r\u00e7"])
def test_a_word_that_names_no_candidate_is_refused(pre: str) -> None:
    with pytest.raises(PartError, match="cannot name a pre-release") as caught:
        bump("1.2.3", "minor", pre=pre)
    assert caught.value.code == USAGE


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("0.3.2", "0.3.3", {"0.3.2", "0.3.9"}),
        ("0.3.2", "0.4.0", {"0.3.2", "0.3.9", "0.4.0-rc.1", "0.5.0"}),
        ("0.5.0", "1.0.0", {"0.3.2", "0.3.9", "0.4.0-rc.1", "0.5.0", "1.2.0"}),
        ("0.4.0-rc.1", "0.4.0", {"0.4.0-rc.1"}),
    ],
)
def test_a_line_is_as_wide_as_the_step(old: str, new: str, expected: set[str]) -> None:
    assert set(in_line(["0.3.2", "0.3.9", "0.4.0-rc.1", "0.5.0", "1.2.0", "latest"], old, new)) == expected
