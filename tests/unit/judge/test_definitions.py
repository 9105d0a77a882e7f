"""What another CustomResourceDefinition means for objects of its kind."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.chart.manifests import Document
from scripts.judge.definitions import judge_definition
from tests.unit.judge.test_objects import judge


def definition(spec: dict[str, Any], field: str = "spec", source: str = "x/crds/xs.yaml") -> Document:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {field: spec}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    return Document(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "xs.x.io"},
            "spec": {"group": "x.io", "names": {"kind": "X", "plural": "xs"}, "versions": [version]},
        },
        source,
    )


@pytest.mark.parametrize(
    ("old", "new", "meaning"),
    [
        (
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            {"type": "object", "properties": {"a": {"type": "string"}}},
            "fields that are not named any more are dropped from objects that have them",
        ),
        (
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            {"type": "object"},
            "fields that are not named any more are dropped from objects that have them",
        ),
        (
            {"type": "object", "x-kubernetes-validations": [{"rule": "a"}]},
            {"type": "object", "x-kubernetes-validations": [{"rule": "b"}]},
            "objects with what was taken before may be refused",
        ),
        ({"type": "string"}, {"type": "string", "maxLength": 5}, "objects with what was taken before may be refused"),
        (
            {"type": "array", "x-kubernetes-list-type": "atomic"},
            {"type": "array", "x-kubernetes-list-type": "set"},
            "objects with what was taken before may be refused",
        ),
        (
            {"type": "array"},
            {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"]},
            "objects with what was taken before may be refused",
        ),
        (
            {"type": "object", "properties": {name: {"type": "string"} for name in "abcd"}},
            {"type": "object", "properties": {name: {"type": "string", "maxLength": 5} for name in "abcd"}},
            "objects with what was taken before may be refused",
        ),
    ],
)
def test_what_objects_may_say_no_longer(old: dict[str, Any], new: dict[str, Any], meaning: str) -> None:
    found = [reason for reason in judge_definition(definition(old), definition(new)) if reason.level == "major"]
    assert [reason.meaning.partition(" (")[0].partition(";")[0] for reason in found] == [meaning]


def test_an_integer_of_fewer_bits_takes_fewer_numbers() -> None:
    wide, narrow = (definition({"type": "integer", "format": bits}) for bits in ("int64", "int32"))
    assert {reason.level for reason in judge_definition(wide, narrow)} == {"major"}
    assert {reason.level for reason in judge_definition(narrow, wide)} == {"minor"}
    bound = definition({"type": "integer", "format": "int64", "minimum": 1, "maximum": 9})
    assert not [
        *judge_definition(bound, definition({"type": "integer", "format": "int32", "minimum": 1, "maximum": 9}))
    ]


@pytest.mark.parametrize(
    ("new", "levels"),
    [
        ([{"rule": "b"}, {"rule": "a", "message": "other words"}], []),
        ([{"rule": "a"}], ["minor"]),
        ([{"rule": "a"}, {"rule": "b"}, {"rule": "c"}], ["major"]),
        ([{"rule": "b  &&a"}], []),
        ([{"rule": "a || c"}, {"rule": "b"}], ["minor"]),
        ([{"rule": "(c ? d : e) || (a)"}, {"rule": "b"}], ["minor"]),
        ([{"rule": "a && c"}, {"rule": "b"}], ["major"]),
        ([{"rule": "a ? b : c"}], ["major"]),
        ([{"rule": "a"}, {"rule": "self.all(x, b || x)"}], ["major"]),
        ([{"rule": "a"}, {"rule": "'b || c'"}], ["major"]),
    ],
)
def test_the_rules_of_a_field(new: list[dict[str, str]], levels: list[str]) -> None:
    rules = ([{"rule": "a"}, {"rule": "b"}], new)
    old, now = (definition({"type": "object", "x-kubernetes-validations": one}) for one in rules)
    assert [reason.level for reason in judge_definition(old, now)] == levels


def test_how_a_map_is_applied() -> None:
    whole, parts, said = (
        definition({"type": "object", **({"x-kubernetes-map-type": kind} if kind else {})})
        for kind in ("atomic", None, "granular")
    )
    assert [[one.level for one in judge_definition(*pair)] for pair in ((whole, parts), (parts, whole))] == [
        ["minor"]
    ] * 2
    assert not [*judge_definition(parts, said)]


def test_a_version_that_is_not_served() -> None:
    """Which nobody can write, and objects may still be stored in."""
    sides = definition({"type": "object"}), definition({"type": "object"})
    sides[0].data["spec"]["versions"].append({"name": "v1alpha1", "served": False})
    stored, fresh = (next(judge_definition(*pair)) for pair in (sides, sides[::-1]))
    assert (stored.level, "status.storedVersions" in stored.meaning) == ("major", True)
    assert (fresh.level, "not yet served" in fresh.meaning) == ("minor", True)


def test_another_kind_is_refused() -> None:
    sides = definition({"type": "object"}), definition({"type": "object"})
    sides[1].data["spec"]["names"] |= {"kind": "Y"}
    (reason,) = (one for one in judge([sides[0]], [sides[1]]) if one.level == "major")
    assert (reason.about, "refused by the API server" in reason.meaning) == (
        "CustomResourceDefinition/xs.x.io spec.names.kind",
        True,
    )


def test_fields_that_objects_are_selected_by() -> None:
    sides = definition({"type": "object"}), definition({"type": "object"})
    sides[0].data["spec"]["versions"][0]["selectableFields"] = [{"jsonPath": ".spec.a"}]
    assert [[reason.level for reason in judge_definition(*pair)] for pair in (sides, sides[::-1])] == [
        ["major"],
        ["minor"],
    ]


def test_the_status_is_a_matter_of_its_controller() -> None:
    old, new = (definition(one, "status") for one in ({"type": "string"}, {"type": "string", "maxLength": 5}))
    assert [reason.level for reason in judge_definition(old, new)] == ["minor"]


def test_what_every_object_has_may_be_required() -> None:
    old, new = definition({"type": "object"}), definition({"type": "object"})
    new.data["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["required"] = ["kind", "metadata", "spec"]
    about = [reason.about.partition(" ")[2] for reason in judge_definition(old, new)]
    assert about == ["spec.versions[v1].schema spec"]


def test_what_the_api_server_writes_into_a_definition_is_no_change() -> None:
    old, new = definition({"type": "object"}), definition({"type": "object"})
    new.data["spec"]["conversion"] = {"strategy": "None"}
    new.data["spec"]["names"] |= {"listKind": "XList", "singular": "x"}
    assert [*judge_definition(old, new)] == []


@pytest.mark.parametrize(
    ("versions", "old", "new", "level"),
    [
        (2, {"strategy": "Webhook"}, None, "major"),  # what v1 calls a and v2 b is dropped
        (1, {"strategy": "Webhook"}, {"strategy": "None"}, "minor"),
        (2, None, {"strategy": "Webhook"}, "minor"),
    ],
)
def test_who_converts_between_versions(versions: int, old: Any, new: Any, level: str) -> None:
    sides = [definition({"type": "object"}) for _ in range(2)]
    for side, conversion in zip(sides, (old, new), strict=True):
        first = side.data["spec"]["versions"][0]
        side.data["spec"]["versions"] = [{**first, "name": f"v{number}"} for number in range(versions)]
        side.data["spec"]["conversion"] = conversion
    assert [reason.level for reason in judge_definition(*sides)] == [level]


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        ("^([0-9]+(s|m|h))+$", "^(0|([0-9]+(ms|s|m|h))+)$", "minor"),
        ("^(0|([0-9]+(ms|s|m|h))+)$", "^([0-9]+(s|m|h))+$", "major"),
    ],
)
def test_another_pattern_of_a_field(old: str, new: str, level: str) -> None:
    sides = (definition({"type": "string", "pattern": pattern}) for pattern in (old, new))
    assert [reason.level for reason in judge_definition(*sides)] == [level]


def test_another_default_of_a_field_with_choices() -> None:
    sides = (definition({"type": "string", "enum": ["a", "b"], "default": word}) for word in "ab")
    assert [reason.level for reason in judge_definition(*sides)] == ["minor"]


def test_another_default_of_a_field() -> None:
    (reason,) = judge_definition(definition({"type": "string"}), definition({"type": "string", "default": "a"}))
    told = "objects that do not say it get the new default"
    assert (reason.level, reason.meaning.partition(";")[0]) == ("minor", told)
    (gone,) = judge_definition(definition({"type": "string", "default": "a"}), definition({"type": "string"}))
    assert (gone.level, "get no default any more" in gone.meaning) == ("minor", True)


@pytest.mark.parametrize(
    ("source", "left"),
    [("x/crds/xs.yaml", True), ("x/charts/y/crds/a/xs.yaml", True), ("x/templates/crds/xs.yaml", False)],
)
def test_helm_leaves_what_stands_in_the_chart_s_own_crds(source: str, left: bool) -> None:
    sides = [definition(one, source=source) for one in ({"type": "string"}, {"type": "string", "maxLength": 5})]
    assert ["kubectl apply" in reason.meaning for reason in judge_definition(*sides)] == [left]


@pytest.mark.parametrize(("kept", "level"), [({}, "major"), ({"helm.sh/resource-policy": "keep"}, "minor")])
def test_a_definition_that_leaves_the_templates_is_deleted_but_where_it_is_kept(kept: Any, level: str) -> None:
    old, new = (definition({}, source=source) for source in ("x/templates/xs.yaml", "x/crds/xs.yaml"))
    old.data["metadata"]["annotations"] = kept
    assert {reason.level for reason in judge([old], [new])} == {level}
