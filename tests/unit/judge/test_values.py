"""What another default in values.yaml means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scripts.judge.side import Side
from scripts.judge.values import judge_values


def side(version: str, values: dict[str, Any], schema: dict[str, Any] | None = None) -> Side:
    return Side({"name": "x", "version": version, "appVersion": f"v{version}"}, {"values.yaml": values}, schema)


@pytest.mark.parametrize(
    ("key", "old", "new", "level"),
    [
        ("digest", f"sha256:{'0' * 64}", f"sha256:{'1' * 64}", "patch"),
        ("digestChroot", f"sha256:{'0' * 64}", f"sha256:{'1' * 64}", "patch"),
        ("digestChroot", "", f"sha256:{'1' * 64}", "minor"),
        ("tag", f"sha256:{'0' * 64}", f"sha256:{'1' * 64}", "patch"),
        ("tag", f"v1.8.7@sha256:{'0' * 64}", f"v1.8.8@sha256:{'1' * 64}", "patch"),
        ("tag", f"v1.8.7@sha256:{'0' * 64}", f"v2.0.0@sha256:{'1' * 64}", "major"),
        ("image", {"version": "v1.8.7"}, {"version": "v1.8.8"}, "patch"),
        ("chart", {"version": "v1.8.7"}, {"version": "v1.8.8"}, "minor"),
        ("crVersion", "1.2.0", "1.2.1", "patch"),
        ("files", "https://host/v1.2.0/", "https://host/v1.2.1/", "patch"),
        ("files", "https://host/v1.2.0/", "https://other/v1.2.1/", "minor"),
        ("reloaderImage", "x/reloader:v0.8.1", "x/reloader:v0.8.2", "patch"),
        ("reloaderImage", "x/reloader:v1.8.1", "x/reloader:v1.9.0", "minor"),
        ("reloaderImage", f"x/r:v0.8.1@sha512:{'0' * 128}", f"x/r:v0.8.2@sha512:{'1' * 128}", "patch"),
        ("reloaderImage", "reloader", "other", "minor"),
        ("repository", "x/reloader", "docker.io/x/reloader", "patch"),
        ("repository", "x/reloader", "quay.io/x/reloader", "minor"),
        ("size", "1Gi", "1024Mi", "patch"),
        ("size", "1k", "1000", "minor"),  # to some a thousand, to some 1024
        ("port", 80, "80", "patch"),
        ("on", True, "true", "patch"),
        ("on", 1, True, "minor"),
    ],
)
def test_another_default(key: str, old: Any, new: Any, level: str) -> None:
    found = judge_values(side("1.2.0", {key: old}), side("1.2.1", {key: new}))
    assert [reason.level for reason in found] == [level]


@pytest.mark.parametrize(("listed", "levels"), [([], ["major"]), ([{"name": "sub", "version": "1"}], [])])
def test_a_global_key_that_no_template_reads_any_more(listed: list[Any], levels: list[str]) -> None:
    """A dependency may read it still."""
    old, new = (
        replace(
            side(version, {"global": {"registry": "a"}}),
            metadata={"name": "x", "version": version, "dependencies": listed},
            templates={"a": text},
        )
        for version, text in (("1.0.0", "{{ .Values.global.registry }}"), ("1.0.1", ""))
    )
    assert [one.level for one in judge_values(old, new)] == levels


@pytest.mark.parametrize(
    ("value", "level"), [("", "patch"), (None, "patch"), (False, "patch"), ({}, "patch"), (1, "minor")]
)
def test_what_could_be_set_before_and_is_named_now(value: Any, level: str) -> None:
    sides = (replace(side("1.0.0", one), templates={"a": "{{ .Values.a }}"}) for one in ({}, {"a": value}))
    assert [one.level for one in judge_values(*sides)] == [level]


def test_a_key_that_is_read_of_all_values_by_another_name() -> None:
    text = "{{ $v := .Values.AsMap }}{{ $v.port }}{{ $v.other }}"
    sides = (replace(side("1.0.0", one), templates={"a": text}) for one in ({"port": None, "other": 1}, {"other": 1}))
    assert [one.level for one in judge_values(*sides)] == ["patch"]


def test_a_number_in_another_form_is_no_other_default() -> None:
    assert [*judge_values(side("1.0.0", {"port": 80}), side("1.0.1", {"port": 80.0}))] == []


@pytest.mark.parametrize(
    ("value", "template", "level"),
    [
        (30, "{{ .Values.wait | default 30 }}", "patch"),  # it can be set as before, and means the same where it is not
        ("info", '{{ default "info" .Values.wait }}', "patch"),
        (30, "{{ .Values.wait | default 60 }}", "minor"),
        (30, "{{ .Values.wait | default 30.5 }}", "minor"),
        (30, "{{ .Values.wait }}{{ .Values.other | default 30 }}", "minor"),
    ],
)
def test_a_default_between_values_and_a_template(value: Any, template: str, level: str) -> None:
    named = replace(side("1.0.0", {"wait": value}), templates={"a": "{{ .Values.wait }}"})
    bare = replace(side("1.0.1", {}), templates={"a": template})
    for sides in ((named, bare), (bare, named)):
        assert {one.about: one.level for one in judge_values(*sides)}["values wait"] == level


def test_a_key_that_moved_into_a_map_of_its_own() -> None:
    found = [*judge_values(side("1.0.0", {"port": 80}), side("2.0.0", {"service": {"port": 80}}))]
    assert any(one.level == "major" and "is called service.port now" in one.meaning for one in found)


def test_a_values_file_bears_the_version_as_the_defaults_do() -> None:
    sides = (
        Side({"name": "x", "version": version}, {"values.yaml": {}, "values-prod.yaml": {"operator": version}})
        for version in ("1.2.0", "1.2.1")
    )
    assert [reason.level for reason in judge_values(*sides)] == ["patch"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("https://host/v1.35.1/all.json#/definitions/{}", "https://host/v1.36.1/all.json#/definitions/{}", {"minor"}),
        ("https://host/x-1.2.0/{}.json", "https://host/x-1.2.1/{}.json", {"patch"}),
        ("https://host/a.json#/definitions/{}", "https://host/a.json#/definitions/other-{}", {"major"}),
        ("https://host/a.json#/definitions/{}", "#/definitions/{}", {"major", "minor"}),
    ],
    ids=["another document", "of this version", "another place", "in the chart"],
)
def test_a_schema_elsewhere_is_not_known_to_refuse(old: str, new: str, told: set[str]) -> None:
    before, after = (
        side(
            version,
            {},
            {
                "properties": {
                    **{name: {"$ref": ref.format(name)} for name in ("pod", "port")},
                    "either": {
                        "oneOf": [{"required": [one], "properties": {one: {"$ref": ref.format("pod")}}} for one in "ab"]
                    },
                },
                "definitions": {name: {"type": "string"} for name in ("pod", "port")},
            },
        )
        for version, ref in (("1.2.0", old), ("1.2.1", new))
    )
    assert {reason.level for reason in judge_values(before, after)} == told


@pytest.mark.parametrize(
    ("old", "new", "forgotten"),
    [
        ("{{ .Values.pod.user }}", "", True),
        ("{{ .Values.pod.user }}", "{{ .Values.pod.group }}", True),
        ("{{ .Values.pod.user }}", "{{- with .Values.pod }}\n{{- toYaml . | nindent 8 }}{{ end }}", False),
        ("{{ .Values.pod.user }}", "{{ toYaml .Values.pod }}", False),
        ("{{ .Values.pod.user }}", "{{ .Values.pod | toYaml }}", False),
        ("{{ .Values.pod.user }}", "{{- with .Values.pod }}\n{{- toYaml .group }}{{ end }}", True),
        ("{{ .Values.pod.group }} --pod.user=a", "{{ .Values.pod.group }}", False),
    ],
)
def test_a_key_that_no_template_reads_any_more(old: str, new: str, forgotten: bool) -> None:
    values = {"values.yaml": {"pod": {"user": 1}}}
    sides = [
        Side({"name": "x", "version": version}, values, None, {"templates/a.yaml": text})
        for version, text in (("1.2.0", old), ("1.2.1", new))
    ]
    told = [reason.level for reason in judge_values(sides[0], sides[1])]
    assert told == ["major"] * forgotten


@pytest.mark.parametrize(
    ("template", "level"),
    [
        ("{{ toYaml .Values.resources | nindent 2 }}", "minor"),
        ("{{- with .Values.resources }}{{ toYaml . }}{{ end }}", "minor"),
        ("{{- range $name, $amounts := .Values.resources }}{{ $name }}{{ end }}", "minor"),
        ("{{ .Values.resources.limits.memory }}", "major"),
    ],
)
def test_a_default_that_went_from_a_map(template: str, level: str) -> None:
    sides = [
        Side({"name": "x", "version": "1.2.0"}, {"values.yaml": {"resources": {"limits": limits}}}, None, {"a": text})
        for limits, text in (
            ({"cpu": 1, "memory": 2}, "{{ .Values.resources.limits.cpu }}"),
            ({"memory": 2}, template),
        )
    ]
    assert [reason.level for reason in judge_values(sides[0], sides[1])] == [level]


def test_a_schema_that_stands_elsewhere_as_a_whole() -> None:
    before, after = (side("1.2.0", {}, {"$ref": f"https://{host}/schema.json"}) for host in ("one", "other"))
    assert [(one.level, one.about) for one in judge_values(before, after)] == [("minor", "schema $ref")]


def test_a_key_that_values_never_had_and_a_template_honoured() -> None:
    """As the former name of another, which goes a version later, or one that is only named where it is read."""
    texts = "{{ .Values.was | default .Values.port }} # or .Values.said", "{{ .Values.port }}"
    values = {"port": 80}
    old, new = (replace(side("1.0.0", values), templates={"a": text}) for text in texts)
    assert [(one.level, one.about) for one in judge_values(old, new)] == [("major", "values was")]
    assert [*judge_values(old, old)] == [*judge_values(new, old)] == []
    checked = replace(old, schema={"properties": {"was": {"type": "integer"}}})
    found = judge_values(replace(old, schema={}), checked)
    assert [(one.level, one.about) for one in found] == [("major", "schema was")]


def test_a_default_of_null_that_went() -> None:
    template = {"a": "{{ .Values.port | default 80 }}"}
    sides = [
        Side({"name": "x", "version": "1.2.0"}, {"values.yaml": one}, None, template) for one in ({"port": None}, {})
    ]
    assert [reason.level for reason in judge_values(*sides)] == ["patch"]


@pytest.mark.parametrize(
    ("old", "new", "templates", "level"),
    [
        ({"name": "", "key": "a"}, "", ("{{ .Values.folder.name }}", "{{ .Values.folder }}"), "major"),
        ("", {"name": ""}, ("{{ .Values.folder }}", "{{ .Values.folder.name }}"), "major"),
        ({"name": "a"}, "", ("{{ toYaml .Values.folder }}", "{{ toYaml .Values.folder }}"), "minor"),
        ({"name": "a"}, None, ("{{ .Values.folder.name }}", "{{ (.Values.folder).name }}"), "minor"),
    ],
)
def test_a_map_in_place_of_a_text(old: Any, new: Any, templates: tuple[str, str], level: str) -> None:
    sides = [
        Side({"name": "x", "version": "1.2.0"}, {"values.yaml": {"folder": value}}, None, {"a": text})
        for value, text in zip((old, new), templates, strict=True)
    ]
    assert {one.level for one in judge_values(*sides)} == {level}


def test_a_key_that_no_template_has_read_is_not_missed() -> None:
    templates = {"a": "{{ .Values.port }}"}
    sides = [
        Side({"name": "x", "version": "1.2.0"}, {"values.yaml": {"port": 1, **more}}, None, templates)
        for more in ({"autoscaling": {"enabled": False}}, {})
    ]
    assert [(one.level, one.meaning) for one in judge_values(*sides)] == [
        ("patch", "is no longer there; no template read it")
    ]


@pytest.mark.parametrize("both", [({"secretName": ""}, {"create": False}), ({"rulesFiles": ["a"]}, {"rulesOver": "a"})])
def test_what_is_of_another_kind_is_not_called_otherwise(both: tuple[dict[str, Any], ...]) -> None:
    sides = [side("1.2.0", {"config": one}) for one in both]
    assert not [one for one in judge_values(*sides) if "is called" in one.meaning]


def test_a_schema_that_requires_nothing_is_no_check() -> None:
    schema = {"properties": {"timeouts": {"type": "object", "required": []}}}
    bare: dict[str, Any] = {"properties": {}}
    sides = [side("1.2.0", {"timeouts": {}}, one) for one in (bare, schema)]
    assert {one.level for one in judge_values(*sides)} == {"minor"}


def test_a_map_that_is_empty_now_is_told_key_by_key() -> None:
    template = {"a": "{{ toYaml .Values.probe }}"}
    sides = [
        Side({"name": "x", "version": "1.2.0"}, {"values.yaml": {"probe": probe}}, None, template)
        for probe in ({"tcpSocket": {"port": 1}}, {})
    ]
    assert [one.about for one in judge_values(*sides)] == ["values probe.tcpSocket"]


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ({}, {}, [("minor", "values cache.port", 1, 2)]),
        ({"port": 7}, {"port": 7}, []),  # what the parent sets is what an installation has
        ({}, {"port": 1}, []),
        ({"port": 1}, {}, [("minor", "values cache.port", 1, 2)]),
        ({"port": 7}, {"port": 8}, [("minor", "values cache.port", 7, 8)]),
        ({"port": 1, "on": True}, {"port": 1, "on": False}, [("minor", "values cache.on", True, False)]),
    ],
)
def test_a_default_that_a_chart_gives_to_a_chart_in_it(was: Any, now: Any, told: list[Any]) -> None:
    listed = [{"name": "redis", "alias": "cache", "version": "*", "condition": "cache.on"}]
    template = {"templates/a.yaml": "{{ .Values.port }} {{ toYaml .Values.more }}"}
    sides = [
        Side(
            {"name": "x", "version": version, "dependencies": listed},
            {"values.yaml": {"cache": given}},
            dependencies=(Side({"name": "redis"}, {"values.yaml": {"port": port, "more": {}}}, templates=template),),
        )
        for version, port, given in (("1.0.0", 1, was), ("1.1.0", 2, now))
    ]
    found = judge_values(sides[0], sides[1])
    assert [(one.level, one.about, one.old, one.new) for one in found] == told


@pytest.mark.parametrize(
    ("was", "now", "default", "levels"),
    [
        (["boolean", "null"], "boolean", True, []),  # null takes the default away, and the schema sees nothing
        (["boolean", "null"], "boolean", None, ["major"]),
        ("null", "boolean", True, ["minor", "minor"]),
        (["string", "null"], "boolean", True, ["major"]),
        ({"enum": [True, None]}, {"enum": [True]}, True, []),
        ({"enum": [True, None]}, {"enum": [True, False]}, True, ["minor"]),
        ({"enum": [True, None]}, {"enum": [True]}, None, ["major"]),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, {"type": "boolean"}, True, []),
    ],
)
def test_a_null_that_the_schema_takes_no_longer(was: Any, now: Any, default: Any, levels: list[str]) -> None:
    old, new = ({"properties": {"key": kind if isinstance(kind, dict) else {"type": kind}}} for kind in (was, now))
    first = None if was == "null" else default
    found = judge_values(side("1.0.0", {"key": first}, old), side("1.0.1", {"key": default}, new))
    assert [one.level for one in found] == levels


def test_the_helpers_of_a_library_are_what_others_include() -> None:
    old, new = (
        Side({"name": "x", "version": "1.0.0", "type": "library"}, {}, templates={"templates/_x.tpl": text})
        for text in (
            '{{- define "x.a" -}}a{{ end }}{{ define "x.b" }}b{{ end }}{{/* c */}}{{ define "x.c" }}c{{ end }}',
            '{{ define "x.a" }}a{{ end }}\n{{ define `x.b` }}B{{ end }}{{ define "x.d" }}d{{ end }}',
        )
    )
    told = [(one.level, one.about) for one in judge_values(old, new)]
    assert told == [("minor", "helper x.b"), ("major", "helper x.c"), ("minor", "helper x.d")]
