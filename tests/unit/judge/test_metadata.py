"""What another Chart.yaml means."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.judge.metadata import judge_metadata
from scripts.judge.side import Side


@pytest.mark.parametrize(("old", "new", "level"), [("v1", "v2", "patch"), ("v2", "v1", "minor")])
def test_the_form_of_the_chart_is_nothing_that_an_installation_notices(old: str, new: str, level: str) -> None:
    before, after = (Side({"name": "x", "version": "1.0.0", "apiVersion": form}, {}) for form in (old, new))
    assert [reason.level for reason in judge_metadata(before, after)] == [level]


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        ({}, {"tags": ["a"]}, "minor"),  # nobody could switch it by them
        ({"tags": ["a"]}, {"tags": ["b"]}, "major"),
        ({}, {"condition": "s.on"}, "minor"),
        ({"condition": "s.on"}, {}, "major"),
        ({"condition": "s.on"}, {"condition": "s.on, global.on"}, "minor"),
        ({"condition": "s.on"}, {"condition": "global.on,s.on"}, "major"),
        ({"condition": "s.on"}, {"condition": " s.on "}, "none"),
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, "none"),
    ],
)
def test_another_switch_of_a_dependency(old: dict[str, Any], new: dict[str, Any], level: str) -> None:
    before, after = (
        Side({"name": "x", "version": "1.0.0", "dependencies": [{"name": "s", "version": "1.0.0", **one}]}, {})
        for one in (old, new)
    )
    assert [reason.level for reason in judge_metadata(before, after)] == [level] * (level != "none")


@pytest.mark.parametrize(
    ("new", "level"),
    [
        (">=1.30.0-0 <1.60.0-0", "minor"),  # none of which is out
        (">=1.30.0-0 <1.33.0-0", "major"),
        (">=1.30.0-0 !=1.33.2", "major"),
        (">= 1.30.0-0", "patch"),
    ],
)
def test_another_kubernetes(new: str, level: str) -> None:
    sides = [Side({"name": "x", "version": "1.0.0", "kubeVersion": one}, {}) for one in (">=1.30.0-0", new)]
    assert [reason.level for reason in judge_metadata(sides[0], sides[1], ("1.33", "1.37"))] == [level]
