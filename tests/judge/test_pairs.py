"""Ten steps of well-known kinds get the verdict that is argued for them."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.judge.reason import suffices
from scripts.judge.verdict import line
from tests.judge.pairs import PAIRS, Pair, State


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_step_gets_the_level_that_is_argued_for(pair: Pair) -> None:
    verdict = pair.judge()
    told = "\n".join(f"{reason.level}: {line(reason)}" for reason in verdict.reasons)
    assert (verdict.level, verdict.part) == (pair.level, pair.part), told
    deciding = [reason.about for reason in verdict.reasons if reason.level == pair.level]
    assert any(about.startswith(pair.about) for about in deciding), told
    assert verdict.enough == suffices(pair.old.version, pair.new.version, verdict.part)


def test_what_those_steps_did_was_not_always_said_by_their_numbers() -> None:
    assert [pair.name for pair in PAIRS if not pair.judge().enough] == [
        "a queue: the volume grows in its template",
        "a cache: the chart's version in a claim's labels",
        "a certificate manager: a switch renamed",
    ]


@pytest.mark.parametrize("known", [None, {"type": "object"}], ids=["no schema", "a schema without the key"])
@pytest.mark.parametrize(
    ("value", "schema", "level"),
    [
        (1, {"type": "integer"}, "major"),
        (1, {}, "minor"),
        ({"b": 1}, {"type": "object"}, "minor"),
        ({"b": 1}, {"type": "object", "properties": {"b": {"type": "integer"}}}, "major"),
        ({"b": 1}, {"type": "object", "properties": {"c": {"type": "integer"}}}, "minor"),
    ],
)
def test_a_key_that_is_checked_from_now_on(known: Any, value: Any, schema: Any, level: str) -> None:
    after = {"type": "object", "properties": {"a": schema}}
    sides = State("1.0.0", "", {"a": value}, known), State("2.0.0", "", {"a": value}, after)
    found = Pair("", "", "", "", "", *sides).judge().level
    assert (found == "major") is (level == "major")


_READS = (
    "{{ .Values.image }} {{ with .Values.list }}{{ toYaml . }}{{ end }} {{ .Values.port }} {{ if .Values.on }}{{ end }}"
)
_HELPER = '{{ define "h" }}{{ %s }}{{ range .more }}{{ end }}{{ end }}{{ include "h" .Values.list }}' + _READS
_HAS = {"image": "a", "list": [], "port": 80, "on": True}


@pytest.mark.parametrize(
    ("values", "templates", "level"),
    [
        ({"list": {}}, _READS, "patch"),  # who sets it as before gets what he got
        ({"list": {}}, _READS.replace("with .Values.list", "range $k, $v := .Values.list"), "major"),
        ({"list": {}}, _HELPER % "range $k, $v := .", "major"),
        ({"list": {}}, _HELPER % "with .", "patch"),  # where the helper goes over it is the same
        ({"list": {"a": 1}}, _READS, "major"),
        ({"list": ["a"]}, _READS, "minor"),
        ({"port": ""}, _READS, "minor"),
    ],
)
def test_a_default_of_another_shape(values: dict[str, Any], templates: str, level: str) -> None:
    before = _HELPER % "with ." if "include" in templates else _READS
    sides = State("1.0.0", "", _HAS, templates=before), State("2.0.0", "", {**_HAS, **values}, templates=templates)
    assert Pair("", "", "", "", "", *sides).judge().level == level


def test_what_stands_in_a_comment_is_not_read() -> None:
    comment = _READS.replace("{{ .Values.port }}", "{{- /*\nport: {{ .Values.port }}\n*/}}")
    has = {key: value for key, value in _HAS.items() if key != "port"}
    sides = State("1.0.0", "", _HAS, templates=_READS), State("2.0.0", "", has, templates=comment)
    assert Pair("", "", "", "", "", *sides).judge().level == "major"


def test_items_of_another_shape() -> None:
    sides = (State(version, "", {"hosts": hosts}) for version, hosts in (("1.0.0", ["a"]), ("2.0.0", [{"host": "a"}])))
    assert Pair("", "", "", "", "", *sides).judge().level == "major"


@pytest.mark.parametrize(
    ("key", "level"),
    [
        ("port", "patch"),  # without it the old templates gave nothing that works
        ("on", "major"),  # they ask for it
        ("list", "major"),
        ("other", "major"),  # nobody knows who reads it
    ],
)
def test_a_key_with_a_default_that_is_required_from_now_on(key: str, level: str) -> None:
    values = {**_HAS, "other": 1}
    schema = {"type": "object", "properties": {name: {} for name in values}}
    sides = (
        State("1.0.0", "", values, schema, templates=_READS),
        State("2.0.0", "", values, {**schema, "required": [key]}, templates=_READS),
    )
    assert Pair("", "", "", "", "", *sides).judge().level == level
