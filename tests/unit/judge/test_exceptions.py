"""What the changelog says of reasons that count as another level."""

from __future__ import annotations

import pytest

from scripts.chart.changelog import parse
from scripts.core.errors import ChangelogError
from scripts.judge.exceptions import exempted, read_exceptions
from scripts.judge.reason import Reason

HEAD = "# Changelog\n\n## [Unreleased]\n\n### Changed\n\n"
OLDER = "\n## [1.1.0] - 2026-01-02\n\n### Changed\n\n- y. Counts as patch: `Old/x`, because it is so.\n"
REASON = Reason("major", "Service/a spec.ports[http].port", 80, 81, "clients reach nothing")


def read(entry: str, above: str = "1.1.0") -> tuple[object, ...]:
    return read_exceptions(parse(f"{HEAD}{entry}\n{OLDER}"), above=above)


def test_an_exception_changes_the_level_and_says_why() -> None:
    found = read_exceptions(
        parse(HEAD + "- The port. Counts as minor: `Service/a spec.ports[http].port`, because\n  nobody calls it.\n"),
        above="1.0.0",
    )
    reasons, notes = exempted([REASON], found)
    assert (reasons[0].level, notes) == ("minor", [])
    assert "because nobody calls it" in reasons[0].meaning


def test_a_star_stands_for_anything_and_an_unused_exception_is_noted() -> None:
    found = read_exceptions(
        parse(HEAD + "- x. Counts as patch: `Service/a *` and `Job/b`, since both are ours.\n"), above="1.0.0"
    )
    reasons, (note,) = exempted([REASON], found)
    assert reasons[0].level == "patch"
    assert "Job/b" in note


def test_one_entry_may_say_it_of_several_levels() -> None:
    said = "- x. Counts as patch: `Service/a *`, because of c. Counts as minor: `Job/b`, since it is ours.\n"
    found = read_exceptions(parse(HEAD + said), above="1.0.0")
    assert [(one.level, one.about, one.why) for one in found] == [
        ("patch", "Service/a *", "of c."),
        ("minor", "Job/b", "it is ours."),
    ]


def test_only_what_is_newer_is_read() -> None:
    assert read("- x") == ()
    assert read('- An empty list counts as unset, and "Counts as" may stand in words.') == ()
    assert len(read("- x", above="1.0.0")) == 1


@pytest.mark.parametrize(
    "entry",
    [
        "- x. Counts as tiny: `a`, because of b.",
        "- x. Counts as patch: a, because of b.",
        "- x. Counts as patch: `a`.",
        "- x. Counts as a patch: `a`, because of b.",
        "- x. Counts as patch: `a`, because",
        "- x. Counts as patch: `a`, because of b. Counts as tiny: `c`, because of d.",
    ],
)
def test_another_form_is_refused_by_its_line(entry: str) -> None:
    with pytest.raises(ChangelogError, match=r"CHANGELOG\.md:7:"):
        read(entry)
