"""A value of a YAML text is changed, and no other byte is."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scripts.core.errors import ChartError
from scripts.core.yaml_edit import set_value

CHART = """\
# A chart.
apiVersion: v2
name: 'demo'   # kept
version: 1.2.3 # also kept
appVersion: "1.0"

keywords: [a,   b]
annotations:
  # Before it.
  x/changes: |
    - kind: added
      description: One

  # After it.
  x/last: 'true'
dependencies:
- name: other
  version: 9.9.9
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (("version",), "2.0.0-rc.1", "version: 1.2.3 #", "version: 2.0.0-rc.1 #"),
        (("appVersion",), "1.10", 'appVersion: "1.0"', 'appVersion: "1.10"'),
        (("name",), "it's", "name: 'demo'", "name: 'it''s'"),
        (("version",), "1.10", "version: 1.2.3 #", 'version: "1.10" #'),  # unquoted it would be a number
        (("version",), "# no", "version: 1.2.3 #", 'version: "# no" #'),
        (("annotations", "x/last"), "false", "x/last: 'true'", "x/last: 'false'"),
        (
            ("annotations", "x/changes"),
            "- a\n- b\n",
            "x/changes: |\n    - kind: added\n      description: One\n",
            "x/changes: |\n    - a\n    - b\n",
        ),
        (("annotations", "x/changes"), "a\nb", "|\n    - kind: added\n      description: One\n", "|-\n    a\n    b\n"),
        (("annotations", "x/new"), "1", "annotations:\n", 'annotations:\n  x/new: "1"\n'),
        (("annotations", "x/new"), "a\n\nb\n", "annotations:\n", "annotations:\n  x/new: |\n    a\n\n    b\n"),
        (("kubeVersion",), ">=1.28", "version: 9.9.9\n", 'version: 9.9.9\nkubeVersion: ">=1.28"\n'),
        (("home", "page"), "x", "version: 9.9.9\n", "version: 9.9.9\nhome:\n  page: x\n"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_only_the_value_changes(path: tuple[str, ...], value: str, old: str, new: str, line_end: str) -> None:
    text, expected = (t.replace("\n", line_end) for t in (CHART, CHART.replace(old, new)))
    assert CHART.count(old) == 1
    assert set_value(text, path, value, source="Chart.yaml") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a:\nb: c\n", 'a: "1"\nb: c\n'), ("a: \n", 'a: "1" \n'), ("a: # c\n", 'a: "1" # c\n'), ("a:", 'a: "1"')],
)
def test_a_value_that_is_empty(text: str, expected: str) -> None:
    assert set_value(text, ("a",), "1", source="Chart.yaml") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1", 'a: 1\nb:\n  c: "2"\n'),
        ("a: 1\nb:", 'a: 1\nb:\n  c: "2"\n'),
        ("b: # words\na: 1\n", 'b: # words\n  c: "2"\na: 1\n'),
        ("", 'b:\n  c: "2"\n'),
        ("b:\n    d: 1\n", 'b:\n    c: "2"\n    d: 1\n'),
    ],
)
def test_a_missing_parent_is_made(text: str, expected: str) -> None:
    assert set_value(text, ("b", "c"), "2", source="x") == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("b: {c: 1}", "a mapping in flow style"),
        ("b: [1]", "not below a mapping"),
        ("b: text", "not below a mapping"),
        ("b:\n  c: [1]", "more than one value"),
        ("b:\n  c: &it 1\nd: *it\n", "undefined alias"),
        ("b:\n  c: 1\n  c: 2\n", "other lines depend on"),
        ("b: ~\n", "mapping values are not allowed"),
    ],
)
def test_what_cannot_be_changed_alone_is_refused(text: str, found: str) -> None:
    with pytest.raises(ChartError, match=r"Chart.yaml: b.c cannot be changed") as caught:
        set_value(text, ("b", "c"), "2", source="Chart.yaml")
    assert caught.value.found
    assert found in caught.value.found


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), max_size=40))
def test_any_text_can_be_read_back_or_is_refused(value: str) -> None:
    for path in (("version",), ("annotations", "x/changes"), ("annotations", "x/new")):
        try:
            fresh = set_value(CHART, path, value, source="x")
        except ChartError:
            assert "\n" in value or not value.isprintable()  # what a literal block cannot hold
            continue
        content = yaml.safe_load(fresh)
        assert (content if len(path) == 1 else content["annotations"])[path[-1]] == value
        assert content["dependencies"] == [{"name": "other", "version": "9.9.9"}]


@pytest.mark.parametrize(
    "value",
    [
        "=",
        "<<",
        "72225e2",
        "1e3",
        "0o17",
        "0x1F",
        "0b11",
        "1_000",
        "12:30:45",
        "2026-11-25",
        ".5",
        "5.",
        "+1",
        "7",
        "true",
        "no",
        "y",
    ],
)
def test_what_some_reader_takes_for_a_number_is_quoted(value: str) -> None:
    assert set_value("a: b\n", ["a"], value, source="it") == f'a: "{value}"\n'


@pytest.mark.parametrize("value", ["1.2.0", "1.4.0-rc.1", "v1", "1.2.3+b.1", "abc", "1e3x"])
def test_what_nobody_does_is_not(value: str) -> None:
    assert set_value("a: b\n", ["a"], value, source="it") == f"a: {value}\n"
