"""A verdict in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.judge.reason import Reason
from scripts.judge.verdict import Verdict, briefs
from scripts.judge.words import lines, markdown

REASONS = (
    Reason("major", "Service/a spec.ports[http].port", 80, 81, "clients reach nothing", "values-prod.yaml for 1.30"),
    Reason("minor", "values a|b", None, "<b>*x*</b>\n`y`", "a new setting"),
)
VERDICT = Verdict("demo", "0.2.0", "0.2.0", "0.2.1", "major", "minor", REASONS, ("a note",))


def test_for_a_terminal() -> None:
    assert lines(VERDICT) == [
        "major:",
        "  Service/a spec.ports[http].port: 80 -> 81: clients reach nothing (with values-prod.yaml for 1.30)",
        "minor:",
        '  values a|b: (absent) -> "<b>*x*</b>\\n`y`": a new setting',
        "note: a note",
        "demo 0.2.0 -> 0.2.1: major (2 reasons) as of 1.0; in 0.2.0 that is the minor part; "
        "the version is raised by its patch part only",
    ]


def test_a_version_that_is_lowered_is_not_raised() -> None:
    assert replace(VERDICT, current="0.1.9").summary().endswith("; the version is not raised")
    assert replace(VERDICT, current="0.2.0").summary().endswith("; the version is not raised yet")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (f"^{'a' * 90}b$", f"^{'a' * 90}c$", f"...{'a' * 20}b$ -> ...{'a' * 20}c$"),
        ({"pattern": "a" * 90}, {"pattern": "a" * 99}, f'...{"a" * 20}"}} -> ...{"a" * 29}"}}'),
        (80, "80", '80 -> "80"'),
        ("***", "***", "*** -> ***"),  # a secret
        ("a" * 90, "b" * 90, f"{'a' * 77}... -> {'b' * 77}..."),
    ],
)
def test_what_differs_does_not_read_alike(old: object, new: object, told: str) -> None:
    assert " -> ".join(briefs(old, new)) == told


def test_markdown_shows_text_as_it_is() -> None:
    page = markdown(VERDICT)
    row = next(line for line in page.splitlines() if "values a" in line)
    assert row.count("|") == 5
    assert not {"<b>", "*x*", "`y`"} & set(row.split())
    assert "&lt;b&gt;" in row


def test_markdown_fits_into_a_comment() -> None:
    many = tuple(replace(REASONS[0], about=f"Service/{number} " + "x" * 90) for number in range(2000))
    page = markdown(replace(VERDICT, reasons=many))
    assert len(page) < 65_536
    assert "do not fit" in page


def test_json_has_what_is_promised() -> None:
    record = VERDICT.record()
    assert {key: record[key] for key in ("level", "part", "from")} == {
        "level": "major",
        "part": "minor",
        "from": "0.2.0",
    }
    assert all({"level", "about", "old", "new", "meaning"} <= reason.keys() for reason in record["reasons"])
