"""Draws values that values.schema.json accepts, for property tests; a keyword it does not know is an error."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from jsonschema.validators import validator_for

from scripts.core.yaml_read import mapping_in
from tests.render.everything import merged, nested
from tests.render.harness import CHART

Path = tuple[str, ...]
Schema = dict[str, Any]

SCHEMA: Schema = json.loads((CHART / "values.schema.json").read_text())
ACCEPTING = validator_for(SCHEMA)(SCHEMA)  # jsonschema.validate looks at the schema itself each time, ten times as long
DEFAULTS: dict[str, Any] = mapping_in((CHART / "values.yaml").read_text())

_TYPED = st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"])  # what a person can type into YAML
_SAID = {"$schema", "title", "description", "definitions"}
_KNOWN = _SAID | {
    *("$ref", "type", "enum", "const", "examples", "anyOf"),
    *("properties", "required", "additionalProperties", "patternProperties", "contentMediaType"),
    *("minProperties", "maxProperties"),
    *("items", "minItems", "maxItems", "uniqueItems"),
    *("pattern", "format", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum"),
}


def resolved(schema: Schema) -> Schema:
    """`schema`, or what it refers to."""
    while "$ref" in schema:
        found: Any = SCHEMA
        for key in schema["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        schema = found
    return schema


def paths(schema: Schema = SCHEMA, path: Path = ()) -> Iterator[Path]:
    """Every key of the values that is no map of known keys."""
    schema = resolved(schema)
    if "properties" in schema and "examples" not in schema:
        for key, child in schema["properties"].items():
            yield from paths(child, (*path, key))
    else:
        yield path


def schema_at(path: Path) -> Schema:
    """The schema of the values at `path`."""
    schema = SCHEMA
    for key in path:
        schema = resolved(resolved(schema)["properties"][key])
    return schema


@functools.cache
def at_path(path: Path) -> st.SearchStrategy[Any]:
    """Values that the schema accepts at `path`."""
    return of(schema_at(path))


PATHS = sorted(paths())
SWITCHES = [path for path in PATHS if schema_at(path).get("type") == "boolean"]


@st.composite
def values(draw: st.DrawFn) -> dict[str, Any]:
    """A few keys set to anything that the schema accepts, and a few switches thrown, over the defaults."""
    drawn: dict[str, Any] = {}
    for path in draw(st.lists(st.sampled_from(SWITCHES), max_size=6, unique=True)):
        drawn = merged(drawn, nested(path, draw(st.sampled_from([True, True, False]))))
    for path in draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=8, unique=True)):
        drawn = merged(drawn, nested(path, draw(at_path(path))))
    return drawn


def of(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that one schema accepts, among them its examples.

    An object whose keys the schema leaves to Kubernetes is never invented: it comes from examples or not at all.
    """
    schema = resolved(schema)
    unknown = set(schema) - _KNOWN
    assert not unknown, f"this strategy does not know {unknown}"
    examples = [st.sampled_from(schema["examples"])] if "examples" in schema else []
    if "const" in schema:
        return st.just(schema["const"])
    if "contentMediaType" in schema:  # a language of its own, in which words by chance mean nothing
        return st.one_of(*examples)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of(*examples, *(of(choice) for choice in schema["anyOf"]))
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of(*examples, *(_TYPES[name](schema) for name in types))


def _string(schema: Schema) -> st.SearchStrategy[str]:
    if "format" in schema:
        return st.ip_addresses(v=4 if schema["format"] == "ipv4" else 6).map(str)
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", 300)
    if "pattern" not in schema:
        return st.text(_TYPED, min_size=shortest, max_size=min(longest, 40))
    drawn = st.from_regex(schema["pattern"], fullmatch=True, alphabet=_TYPED)
    return drawn.filter(lambda text: shortest <= len(text) <= longest)


def _integer(schema: Schema) -> st.SearchStrategy[int]:
    return st.integers(schema.get("minimum", -(2**53)), schema.get("maximum", 2**53))


def _number(schema: Schema) -> st.SearchStrategy[int | float]:
    above = "exclusiveMinimum" in schema
    low = float(schema["exclusiveMinimum"] if above else schema.get("minimum", -1e12))
    high = float(schema.get("maximum", 1e12))
    fractions = st.floats(low, high, allow_nan=False, exclude_min=above)
    return st.one_of(st.integers(int(low) + 1, int(high)), fractions)


def _array(schema: Schema) -> st.SearchStrategy[list[Any]]:
    items = of(schema["items"])
    most = 0 if items.is_empty else schema.get("maxItems", 3)
    key = repr if schema.get("uniqueItems") else None
    return st.lists(items, min_size=schema.get("minItems", 0), max_size=most, unique_by=key)


def _object(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    if schema.get("additionalProperties", True) is True:
        return st.nothing()
    if "patternProperties" in schema:
        ((pattern, child),) = schema["patternProperties"].items()
        return st.dictionaries(of({"type": "string", "pattern": pattern}), of(child), max_size=3)
    if "properties" in schema:
        required = set(schema.get("required", ()))
        known = {key: of(child) for key, child in schema["properties"].items()}
        known = {key: child for key, child in known.items() if key in required or not child.is_empty}
        drawn = st.fixed_dictionaries(
            {key: known[key] for key in known if key in required},
            optional={key: known[key] for key in known if key not in required},
        )
        least, most = schema.get("minProperties", 0), schema.get("maxProperties", len(known))
        return drawn.filter(lambda found: least <= len(found) <= most)
    return st.dictionaries(of({"type": "string"}), of(schema["additionalProperties"]), max_size=3)


_TYPES = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda _: st.booleans(),
    "null": lambda _: st.none(),
    "array": _array,
    "object": _object,
}
