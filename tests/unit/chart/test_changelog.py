"""A changelog is read as Keep a Changelog describes it, and its Unreleased becomes a version."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import pytest

from scripts.chart.changelog import (
    Entry,
    kind_of,
    parse,
    plain,
    read_changelog,
    releasable,
    release,
)
from scripts.core.errors import ChangelogError

TEXT = """\
# Changelog

- not an entry: above every version

## [Unreleased]

Words about it.

### Added

- One change
  over two lines.
- Another:
  - with a part
  - and a second

### Fixed
* A bug ([#7](https://example.org/7))

<!--
- a draft
-->
```
- code
```

## [1.1.0] - 2026-01-31 [YANKED]

### Changed

- Old

## 1.0.0 - 2025-12-24

- First

[unreleased]: https://example.org/o/r/compare/v1.1.0...HEAD
[1.1.0]: https://example.org/o/r/compare/v1.0.0...v1.1.0
"""
DAY = datetime.date(2026, 2, 28)


def test_sections_entries_and_lines() -> None:
    found = parse(TEXT)
    assert [(s.version, s.date and s.date.isoformat(), s.line) for s in found.sections] == [
        (None, None, 5),
        ("1.1.0", "2026-01-31", 27),
        ("1.0.0", "2025-12-24", 33),
    ]
    assert found.unreleased is not None
    assert found.unreleased.entries == (
        Entry("added", "One change over two lines.", 11),
        Entry("added", "Another: with a part; and a second", 13),
        Entry("fixed", "A bug ([#7](https://example.org/7))", 18),
    )
    last = found.section("1.0.0")
    assert last is not None
    assert last.entries == (Entry("", "First", 35),)
    assert found.section("9.9.9") is None


@pytest.mark.parametrize(
    "code",
    [
        "````markdown\n```\n## 2.0.0\n- no entry\n````",  # which one at least as long closes
        "~~~ yaml `x`\n```\n## 2.0.0\n~~~~",
        "```\n```yaml\n## 2.0.0\n```",  # and one with nothing after it
        "```helm``` and ```` `x` ```` in a line of their own are no fence",
    ],
)
def test_what_stands_in_code_is_nothing_of_the_changelog(code: str) -> None:
    found = parse(f"## Unreleased\n\n### Added\n\n- One\n\n{code}\n\n## 1.0.0\n\n- Old\n")
    assert [[entry.text for entry in section.entries] for section in found.sections] == [["One"], ["Old"]]
    assert [section.version for section in found.sections] == [None, "1.0.0"]


def test_a_release_moves_the_entries_and_sets_the_links() -> None:
    released = release(TEXT, "1.2.0", DAY, tag="demo-1.2.0")
    assert released.notes == ()
    expected = TEXT.replace("## [Unreleased]\n", "## [Unreleased]\n\n## [1.2.0] - 2026-02-28\n").replace(
        "[unreleased]: https://example.org/o/r/compare/v1.1.0...HEAD\n",
        "[unreleased]: https://example.org/o/r/compare/v1.2.0...HEAD\n"
        "[1.2.0]: https://example.org/o/r/compare/v1.1.0...v1.2.0\n",
    )
    assert released.text == expected
    again = parse(released.text)
    assert again.unreleased is not None
    assert again.unreleased.entries == ()
    moved, before = again.section("1.2.0"), parse(TEXT).unreleased
    assert moved is not None
    assert moved.date == DAY
    assert before is not None
    assert [(e.kind, e.text) for e in moved.entries] == [(e.kind, e.text) for e in before.entries]


@pytest.mark.parametrize(
    "heading",
    [
        *("## [Unreleased] - 2026-02-01", "## Unreleased:", "## **Unreleased**", "## _Unreleased_", "##\t[Unreleased]"),
        *("## [UNRELEASED](https://x)", "\ufeff## [Unreleased]"),
    ],
)
def test_unreleased_as_people_write_it(heading: str) -> None:
    text = f"{heading}\n\n### Added\n\n1. One\n2) Two\n\n---\n\n## **1.0.0** - 2026-01-01\n"
    assert [entry.text for entry in releasable(parse(text)).entries] == ["One", "Two"]
    released = release(text, "1.1.0", datetime.date(2026, 2, 28), tag="demo-1.1.0").text
    assert [section.version for section in parse(released).sections] == [None, "1.1.0", "1.0.0"]


@pytest.mark.parametrize(
    "heading",
    [
        "# Unreleased",
        "### [Unreleased]",
        "##[Unreleased]",
        "Unreleased\n---",
        "## 🚀 Unreleased",
        "## 1.1.0 (unreleased)",
        "## v1.1.0 / Unreleased",
    ],
)
def test_what_is_alike_is_shown_where_unreleased_is_none(heading: str) -> None:
    text = f"# Changelog\n\n{heading}\n\n### Added\n\n- Unreleased\n\n[unreleased]: https://example.org\n"
    with pytest.raises(ChangelogError, match="has no Unreleased section") as told:
        releasable(parse(text))
    assert told.value.found == "line 3: " + heading.partition("\n")[0]


@pytest.mark.parametrize(("text", "found"), [("# C\n\n## [1.0.0] (2024-01-01)\n", "line 3: 1.0.0"), ("", "no version")])
def test_what_stands_first_is_shown_where_nothing_is_alike(text: str, found: str) -> None:
    with pytest.raises(ChangelogError, match="has no Unreleased section") as told:
        releasable(parse(text))
    assert told.value.found == found


def test_an_address_on_a_line_of_its_own_is_words() -> None:
    (entry,) = releasable(parse("## Unreleased\n### Added\n<p>\n- a\n  <https://x.example>\n<br/>\n</p>\n")).entries
    assert entry.text == "a <https://x.example>"


def test_line_ends_stay() -> None:
    windows = TEXT.replace("\n", "\r\n")
    assert release(windows, "1.2.0", DAY, tag="t").text == release(TEXT, "1.2.0", DAY, tag="t").text.replace(
        "\n", "\r\n"
    )


@pytest.mark.parametrize(
    ("link", "unreleased", "own"),
    [
        (
            "https://e.org/o/r/commits/main",
            "https://e.org/o/r/compare/demo-1.0.0...HEAD",
            "https://e.org/o/r/releases/tag/demo-1.0.0",
        ),
        (
            "https://e.org/o/r/compare/first...main",
            "https://e.org/o/r/compare/demo-1.0.0...main",
            "https://e.org/o/r/compare/first...demo-1.0.0",
        ),
        (
            "https://e.org/o/r/compare/chart/0.9.0...HEAD",
            "https://e.org/o/r/compare/chart/1.0.0...HEAD",
            "https://e.org/o/r/compare/chart/0.9.0...chart/1.0.0",
        ),
        (
            "https://e.org/o/r/compare/demo-0.9.0...release/0.9",
            "https://e.org/o/r/compare/demo-1.0.0...release/0.9",
            "https://e.org/o/r/compare/demo-0.9.0...demo-1.0.0",
        ),
        (
            "https://e.org/o/r/commits/release/1.x",
            "https://e.org/o/r/commits/release/1.x",
            "https://e.org/o/r/releases/tag/demo-1.0.0",
        ),
        (
            "https://e.org/o/r/compare/demo-2.3.0...HEAD",
            "https://e.org/o/r/compare/demo-2.3.0...HEAD",
            "https://e.org/o/r/compare/demo-2.3.0...demo-1.0.0",
        ),
        (
            "https://e.org/o/r/compare/demo-0.9.0..HEAD",
            "https://e.org/o/r/compare/demo-1.0.0..HEAD",
            "https://e.org/o/r/compare/demo-0.9.0..demo-1.0.0",
        ),
        (
            "<https://e.org/o/r/compare/demo-0.9.0...HEAD> 'All'",
            "<https://e.org/o/r/compare/demo-1.0.0...HEAD> 'All'",
            "https://e.org/o/r/compare/demo-0.9.0...demo-1.0.0",
        ),
    ],
)
@pytest.mark.parametrize("end", ["\n", ""], ids=["newline", "no-newline"])
def test_the_first_version_and_other_ways_of_linking(link: str, unreleased: str, own: str, end: str) -> None:
    text = f"## [Unreleased]\n\n### Added\n\n- It\n\n[Unreleased]: {link}{end}"
    lines = release(text, "1.0.0", DAY, tag="demo-1.0.0").text.splitlines()
    assert lines[-2:] == [f"[Unreleased]: {unreleased}", f"[1.0.0]: {own}"]


def test_a_changelog_without_links_is_told() -> None:
    link = "\n[unreleased]: https://e.org/projects/P/repos/r/compare/diff?targetBranch=1.2.0&sourceBranch=HEAD\n"
    bitbucket = release(f"## Unreleased\n### Added\n- It\n{link}", "1.0.0", DAY, tag="demo-1.0.0")
    assert bitbucket.text.endswith(link)
    assert "no link is added for 1.0.0" in bitbucket.notes[0]
    released = release("## Unreleased\n### Added\n- It\n", "1.0.0", DAY, tag="demo-1.0.0")
    assert released.text == "## Unreleased\n\n## 1.0.0 - 2026-02-28\n### Added\n- It\n"
    assert "no link is added for 1.0.0" in released.notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Changelog\n", r"C.md has no Unreleased section"),
        ("## [Unreleased]\n\n### Added\n\n## [1.0.0]\n- x\n", r"C.md:1: nothing stands under Unreleased"),
        ("## [Unreleased]\n<!--\n- x\n-->\n", r"C.md:1: nothing stands under Unreleased"),
        ("## [Unreleased]\n- x\n", r"C.md:2: the entry stands under no kind"),
        ("## [Unreleased]\n### Nonsense\n- x\n", r"C.md:3: the entry stands under no kind"),
        ("## [Unreleased]\n## [2.0.0-rc.1]\n- x\n", r"C.md:3: the entry stands under no kind"),
    ],
)
def test_what_cannot_be_released_is_refused(text: str, message: str) -> None:
    with pytest.raises(ChangelogError, match=message) as caught:
        releasable(parse(text, "C.md"), "2.0.0")
    assert caught.value.expected
    with pytest.raises(ChangelogError, match=message):
        release(text, "2.0.0", DAY, tag="t", source="C.md")


def test_a_version_is_released_once() -> None:
    with pytest.raises(ChangelogError, match=r"C.md:27: 1.1.0 has a section already"):
        release(TEXT, "1.1.0", DAY, tag="t", source="C.md")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("## [1.0.0] - 2026-02-30\n", r"C.md:1: 2026-02-30 is no date"),
        ("## [1.0.0]\n\n## 1.0.0\n", r"C.md:3: 1.0.0 has a section already"),
        ("## Unreleased\n## [unreleased]\n", r"C.md:2: Unreleased has a section already"),
        ("## Unreleased\n## 1.0.0\n## 1.0.0\n", r"C.md:3: 1.0.0 has a section already"),
    ],
)
def test_a_broken_changelog_is_refused_by_line(text: str, message: str) -> None:
    with pytest.raises(ChangelogError, match=message):
        parse(text, "C.md")


def test_files(tmp_path: Path) -> None:
    assert read_changelog(tmp_path / "none.md") is None
    (tmp_path / "bytes.md").write_bytes(b"## [Unreleased]\n\xff")
    with pytest.raises(ChangelogError, match=r"bytes.md cannot be read") as caught:
        read_changelog(tmp_path / "bytes.md")
    assert caught.value.found == "text that is not UTF-8"
    with pytest.raises(ChangelogError, match="cannot be read"):
        read_changelog(tmp_path)


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("A [link](https://e.org) and [another][ref]", "A link and another"),
        ("**Bold** and __strong__ and `code_with_marks`", "Bold and strong and `code_with_marks`"),
        ("two\n  lines", "two lines"),
        ("`**kwargs**`, `a[0](b)` and ``__x` y__``", "`**kwargs**`, `a[0](b)` and ``__x` y__``"),
        ("**a `__b__`** [`c[d](e)`](https://e.org)", "a `__b__` `c[d](e)`"),
        ("a ` b **c**", "a ` b c"),
        ("2 * 3 ** 4", "2 * 3 ** 4"),
        ("a <!-- for us --> b `<!-- c -->`", "a b `<!-- c -->`"),
    ],
)
def test_plain_words(markdown: str, expected: str) -> None:
    assert plain(markdown) == expected


CANDIDATES = """\
# Changelog

## [Unreleased]

### Fixed

- Three
  in two lines

## [2.0.0] - 2026-02-01

### Added

- Of another line

## [1.3.0-rc.2] - 2026-01-03

### Fixed

- Three
  in two lines

### Added

- Two

## [1.3.0-rc.1] - 2026-01-02

### Added

- One

## [1.2.0] - 2026-01-01

### Added

- Zero

[unreleased]: https://e.org/o/r/compare/v1.3.0-rc.2...HEAD
[1.3.0-rc.2]: https://e.org/o/r/compare/v1.3.0-rc.1...v1.3.0-rc.2
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("unreleased", ["### Fixed\n\n- Three\n  in two lines\n\n", ""], ids=["more", "nothing new"])
def test_a_promotion_gathers_what_its_candidates_brought(unreleased: str, end: str) -> None:
    text = CANDIDATES.replace("### Fixed\n\n- Three\n  in two lines\n\n", unreleased, 1).replace("\n", end)
    released = release(text, "1.3.0", DAY, tag="v1.3.0").text
    wanted = (
        "## [Unreleased]\n\n## [1.3.0] - 2026-02-28\n\n### Added\n\n- One\n- Two\n\n### Fixed\n\n"
        "- Three\n  in two lines\n\n## [2.0.0]"
    )
    assert wanted.replace("\n", end) in released
    assert "[1.3.0]: https://e.org/o/r/compare/v1.2.0...v1.3.0" in released
    assert released.count("- One") == 2  # the candidate keeps its own
    found = [(entry.kind, entry.text) for entry in releasable(parse(text), "1.3.0").entries]
    assert found == [("added", "One"), ("fixed", "Three in two lines"), ("added", "Two")]


def test_nothing_that_stands_under_unreleased_is_lost_when_candidates_are_gathered() -> None:
    text = CANDIDATES.replace("### Fixed\n", "Needs 1.30.\n\nIn **two** steps.\n\n### Fixed\n", 1)
    text = text.replace("## [1.3.0-rc.1] - 2026-01-02\n", "## [1.3.0-rc.1] - 2026-01-02\n\nTry it.\n")
    wanted = "## [1.3.0] - 2026-02-28\n\nNeeds 1.30.\n\nIn **two** steps.\n\n### Added\n\n- One\n- Two\n\n### Fixed\n"
    assert wanted in release(text, "1.3.0", DAY, tag="v1.3.0").text
    bold = text.replace("### Fixed", "**Fixed:**").replace("### Added", "**Added**")
    assert wanted in release(bold, "1.3.0", DAY, tag="v1.3.0").text


def test_code_is_gathered_as_it_stands() -> None:
    first, second = (f"- {word}:\n```yaml\n- name: x\n- {word}\n```\n" for word in ("One", "Two"))
    text = f"## Unreleased\n\n### Added\n\n{second}\n## 1.3.0-rc.1\n\n### Added\n\n{first}"
    assert f"### Added\n\n{first}{second}\n" in release(text, "1.3.0", DAY, tag="v1.3.0").text


def test_a_long_changelog_takes_as_long_as_it_is() -> None:
    many, begin = "- a\n" * 5000, time.process_time()
    history = f"# C\n\n## [Unreleased]\n\n### Added\n\n{many}\n## [1.3.0-rc.1]\n\n### Added\n\n{many}"
    assert release(history, "1.3.0", DAY, tag="v1.3.0").text.count("- a\n") == 5001  # the candidate's, and ours once
    assert time.process_time() - begin < 2  # seconds; it was forty


def test_a_candidate_has_its_own_entries_alone() -> None:
    released = release(CANDIDATES, "1.3.0-rc.3", DAY, tag="v1.3.0-rc.3").text
    assert "## [1.3.0-rc.3] - 2026-02-28\n\n### Fixed\n\n- Three\n  in two lines\n\n## [2.0.0]" in released
    assert "[1.3.0-rc.3]: https://e.org/o/r/compare/v1.3.0-rc.2...v1.3.0-rc.3\n" in released
    empty = CANDIDATES.replace("### Fixed\n\n- Three\n  in two lines\n\n", "", 1)
    with pytest.raises(ChangelogError, match="nothing stands under Unreleased"):
        release(empty, "1.3.0-rc.3", DAY, tag="v1.3.0-rc.3")
    with pytest.raises(ChangelogError, match="nothing stands under Unreleased"):
        release(empty, "1.4.0", DAY, tag="v1.4.0")


@pytest.mark.parametrize(
    "heading", ["⚙️ Miscellaneous Tasks", "🎨 Styling", "🧪 Testing", "◀️ Revert", "💼 Other", "Continuous Integration"]
)
def test_a_generators_further_headings_are_kinds_of_change(heading: str) -> None:
    assert kind_of(heading) == "changed"


@pytest.mark.parametrize(
    ("text", "version", "date", "entry"),
    [
        (
            "## [1.2.0](https://x/compare/v1.1.1...v1.2.0) (2024-05-02)\n\n### Features\n\n* a",
            "1.2.0",
            "2024-05-02",
            "added",
        ),
        ("### [1.1.1](https://x) (2024-05-01)\n\n\n### Bug Fixes\n\n* a", "1.1.1", "2024-05-01", "fixed"),
        ("# [2.0.0](https://x) (2024-04-30)\n\n### ⚠ BREAKING CHANGES\n\n* a", "2.0.0", "2024-04-30", "changed"),
        ("# v1.0.1 (Mon Jan 15 2024)\n\n#### 🐛 Bug Fix\n\n- a", "1.0.1", "2024-01-15", "fixed"),
        ("## 1.0.0\n\n### Minor Changes\n\n- a", "1.0.0", None, "added"),
        ("## [v0.9.0](https://x) (2019-01-01)\n\n**Fixed bugs:**\n\n- a", "0.9.0", "2019-01-01", "fixed"),
        ("## [0.8.0] - 2019-01-01\n\n### 🚀 Features\n\n- a", "0.8.0", "2019-01-01", "added"),
        ("## <small>0.7.1 (2018-08-18)</small>\n\n* a", "0.7.1", "2018-08-18", ""),
        ("## <small>0.7.0</small>\n\n* a", "0.7.0", None, ""),
        ("## [a-b-0.6.0](https://x)\n\n> 2017-01-01\n\n### Features\n\n* a", "0.6.0", None, "added"),
        ("## @a/b@0.5.1\n\n### :bug: Bug Fixes\n\n* a", "0.5.1", None, "fixed"),
        ("## a/v0.5.0, 2016-02-03\n\n### Added {#added}\n\n* a", "0.5.0", "2016-02-03", "added"),
        ("## Version 0.4.1 (2016-02-02)\n\n### Added <!-- 1 -->\n\n* a", "0.4.1", "2016-02-02", "added"),
        ("## **[0.4.0]** - 2016-02-01\n\n### Added\n\n<details>\n\n* a\n\n</details>", "0.4.0", "2016-02-01", "added"),
    ],
    ids=[
        "release-please",
        "standard-version",
        "semantic-release",
        "auto",
        "changesets",
        "github",
        "git-cliff",
        "conventional-changelog",
        "without a day",
        "git-chglog",
        "changesets of several",
        "tags in folders",
        "in words",
        "folded",
    ],
)
def test_what_generators_write_is_read(text: str, version: str, date: str | None, entry: str) -> None:
    (section,) = parse(f"# Changelog\n\n{text}\n").sections
    assert (section.version, section.date and section.date.isoformat()) == (version, date)
    assert [(one.kind, one.text) for one in section.entries] == [(entry, "a")]


def test_a_paragraph_below_the_entries_is_none_of_their_words() -> None:
    text = (
        "## [Unreleased]\n\n### Added\n\n- One\nand its lazy end\n\n  with more\n- Two\n\nThanks\nto all\n\n* Three\n\n"
        '**Full Changelog**: https://e.org/o/r/compare/v1...v2\n\n<a name="1.0.0"></a>\n## [1.0.0]\n'
    )
    texts = [entry.text for entry in parse(text).sections[0].entries]
    assert texts == ["One and its lazy end with more", "Two", "Three"]


def test_of_an_old_version_that_stands_twice_the_first_section_counts() -> None:
    changelog = parse("## [2.0.0]\n## [1.0.0]\n\n- first\n\n## [1.0.0]\n\n- second\n", "C.md")
    section = changelog.section("1.0.0")
    assert section is not None
    assert [entry.text for entry in section.entries] == ["first"]
