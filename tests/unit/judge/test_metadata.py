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


def test_another_range_of_what_is_not_packed_is_told() -> None:
    before, after = (
        Side({"name": "x", "version": "1.0.0", "dependencies": [{"name": "s", "version": one}]}, {})
        for one in ("~1.2.0", "^1.2.0")
    )
    told = [(one.level, one.about, one.meaning) for one in judge_metadata(before, after)]
    assert told == [("patch", "Chart.yaml dependencies[s].version", "other versions of it fit")]


def test_one_chart_in_two_versions_is_compared_by_the_entry_that_asks_for_each() -> None:
    def umbrella(*packed: str) -> Side:
        entries = [{"name": "s", "alias": alias, "version": ask} for alias, ask in (("a", "^1"), ("b", "^2"))]
        inside = tuple(Side({"name": "s", "version": one}, {"values.yaml": {"of": one[0]}}) for one in packed)
        return Side({"name": "x", "version": "1.0.0", "dependencies": entries}, {}, dependencies=inside)

    before, after = umbrella("1.2.0", "2.0.0"), umbrella("1.3.0", "2.0.0")
    told = [(one.level, one.about, one.old, one.new) for one in judge_metadata(before, after)]
    assert told == [("minor", "Chart.yaml dependencies[a].version", "1.2.0", "1.3.0")]
    assert {key: one.values for key, one in after.subcharts.items()} == {"a": {"of": "1"}, "b": {"of": "2"}}


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
