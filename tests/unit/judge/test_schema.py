"""Which changes of a schema refuse what was taken, and which take more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.judge.schema import compare, key_of


def effects(old: Any, new: Any, **options: Any) -> list[str]:
    """What differs for a key of which the schema says this."""
    found = compare({"properties": {"k": old}}, {"properties": {"k": new}}, **options)
    return sorted({change.effect for change in found})


SIZE = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 1000}, {"const": ""}, {"type": "null"}]}
SAME = [
    (SIZE, {**SIZE, "maximum": 5000}),
    *(
        ({"anyOf": [*SIZE["anyOf"], {"type": kind}]}, {"anyOf": [*SIZE["anyOf"], {"type": kind}], **beside})
        for kind in ("object", "array")
        for beside in ({"maximum": 5000}, {"minLength": 0, "type": ["integer", "string", "null", kind]})
    ),
    (SIZE, {"type": ["integer", "string", "null"], "minimum": 0, "maximum": 1000, "pattern": "^$"}),
    ({"enum": [True, False, ""]}, {"type": ["boolean", "string"], "pattern": "^$", "required": ["a"]}),
    (SIZE, {**SIZE, "type": ["integer", "string", "null"], "maxLength": 5}),
    ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
    ({"minimum": 1, "type": "integer"}, {"exclusiveMinimum": 0, "type": "integer"}),
    ({"const": "a"}, {"enum": ["a"]}),
    ({"items": {"type": "string"}}, {"items": {"type": "string"}, "additionalItems": False}),
    ({"type": "array"}, {"type": "array", "additionalItems": False}),
    ({"type": "string"}, {"type": "string", "description": "words", "default": "x"}),
    ({"type": "string", "maxLength": 3}, {"allOf": [{"type": "string"}, {"maxLength": 3}]}),
    ({"oneOf": [{"type": "string"}, {"type": "null"}]}, {"oneOf": [{"type": "null"}, {"type": "string"}]}),
    ({"enum": ["a", 1]}, {"oneOf": [{"const": "a", "title": "words"}, {"const": 1}]}),
    ({"enum": ["a", "b", "c"]}, {"anyOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}),
    (True, {}),
    ({"type": "string"}, {"type": "string", "then": {"maxLength": 3}, "else": False}),
    ({"type": "object", "required": ["a", "b"]}, {"type": "object", "required": ["b", "a"]}),
    ({"type": "boolean"}, {"enum": [True, False]}),
    ({"enum": [1]}, {"enum": [1.0]}),
    ({"type": "integer"}, {"type": "integer", "multipleOf": 1}),
    ({"type": ["integer", "null"]}, {"type": ["integer", "null"], "multipleOf": 0.1}),
    ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 0.5}),
    ({"type": ["integer", "null"], "maximum": 1}, {"type": ["integer", "null"], "exclusiveMaximum": 2}),
    ({"patternProperties": {".*": {"type": "string"}}}, {"additionalProperties": {"type": "string"}}),
    (
        {"properties": {"a": {"type": "string", "maxLength": 3}}, "additionalProperties": {"type": "string"}},
        {"properties": {"a": {"maxLength": 3}}, "patternProperties": {"": {"type": "string"}}},
    ),
    ({"patternProperties": {".*": {}}}, {"patternProperties": {"^.*$": {}}, "additionalProperties": False}),
    ({"type": "null"}, {"const": None}),
    ({"type": "string"}, {"type": "string", "contentEncoding": "base64", "contentMediaType": "text/plain"}),
    ({"type": "string"}, {"type": "string", "format": "ipv4"}),  # which is checked by draft 7 alone
    (
        {"allOf": [{"if": {"required": [one]}, "then": {"required": ["x"]}} for one in "ab"]},
        {"allOf": [{"if": {"required": [one]}, "then": {"required": ["x"]}} for one in "ba"]},
    ),
    (
        {"properties": {"a": {}}, "additionalProperties": False},
        {"properties": {"a": {}}, "unevaluatedProperties": False},
    ),
    ({"oneOf": [{"enum": ["a"]}, {"type": "object"}]}, {"anyOf": [{"enum": ["a"]}, {"type": "object"}]}),
    (
        {"type": "object", "oneOf": [{"required": ["t"], "properties": {"t": {"const": one}}} for one in "ab"]},
        {"type": "object", "anyOf": [{"required": ["t"], "properties": {"t": {"const": one}}} for one in "ab"]},
    ),
    ({"not": {"enum": ["a", "b"]}}, {"not": {"enum": ["b", "a"]}}),
    ({"type": "integer", "minimum": 1, "maximum": 3}, {"enum": [1, 2, 3]}),
    ({"enum": ["a", "b", 1]}, {"oneOf": [{"type": "string", "enum": ["a", "b"]}, {"const": 1}]}),
    ({"enum": ["a", None]}, {"anyOf": [{"const": "a"}, {"type": "null"}]}),
    ({"type": "string", "enum": ["a", 1]}, {"enum": ["a"]}),
    ({"type": "string", "pattern": "^(a|b)$"}, {"enum": ["a", "b"]}),
    ({"type": "string", "pattern": r"^\d+$"}, {"type": "string", "pattern": "^[0-9]+$"}),
    (
        {"type": "integer", "minimum": 1, "maximum": 65535},
        {
            "anyOf": [
                {"const": 80},
                {"type": "integer", "minimum": 1024, "maximum": 65535},
                {"type": "integer", "minimum": 1, "exclusiveMaximum": 1024},
            ]
        },
    ),
    (
        {"type": "object", "properties": {key: {"type": "null"} for key in "ab"}, "additionalProperties": False},
        {"type": "object", "patternProperties": {"^(a|b)$": {"type": "null"}}, "additionalProperties": False},
    ),
    ({"patternProperties": {"^[a-z]+$": {"maxLength": 3}}}, {"patternProperties": {"^([a-z])+$": {"maxLength": 3}}}),
    ({"type": "string", "pattern": "^(a|b)"}, {"type": "string", "anyOf": [{"pattern": "^a"}, {"pattern": "^b"}]}),
    (
        {"anyOf": [{"enum": ["auto"]}, {"type": "string", "pattern": "^[0-9]+$"}]},
        {"type": "string", "pattern": "^(auto|[0-9]+)$"},
    ),
    ({"type": "integer"}, {"type": "number", "multipleOf": 1}),
    ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
    ({"minimum": 1, "exclusiveMinimum": False}, {"minimum": 1}),
    ({}, {"if": {"required": ["a"]}, "then": True}),
    (
        {"type": "object", "propertyNames": {"maxLength": 3}},
        {"propertyNames": {"type": "string", "maxLength": 3}, "type": "object"},
    ),
    (
        {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {key: {"type": "string"} for key in "ab"}, "additionalProperties": False},
    ),
    (
        {"type": "object", "propertyNames": {"pattern": "^[a-z]$"}, "additionalProperties": {"type": "string"}},
        {"type": "object", "patternProperties": {"^[a-z]$": {"type": "string"}}, "additionalProperties": False},
    ),
    (
        {"type": "object", "properties": {"B": {}}, "propertyNames": {"pattern": "^[a-z]$"}},
        {"type": "object", "propertyNames": {"pattern": "^[a-z]$"}},
    ),
    ({"type": "integer", "multipleOf": 5, "minimum": 0, "maximum": 10}, {"enum": [0, 5, 10]}),
    ({"type": "number", "multipleOf": 0.1, "minimum": 0.1, "maximum": 0.3}, {"enum": [0.1, 0.2, 0.3]}),
    (
        {"type": "integer", "multipleOf": 3},
        {"anyOf": [{"type": "integer", "multipleOf": step} for step in (3, 6)]},
    ),
    (
        {"type": "array", "items": {"type": "string"}, "allOf": [{"items": {"minLength": 1}}]},
        {"type": "array", "items": {"type": "string", "minLength": 1}},
    ),
    (
        {"allOf": [{"properties": {"a": {}}, "additionalProperties": one} for one in (False, True)]},
        {"properties": {"a": {}}, "additionalProperties": False},
    ),
]
NARROWER = [
    (SIZE, {**SIZE, "maximum": 500}),
    (SIZE, {**SIZE, "type": ["integer", "null"]}),
    ({"type": "number"}, {"type": "integer"}),
    ({"type": ["string", "null"]}, {"type": "string"}),
    ({}, {"type": "string"}),
    ({"enum": ["a", "b"]}, {"enum": ["a"]}),
    ({"type": "string"}, {"type": "string", "enum": ["a"]}),
    ({"type": "string"}, {"type": "string", "pattern": "^a"}),
    ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 2}),
    ({"type": "integer"}, {"type": "integer", "maximum": 2}),
    ({"type": "integer", "multipleOf": 2}, {"type": "integer", "multipleOf": 4}),
    ({"type": "string", "maxLength": 9}, {"type": "string", "maxLength": 8}),
    ({"type": "array", "items": {"type": ["string", "integer"]}}, {"type": "array", "items": {"type": "string"}}),
    ({"type": "array"}, {"type": "array", "uniqueItems": True}),
    ({"type": "object", "additionalProperties": {"type": "string"}}, {"type": "object", "additionalProperties": False}),
    ({"properties": {"a": {}}}, {"properties": {"a": {}, "b": False}}),
    ({"properties": {"a": {}}}, {"properties": {"a": False}}),
    ({"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}, "required": ["a"]}),
    ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, {"oneOf": [{"type": "string"}]}),
    ({"anyOf": [{"type": "string"}, {"type": "object"}]}, {"type": "object"}),
    (
        {"type": "object", "patternProperties": {"^a": {"type": "string"}}, "additionalProperties": False},
        {"type": "object", "additionalProperties": False},
    ),
    ({"type": "string", "pattern": "^(a+)?$"}, {"type": "string", "pattern": "^a+$"}),
    (
        {"type": "object", "patternProperties": {"^[ab]": {"type": "string"}}, "additionalProperties": False},
        {"type": "object", "patternProperties": {"^a": {"type": "string"}}, "additionalProperties": False},
    ),
    (
        {"anyOf": [{"enum": ["auto", "off"]}, {"type": "string", "pattern": "^[0-9]+$"}]},
        {"type": "string", "pattern": "^(auto|[0-9]+)$"},
    ),
    ({"type": "string", "pattern": "^[a-z0-9]{1,5}$"}, {"type": "string", "pattern": "^[a-z]{1,3}$"}),
    ({"type": "integer", "minimum": 1, "maximum": 10}, {"enum": [1, 2, 3]}),
    ({"type": "string", "pattern": "^[a-z]$"}, {"enum": ["a", "b"]}),
    ({"type": "string", "minLength": 1}, {"enum": ["aa", "b"]}),
    ({"type": "string", "not": {"const": "c"}}, {"enum": ["a", "b"]}),
    ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"enum": ["a", 1]}),
    ({"oneOf": [{"type": "boolean"}, {"const": "auto"}]}, {"type": "boolean"}),
    ({"enum": [True, False, "auto"]}, {"type": "boolean"}),
    (
        {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        {"type": "object", "additionalProperties": {"enum": [1, 2]}},
    ),
    ({"propertyNames": {"pattern": "^[a-z]$"}}, {"propertyNames": {"enum": ["a", "b"]}}),
    (
        {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
    ),
    ({"type": "integer", "multipleOf": 5}, {"enum": [0, 5, 10]}),
    ({"anyOf": [{"type": "integer", "multipleOf": step} for step in (2, 3)]}, {"type": "integer", "multipleOf": 6}),
    ({"type": "integer", "multipleOf": 5, "minimum": 0, "maximum": 20}, {"enum": [0, 5, 10]}),
    (
        {"type": "integer", "minimum": 1, "maximum": 10},
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 5}, {"type": "integer", "minimum": 7, "maximum": 10}]},
    ),
    (
        {"type": "number", "minimum": 0, "maximum": 2},
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "number", "exclusiveMinimum": 1.1, "maximum": 2},
            ]
        },
    ),
    ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, {"oneOf": [{"type": "integer"}, {"type": "number"}]}),
    ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
    ({"oneOf": [{"type": "number"}]}, {"oneOf": [{"type": "number"}, {"type": "integer"}]}),
    ({"contains": {}, "maxContains": 2}, {"contains": {}, "maxContains": 1}),
    (
        {"properties": {"a": {}, "b": {}}, "unevaluatedProperties": False},
        {"properties": {"a": {}}, "unevaluatedProperties": False},
    ),
    (
        {"if": {"required": ["a"]}, "then": {"required": ["x"]}},
        {"allOf": [{"if": {"required": [one]}, "then": {"required": ["x"]}} for one in "ba"]},
    ),
    (
        {"if": {"required": ["a"]}, "then": {"properties": {"k": {}}}},
        {"if": {"required": ["a"]}, "then": {"properties": {"k": {"type": "string"}}}},
    ),
    ({"type": "string"}, {"type": "string", "not": {"const": "x"}}),
    ({"not": {"enum": ["a"]}}, {"not": {"enum": ["a", "b"]}}),
    (
        {"allOf": [{"if": {"required": [one]}, "then": {"required": ["x"]}} for one in "ab"]},
        {"allOf": [{"if": {"required": [one]}, "then": {"required": ["x", "y"]}} for one in "ba"]},
    ),
    ({"type": "object"}, {"type": "object", "propertyNames": {"maxLength": 3}}),
    ({"type": "object"}, {"type": "object", "dependentRequired": {"a": ["b"]}}),
    ({"type": "object", "dependentRequired": {"a": ["b"]}}, {"type": "object", "dependentRequired": {"a": ["b", "c"]}}),
    (
        {"allOf": [{"anyOf": [{"required": [word]}, {"required": [f"{word}Map"]}]} for word in "ab"]},
        {"required": ["a", "b"]},
    ),
    ({"type": "number"}, {"type": "number", "multipleOf": 1}),
    (
        {"if": {"required": ["a"]}, "then": {"maxProperties": 3}},
        {"if": {"required": ["a"]}, "then": {"maxProperties": 2}, "else": False},
    ),
    ({"type": "number", "multipleOf": 0.1}, {"type": "number", "multipleOf": 0.3}),
]


class TestOneKey:
    @pytest.mark.parametrize(("one", "other"), SAME)
    def test_the_same_in_other_words(self, one: Any, other: Any) -> None:
        assert effects(one, other) == effects(other, one) == []

    @pytest.mark.parametrize(("wide", "narrow"), NARROWER)
    def test_narrower_one_way_is_wider_the_other(self, wide: Any, narrow: Any) -> None:
        assert effects(wide, narrow) == ["narrower"]
        assert effects(narrow, wide) == ["wider"]

    @pytest.mark.parametrize("word", [lambda value: {"enum": [value]}, lambda value: {"not": {"const": value}}])
    def test_a_number_is_no_boolean(self, word: Any) -> None:
        assert effects(word(1), word(True)) == ["narrower", "wider"]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"enum": [1, 2, 30]}, {"type": "integer", "minimum": 1, "maximum": 10}),
            ({"enum": ["a", "b1"]}, {"type": "string", "pattern": "^[a-z]$"}),
            ({"type": "boolean"}, {"enum": ["true", "false"]}),
            ({"type": "string", "pattern": "(?=a)b"}, {"type": "string", "pattern": "(?=b)a"}),  # nobody knows
        ],
    )
    def test_neither_takes_all_of_the_other(self, one: Any, other: Any) -> None:
        assert effects(one, other) == effects(other, one) == ["narrower", "wider"]

    def test_another_pattern_may_be_both(self) -> None:
        assert effects({"type": "string", "pattern": "a"}, {"type": "string", "pattern": "b"}) == ["narrower", "wider"]


def test_references_are_followed_and_siblings_hidden_before_2019() -> None:
    old = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"k": {"$ref": "#/definitions/port", "maximum": 1}},
        "definitions": {"port": {"type": "integer", "maximum": 9}},
    }
    assert compare(old, {"properties": {"k": {"type": "integer", "maximum": 9}}}) == ()
    newer = {**old, "$schema": "https://json-schema.org/draft/2020-12/schema"}
    (change,) = compare(old, newer)
    assert (change.what, change.old, change.new, change.effect) == ("maximum", 9, 1, "narrower")


def test_a_schema_that_refers_to_itself_ends() -> None:
    tree = {
        "properties": {"k": {"$ref": "#/definitions/t"}},
        "definitions": {"t": {"items": {"$ref": "#/definitions/t"}}},
    }
    assert compare(tree, tree) == ()
    other = {**tree, "definitions": {"t": {"items": {"$ref": "#/definitions/t"}, "maxItems": 3}}}
    assert {change.what for change in compare(tree, other)} == {"maxItems"}


def test_a_schema_that_refers_to_itself_may_call_itself_otherwise() -> None:
    def tree(name: str, inside: Any, word: str = "$defs") -> Any:
        node = {"properties": {"value": inside, "next": {"$ref": f"#/{word}/{name}"}}}
        return {"properties": {"k": {"$ref": f"#/{word}/{name}"}}, word: {name: node}}

    old = tree("a", {"type": "string"})
    assert compare(old, tree("b", {"type": "string"}, "definitions")) == ()
    (change,) = compare(old, tree("b", {"type": ["string", "null"]}))
    assert (key_of(change.path), change.effect) == ("k.value", "wider")


@pytest.mark.parametrize(
    "word", ["properties", "required", "enum", "type", "allOf", "oneOf", "minLength", "maximum", "multipleOf"]
)
@pytest.mark.parametrize("value", ["x", [1, "a"], {"a": 1}, None, 0])
def test_a_word_that_holds_what_it_cannot_is_passed_over(word: str, value: Any) -> None:
    """helm refuses such a schema of values; one of a custom resource nobody has looked at before."""
    others: list[Any] = [{"properties": {"a": {"minLength": 1, "maximum": 1}}, "required": ["a"]}, {word: [{}]}, {}]
    for other in others:
        for sides in (({word: value}, other), (other, {word: value})):
            compare(*sides)
            compare(*sides, pruned=True)


def test_keys_that_come_and_go() -> None:
    closed = {"additionalProperties": False, "properties": {"a": {"type": "string"}}}
    more = {"additionalProperties": False, "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    (change,) = compare(closed, more)
    assert (key_of(change.path), change.effect) == ("b", "wider")
    (change,) = compare(more, closed)
    assert (key_of(change.path), change.effect) == ("b", "narrower")
    (change,) = compare({"properties": {}}, {"properties": {"b": {"type": "string"}}})
    assert change.effect == "wider", "nobody has set a key that the chart did not know"


@pytest.mark.parametrize(
    ("ref", "name"),
    [("#p", {"$anchor": "p"}), ("#p", {"$id": "#p"}), ("https://x.io/p", {"$id": "https://x.io/p"})],
)
def test_a_schema_that_is_named_is_read(ref: str, name: Any) -> None:
    old, new = (
        {"properties": {"a": {"$ref": ref}}, "$defs": {"p": {**name, "type": kind}}}
        for kind in (["string", "null"], "string")
    )  # fmt: skip
    assert effects(old, new) == ["narrower"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"unevaluatedProperties": True}),
        ({"properties": {"a": {}}}, {"properties": {"a": {"pattern": ".*"}}}),
        ({"dependencies": {"a": ["b"], "c": {"required": ["a"]}}},
         {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"required": ["a"]}}}),
        ({}, {"if": {"required": ["a"]}}),
        ({"contains": {"const": 1}}, {"contains": {"const": 1}, "minContains": 1}),
        ({"dependentRequired": {"a": ["b", "c"]}}, {"dependentRequired": {"a": ["c", "b"]}}),
    ],
)  # fmt: skip
def test_words_that_mean_the_same(one: Any, other: Any) -> None:
    assert effects(one, other) == effects(other, one) == []


def test_a_field_with_a_default_is_filled_into_custom_resources() -> None:
    field: Any = {"type": "string"}
    old, new = ({"properties": {"a": field}, "required": needed} for needed in ([], ["a"]))
    assert effects(old, new, pruned=True) == ["narrower"]
    filled = {**new, "properties": {"a": {**field, "default": "x"}}}
    assert effects(old, filled, pruned=True) == ["wider"]  # the API server writes it
    assert sorted(effects(filled, new, pruned=True)) == ["narrower", "wider"]
    assert effects(old, filled) == ["narrower"]  # helm fills in none


def test_a_field_that_goes_is_dropped_from_custom_resources() -> None:
    old, new = ({"type": "object", "properties": {name: {} for name in names}} for names in ("ab", "a"))
    assert effects(old, new, pruned=True) == ["narrower"]
    assert effects(old, {**new, "x-kubernetes-preserve-unknown-fields": True}, pruned=True) == ["wider"]


SCHEMAS = st.recursive(
    st.one_of(
        st.booleans(),
        st.fixed_dictionaries({"type": st.sampled_from(["string", "integer", "number", "null", "array"])}),
        st.fixed_dictionaries({"enum": st.lists(st.integers(0, 3), min_size=1, unique=True)}),
        st.fixed_dictionaries({"type": st.just("integer"), "minimum": st.integers(0, 3)}),
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("ab"), inner)}),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(SCHEMAS)
def test_no_schema_differs_from_itself(schema: Any) -> None:
    assert effects(schema, schema) == []


@settings(max_examples=300, deadline=None)
@given(
    SCHEMAS, SCHEMAS, st.one_of(st.integers(-1, 4), st.just("x"), st.none(), st.lists(st.integers(0, 2), max_size=2))
)
def test_what_was_taken_and_is_refused_is_found(old: Any, new: Any, value: Any) -> None:
    """The judge may be too strict, and never too lenient: held against the validator itself."""
    from jsonschema import Draft202012Validator

    taken, refused = (Draft202012Validator(side).is_valid(value) for side in (old, new))
    if taken and not refused:
        assert "narrower" in effects(old, new)


def test_what_stands_beside_alternatives_is_told_once() -> None:
    either = {"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    old, new = (
        {"properties": {"k": {**either, "properties": {"c": {"type": kind}}}}} for kind in ("number", "integer")
    )
    (change,) = compare(old, new)
    assert (change.path, change.what, change.effect) == (("k", "c"), "type", "narrower")


def test_branches_do_not_read_alike() -> None:
    def either(most: int) -> Any:
        keys = {
            key: {"type": "string", "minLength": most, "maxLength": most} for key in ("name", "namespace", "labels")
        }
        branches = [{"type": "object", "required": [one], "properties": {one: {}, **keys}} for one in "ab"]
        return {"properties": {"k": {"anyOf": branches}}}

    found = [change for change in compare(either(9), either(8)) if change.what == "anyOf"]
    assert found
    assert all(change.old != change.new for change in found)
