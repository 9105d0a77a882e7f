"""Levels, parts, and how far versions are apart."""

from __future__ import annotations

import pytest

from scripts.judge.images import judge_image
from scripts.judge.reason import (
    Level,
    bears,
    highest,
    raised_part,
    required_part,
    suffices,
    told_once,
    version_level,
)


@pytest.mark.parametrize(
    ("version", "level", "part"),
    [
        ("1.2.3", "major", "major"),
        ("1.2.3", "minor", "minor"),
        ("0.2.3", "major", "minor"),
        ("0.2.3", "minor", "patch"),
        ("0.2.3", "patch", "patch"),
        ("0.0.3", "major", "patch"),
        ("0.2.3", "none", "none"),
    ],
)
def test_the_part_to_raise(version: str, level: str, part: str) -> None:
    assert required_part(version, level) == part  # type: ignore[arg-type]
    assert required_part(version, level, initial=False) == level  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "needed", "enough"),
    [
        ("1.2.3", "1.2.4", "patch", True),
        ("1.2.3", "1.2.4", "minor", False),
        ("1.2.3", "2.0.0", "minor", True),
        ("1.2.3", "1.2.3", "none", True),
        ("1.2.3", "1.2.3", "patch", False),
        ("1.2.3", "1.3.0-rc.1", "minor", True),
        ("2.0.0-rc.1", "2.0.0-rc.2", "major", True),
        ("2.0.0-rc.1", "2.0.0", "major", True),
        ("2.1.1-rc.1", "2.1.1", "minor", False),
        ("1.2.3", "1.2.2", "patch", False),
    ],
)
def test_a_step_is_enough_or_not(old: str, new: str, needed: str, enough: bool) -> None:
    assert suffices(old, new, needed) is enough  # type: ignore[arg-type]


def test_what_is_raised() -> None:
    assert [raised_part("1.2.3", to) for to in ("2.0.0", "1.3.0", "1.2.4", "1.2.3", "1.2.2")] == [
        "major",
        "minor",
        "patch",
        "none",
        "none",
    ]


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        ("1.0.0", "1.0.1", "patch"),
        ("v1.0.0", "1.1.0", "minor"),
        ("15-alpine", "16-alpine", "major"),
        ("15.2", "15.3", "minor"),
        ("0.4.1", "0.5.0", "major"),
        ("1.2.0", "1.1.0", "major"),
        ("1.2.1", "1.2.0", "patch"),
        ("1.2.0", "1.2.0-alpine", "patch"),
        ("latest", "stable", "minor"),
        ("2601", "2602", "minor"),  # a date, or the number of a build
        ("2024.12.1", "2025.1.0", "minor"),  # another year breaks nothing by itself
        ("2025.1.0", "2025.1.1", "patch"),
        (None, "1.0.0", "minor"),
    ],
)
def test_versions_of_something_else(old: str | None, new: str | None, level: str) -> None:
    assert version_level(old, new) == level


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        ("a/b:1.0.0", "a/b:2.0.0", "major"),
        ("a/b:1.0.0", "a/b:1.0.0@sha256:00", "patch"),
        ("a/b:1.0.0@sha256:00", "a/b:1.0.0@sha256:11", "patch"),
        ("host:5000/a/b:1.0.0", "other/a/b:1.0.0", "minor"),
        ("a/b@sha256:00", "a/b:1.0.0", "minor"),
    ],
)
def test_images(old: str, new: str, level: str) -> None:
    assert judge_image(old, new)[0] == level


@pytest.mark.parametrize(
    ("levels", "level"),
    [([], "none"), (["none", "patch"], "patch"), (["minor", "major", "patch"], "major"), (["minor", "none"], "minor")],
)
def test_the_highest_is_the_one_that_breaks_most(levels: list[Level], level: Level) -> None:
    assert highest(levels) == level


@pytest.mark.parametrize(
    ("old", "new", "alike"),
    [
        ("https://x/v1.2.0/a", "https://x/v1.3.0/a", True),
        ("https://x/v1.2.0/a", "https://y/v1.3.0/a", False),
        ("11.2.0", "11.3.0", False),
        ("a", "b", False),
        (1, 2, False),
    ],
)
def test_texts_that_differ_by_a_version_alone(old: object, new: object, alike: bool) -> None:
    assert bears(old, new, [("1.2.0", "1.3.0")]) is alike


def test_many_of_the_same_are_told_once() -> None:
    few, many = ["a1", "b1", "a2", "a3"], ["a1", "b1", "a2", "a3", "a4"]
    assert [*told_once(few, lambda word: word[0])] == [("a1", 0), ("a2", 0), ("a3", 0), ("b1", 0)]
    assert [*told_once(many, lambda word: word[0])] == [("a1", 3), ("b1", 0)]
