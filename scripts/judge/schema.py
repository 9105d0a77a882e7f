"""Compares two JSON schemas: which values the old one takes and the new one refuses, and the other way round."""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

from scripts.chart.manifests import mappings, nodes
from scripts.core.paths import key_text
from scripts.judge.patterns import beyond
from scripts.judge.reason import Level, told_once

Schema = Mapping[str, Any]
Path = tuple[str, ...]

_ALL = frozenset({"null", "boolean", "object", "array", "number", "integer", "string"})
_NOTES = frozenset(
    {"$schema", "$id", "id", "$comment", "title", "description", "examples", "example", "deprecated"}
    | {"readOnly", "writeOnly", "definitions", "$defs", "$anchor", "externalDocs"}
    | {"nullable", "x-kubernetes-int-or-string", "contentEncoding", "contentMediaType"}
)
_FREE: Mapping[str, tuple[Any, ...]] = {
    "pattern": ("", ".*", "^.*$"), "required": ([],), "unevaluatedProperties": (True, {}),
    "x-kubernetes-list-type": ("atomic",), "x-kubernetes-map-type": ("granular",), "minContains": (1,),
}  # fmt: skip
"""What refuses nothing, as if it were not there."""
NEVER: Schema = {"not": {}}
"""The schema that takes nothing."""
_BOUNDS: tuple[tuple[str, str, str], ...] = (
    ("minLength", "maxLength", "string"),
    ("minItems", "maxItems", "array"),
    ("minProperties", "maxProperties", "object"),
    ("minContains", "maxContains", "array"),
)
_STRICTER: Mapping[str, Callable[[float, float], float]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", *(low for low, _, _ in _BOUNDS)), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", *(high for _, high, _ in _BOUNDS)), min),
}
"""Which of two bounds is the one that counts."""
_RULES = "x-kubernetes-validations"
_SERVED = ("default", "x-kubernetes-map-type")
"""What the API server does with an object beside taking it."""
_SHAPES: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("properties", "patternProperties", "dependentSchemas"), Mapping),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems", "required", "enum", _RULES), list),
    **dict.fromkeys((*_STRICTER, "multipleOf"), (int, float)),
    "type": (str, list),
}
_OPAQUE = (
    *("contains", "unevaluatedProperties", "unevaluatedItems", "dependentSchemas", "$ref"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-embedded-resource"),
)
_CONDITION = ("if", "then", "else")
_ELSEWHERE = frozenset({"allOf", "anyOf", "oneOf", "if", "$ref", "dependentSchemas", "additionalProperties"})
"""What may name keys beside `properties`, for all that `unevaluatedProperties` knows."""
_INT32 = 2**31  # the end of what has 32 bits
_MOST = 200  # depth of schemas inside schemas
_PAIRED = 16  # alternatives that two lists of them may make together


@dataclass(frozen=True)
class Change:
    """One difference. `path` leads to the key ("*": any key, "[]": any item); `what` is the schema's word.

    `narrower`: some value that was taken is refused. `wider`: some value that was refused is taken.
    """

    path: Path
    what: str
    old: Any
    new: Any
    effect: Literal["narrower", "wider"]


Judged = tuple[Change, Level, str]
"""A change, its level, and what it means."""


def judged(
    changes: Iterable[Change], judge: Callable[[Change], tuple[Level, str] | None], things: str
) -> Iterator[Judged]:
    """What `judge` says of each change, None for nothing; the very same of many `things` is told once.

    What is narrower here and wider there is narrower.
    """
    pairs: dict[tuple[Path, str], Change] = {}
    for change in changes:
        here = (change.path, change.what)
        if here not in pairs or change.effect == "narrower":
            pairs[here] = change
    told = ((change, *said) for change in pairs.values() if (said := judge(change)))
    for (change, level, meaning), others in told_once(
        told, lambda one: f"{one[0].what} {one[0].old} {one[0].new} {one[2]}"
    ):
        yield change, level, meaning + (f" (and of {others} other {things})" if others else "")


def key_of(path: Path) -> str:
    """A path as one writes it: `hosts[].host`, `labels.*`, `podLabels["a.b/c"]`."""
    text = ""
    for part in path:
        if part == "[]":
            text += part
        elif part == "*" or (part[:1] == part[-1:] == "/" and len(part) > 1):
            text += f".{part}" if text else part
        else:
            inner = key_text([part])
            text += inner if inner.startswith("[") or not text else f".{inner}"
    return text


def compare(old: Schema | None, new: Schema | None, *, pruned: bool = False) -> tuple[Change, ...]:
    """What differs in what the two schemas take of a mapping; None is no schema, which takes all.

    `pruned`: as the API server reads the schema of a custom resource, where a field that is not named is dropped.
    """
    sides = [Inlined(side if side is not None else {}, pruned).schema for side in (old, new)]
    found = _compare({"type": "object", **sides[0]}, {"type": "object", **sides[1]}, ())
    return tuple({repr(change): change for change in found}.values())


class Inlined:
    """A schema with every local `$ref` replaced by what it leads to, and `allOf` merged where that says the same."""

    def __init__(self, root: Any, pruned: bool = False) -> None:
        self._root, self._pruned = root, pruned
        draft = str(root.get("$schema", "")) if isinstance(root, Mapping) else ""
        self._named = dict(_names(root))
        self._known: dict[tuple[str, tuple[str, ...]], Schema] = {}  # what a reference leads to, read once
        self._alone = bool(re.search(r"draft-0[3-7]", draft))  # where `$ref` hides what stands beside it
        self.schema: Schema = self._read(root, ())

    def _read(self, schema: Any, refs: tuple[str, ...], depth: int = 0) -> Schema:
        if schema is False:
            return NEVER
        if not isinstance(schema, Mapping) or depth > _MOST:
            return {}
        ref = schema.get("$ref")
        if isinstance(ref, str):
            return self._referred(schema, ref, refs, depth)
        read: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _NOTES or (key in _SERVED and not self._pruned) or value in _FREE.get(key, ()):
                continue
            if not _meant(key, value) or (key == "format" and not (self._alone or self._pruned)):
                continue  # since 2019 a format is only said
            if key in ("properties", "patternProperties", "dependentSchemas"):
                read[key] = {name: self._read(item, refs, depth + 1) for name, item in value.items()}
            elif key in ("allOf", "anyOf", "oneOf", "prefixItems"):
                read[key] = [self._read(item, refs, depth + 1) for item in value]
            elif key == "items" and isinstance(value, list):
                read["prefixItems"] = [self._read(item, refs, depth + 1) for item in value]
            elif key == "additionalItems":
                if isinstance(schema.get("items"), list):  # beside one schema for all of them it says nothing
                    read["items"] = self._read(value, refs, depth + 1)
            elif key in ("items", "additionalProperties", "propertyNames", "not", "contains", *_CONDITION):
                read[key] = self._read(value, refs, depth + 1)
            elif key == "dependencies" and isinstance(value, Mapping):  # that of two words
                needed = {name: item for name, item in value.items() if isinstance(item, list)}
                read |= {"dependentRequired": needed} if needed else {}
                rest = {name: self._read(item, refs, depth + 1) for name, item in value.items() if name not in needed}
                read |= {"dependentSchemas": rest} if rest else {}
            elif key == "const":
                read["enum"] = [value]
            elif key == _RULES:  # whose words to a person may be others
                read[key] = [one.get("rule") for one in mappings(value)]
            else:
                read[key] = value
        self._custom(schema, read)
        for part in read.pop("allOf", []):
            read = dict(_both(read, part))
        if "unevaluatedProperties" in read and not read.keys() & _ELSEWHERE:
            read["additionalProperties"] = self._read(read.pop("unevaluatedProperties"), refs, depth + 1)
        _called_so(read)
        for pattern in _FREE["pattern"]:  # of every key, then
            if (part := read.get("patternProperties", {}).pop(pattern, None)) is not None:
                for word in ("properties", "patternProperties"):
                    read[word] = {name: _both(item, part) for name, item in read.get(word, {}).items()}
                read["additionalProperties"] = part
        return read

    def _custom(self, schema: Schema, read: dict[str, Any]) -> None:
        """What OpenAPI, Kubernetes and draft 4 have of their own; and without `if` nothing follows, nor of it alone."""
        for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if isinstance(read.get(word), bool) and read.pop(word) and bound in read:
                read[word] = read.pop(bound)
        if "if" not in read or not (read.get("then") or read.get("else")):
            for word in _CONDITION:
                read.pop(word, None)
        if schema.get("x-kubernetes-int-or-string"):
            read["type"] = ["integer", "string"]
        if schema.get("nullable") and "type" in read:
            read["type"] = [*_listed(read["type"]), "null"]
        if self._pruned and read.get("type") == "integer" and read.get("format") == "int32":
            read |= {"minimum": max(read.get("minimum", -_INT32), -_INT32)}
            read |= {"maximum": min(read.get("maximum", _INT32 - 1), _INT32 - 1)}
        keeps = read.pop("x-kubernetes-preserve-unknown-fields", False)
        fields = "properties" in read or read.get("type") == "object"
        if self._pruned and fields and "additionalProperties" not in read and not keeps:
            read["additionalProperties"] = NEVER
        if self._pruned and isinstance(read.get("required"), list):  # the API server fills in a default beforehand
            named = schema.get("properties")
            known = named if isinstance(named, Mapping) else {}
            filled = {name for name, item in known.items() if isinstance(item, Mapping) and "default" in item}
            read["required"] = [name for name in read["required"] if name not in filled]

    def _referred(self, schema: Schema, ref: str, refs: tuple[str, ...], depth: int) -> Schema:
        document, _, pointer = ref.partition("#")
        target = self._named.get(ref) or (self._named.get(document) if document else self._root)
        if ref in refs:  # inside itself: as far up, whatever that is called
            return {"$ref": f"itself, {len(refs) - refs.index(ref)} up"}
        if target is None:  # elsewhere
            return {"$ref": ref}
        for part in unquote(pointer).split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list) and part.isdigit() and int(part) < len(target):
                target = target[int(part)]
            elif isinstance(target, Mapping) and part in target:
                target = target[part]
            else:
                return {"$ref": ref}
        if (ref, refs) not in self._known:
            self._known[ref, refs] = self._read(target, (*refs, ref), depth + 1)
        read = self._known[ref, refs]
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return read if self._alone else _both(self._read(beside, refs, depth + 1), read)


def _called_so(read: dict[str, Any]) -> None:
    """Say by the keys that there may be what `propertyNames` says by a pattern or choices."""
    text, rest = _spelt({"type": "string", **read.get("propertyNames", {})}), read.get("additionalProperties", {})
    known: Schema = read.get("properties", {})
    if not text or "patternProperties" in read or (known and rest not in (NEVER, {})):
        return
    del read["propertyNames"]
    read["properties"] = {name: part if _matches(text, name) else NEVER for name, part in known.items()}
    read |= {"patternProperties": {text: rest}, "additionalProperties": NEVER} if rest != NEVER else {}


def _meant(key: str, value: Any) -> bool:
    """Whether a word holds what it can hold; where it does not nobody takes the schema, and the word is passed over."""
    words = value if key in ("required", "type") and isinstance(value, list) else []
    return isinstance(value, _SHAPES.get(key, object)) and all(isinstance(word, str) for word in words)


def _names(schema: Any) -> Iterator[tuple[str, Any]]:
    """The schemas inside of one that have a name of their own, as a `$ref` spells it."""
    for node in nodes(schema):
        for key in ("$id", "id", "$anchor"):
            if isinstance(name := node.get(key), str):
                yield f"#{name}" if key == "$anchor" else name, node


def _both(one: Schema, other: Schema) -> Schema:
    """What takes the values that both take; a part that cannot be merged stays under `allOf`."""
    if not one or one == other:
        return other
    either = [side.get("anyOf", ()) for side in (one, other)]
    if 0 < len(either[0]) * len(either[1]) <= _PAIRED:
        rest = [{word: value for word, value in side.items() if word != "anyOf"} for side in (one, other)]
        return {**_both(rest[0], rest[1]), "anyOf": [_both(this, that) for this in either[0] for that in either[1]]}
    closed = [side for side in (one, other) if not _open(side)]
    lists = [side.keys() & {"items", "prefixItems"} for side in (one, other)]
    if (
        (closed and set(one.get("properties", ())) ^ set(other.get("properties", ())))
        or (all(lists) and "prefixItems" in lists[0] | lists[1])
        or one.keys() & other.keys() & {"not", "if", "anyOf", "oneOf", "patternProperties"}
    ):
        return {**one, "allOf": [*one.get("allOf", []), other]}
    merged = {**one, **other}
    for word in (word for word in one if word in other):
        mine, theirs = one[word], other[word]
        if word == "type":
            merged[word] = sorted(_narrow_types(_types(one), _types(other)))
        elif word == "enum":
            both = {*map(_frozen, mine)} & {*map(_frozen, theirs)}
            merged[word] = [value for value in mine if _frozen(value) in both]
        elif word == "required":
            merged[word] = sorted({*mine, *theirs})
        elif word == "properties":
            merged[word] = {name: _both(mine.get(name, {}), theirs.get(name, {})) for name in {**mine, **theirs}}
        elif word in ("items", "additionalProperties"):
            merged[word] = _both(mine, theirs)
        elif word in _STRICTER:
            merged[word] = _STRICTER[word](mine, theirs)
        elif word in ("pattern", "format", "multipleOf") and mine != theirs:
            merged |= {word: mine, "allOf": [*merged.get("allOf", []), {word: theirs}]}
    return merged


def _open(schema: Schema) -> bool:
    return bool(schema.get("additionalProperties", {}) == {})


def named(schema: Schema, path: Path) -> tuple[Schema, bool]:
    """What an inlined schema says of the key at `path`, and whether it names every key on the way."""
    spelled = True
    for key in path:
        spelled = spelled and key in schema.get("properties", {})
        schema = NEVER if schema == NEVER else below(schema, key)
    return schema, spelled


def _compare(old: Schema, new: Schema, path: Path) -> Iterator[Change]:
    if (old == new and repr(old) == repr(new)) or len(path) > _MOST:  # to Python, True is 1
        return
    if old == NEVER or new == NEVER:
        yield Change(path, "not", _told(old), _told(new), "wider" if old == NEVER else "narrower")
        return
    for word in (word for word in _SERVED if old.get(word) != new.get(word)):
        yield Change(path, word, old.get(word), new.get(word), "wider")
    yield from _rules(old, new, path)
    if "enum" in old or "enum" in new:
        yield from _enums(old, new, path)
        return
    if any("anyOf" in side or "oneOf" in side for side in (old, new)):
        yield from _alternatives(old, new, path)
        return
    before, after = _types(old), _types(new)
    yield from _type_changes(old, new, before, after, path)
    shared = _narrow_types(before, after) | _narrow_types(after, before)
    if shared & {"number", "integer"}:
        yield from _numbers(old, new, path)
    if "string" in shared:
        yield from _words(old, new, path)
    for low, high, kind in _BOUNDS:
        if kind in shared:
            yield from _limit(old, new, low, path, lower=True)
            yield from _limit(old, new, high, path, lower=False)
    if "array" in shared:
        yield from _items(old, new, path)
    if "object" in shared:
        yield from _objects(old, new, path)
    lost, more = (
        [one for one in _demands(side) if one not in _demands(other)] for side, other in ((old, new), (new, old))
    )
    for one in [one for one in lost if "if" in one]:
        if other := next((other for other in more if other.get("if") == one["if"]), None):
            lost.remove(one)
            more.remove(other)
            for key in _CONDITION[1:]:
                yield from _compare(one.get(key, {}), other.get(key, {}), path)
    yield from _either(path, "allOf", _told(lost or None), _told(more or None), narrower=more, wider=lost)
    was, now = (side.get("not", NEVER) for side in (old, new))
    found = {change.effect for change in _compare(now, was, path)}  # the more the one takes, the less the other
    told = _told(old.get("not")), _told(new.get("not"))
    yield from _either(path, "not", *told, narrower="narrower" in found, wider="wider" in found)
    for key in _OPAQUE:
        if (key in old or key in new) and _frozen(old.get(key)) != _frozen(new.get(key)):
            yield from _unknown(old, new, key, path)


def _rules(old: Schema, new: Schema, path: Path) -> Iterator[Change]:
    was, now = (side.get(_RULES, []) for side in (old, new))
    told = ([rule for rule in one if rule not in other] or None for one, other in ((was, now), (now, was)))
    asked = [{clause for rule in side for clause in _clauses(_CEL.findall(str(rule)))} for side in (was, now)]
    lost, more = (
        any(not any(other <= one for other in theirs) for one in ours) for ours, theirs in (asked, asked[::-1])
    )
    yield from _either(path, _RULES, *told, narrower=more, wider=lost)


_CEL = re.compile(r"""(?s)"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\|\||&&|\w+|\S""")


def _clauses(words: list[str]) -> set[frozenset[str]]:
    """What a rule in the Common Expression Language asks for: all of these, each as what it may be met by."""
    depths = [*itertools.accumulate((word in ("(", "[", "{")) - (word in (")", "]", "}")) for word in words)]

    def between(sign: str) -> list[list[str]]:
        places = [place for place, word in enumerate(words) if word == sign and not depths[place]]
        return [words[begin + 1 : end] for begin, end in itertools.pairwise([-1, *places, len(words)])]

    if len(between("?")) == 1:
        if len(either := between("||")) > 1:
            sides = [_clauses(one) for one in either]
            met = (next(iter(side)) if len(side) == 1 else {str(sorted(map(sorted, side)))} for side in sides)
            return {frozenset[str]().union(*met)}
        if len(both := between("&&")) > 1:
            return set[frozenset[str]]().union(*map(_clauses, both))
        if words[:1] == ["("] and 0 not in depths[:-1]:
            return _clauses(words[1:-1])
    return {frozenset({" ".join(words)})}


def _demands(schema: Schema) -> list[Schema]:
    """What holds beside the rest, in any order: what `allOf` could not be merged of, and what follows an `if`."""
    condition = {key: schema[key] for key in _CONDITION if key in schema}
    return [*schema.get("allOf", ()), *([condition] if condition else [])]


def _unknown(old: Schema, new: Schema, key: str, path: Path) -> Iterator[Change]:
    """A word whose change we cannot weigh: what is there refuses something, what is new refuses something else."""
    yield from _either(path, key, _told(old.get(key)), _told(new.get(key)), narrower=key in new, wider=key in old)


def _either(path: Path, what: str, old: Any, new: Any, *, narrower: object, wider: object) -> Iterator[Change]:
    """A change that refuses what was taken, takes what was refused, or both."""
    if narrower:
        yield Change(path, what, old, new, "narrower")
    if wider:
        yield Change(path, what, old, new, "wider")


def _types(schema: Schema) -> frozenset[str]:
    """The types that a schema takes; "number" holds the integers."""
    if "enum" in schema and "type" not in schema:
        return frozenset(_type_of(value) for value in schema["enum"])
    found = frozenset(_listed(schema["type"])) if "type" in schema else _ALL
    if "number" in found:
        whole = schema.get("multipleOf") and _divides(1, schema["multipleOf"])
        return found - {"number"} | {"integer"} if whole else found - {"integer"}
    return found


def _type_of(value: Any) -> str:
    """The type of a value; 1.0 is an integer to JSON schema."""
    checker = _validator().TYPE_CHECKER
    return next((kind for kind in sorted(_ALL) if checker.is_type(value, kind)), "string")


def _narrow_types(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    shared = one & other
    if ("number" in one and "integer" in other) or ("integer" in one and "number" in other):
        shared |= {"integer"}
    return shared


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _lost(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """The types of `one` that `other` does not take, or not wholly."""
    return frozenset(kind for kind in one - other if not (kind == "integer" and "number" in other))


def _type_changes(
    old: Schema, new: Schema, before: frozenset[str], after: frozenset[str], path: Path
) -> Iterator[Change]:
    was, now = (
        side.get("type") or (sorted(kinds) if kinds != _ALL - {"integer"} else None)
        for side, kinds in ((old, before), (new, after))
    )
    yield from _either(path, "type", was, now, narrower=_lost(before, after), wider=_lost(after, before))


def _enums(old: Schema, new: Schema, path: Path) -> Iterator[Change]:
    lost, more = _refused(old, new), _refused(new, old)
    if lost == [None]:  # which may never be seen
        yield from _without_null(_types(new), path)
    told = old.get("enum"), new.get("enum")
    yield from _either(path, "enum", *told, narrower=lost not in ([], [None]), wider=more != [])


def _without_null(kinds: frozenset[str], path: Path) -> Iterator[Change]:
    kept = sorted(kinds - {"null"})
    yield Change(path, "type", [*kept, "null"], kept, "narrower")


# -- by the values that are taken ------------------------------------------------------------------


_MORE = object()  # a value of very many
_ENDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_OF_OTHERS = frozenset(  # words that say nothing of texts
    {*_ENDS, "multipleOf"}
    | {word for *words, kind in _BOUNDS for word in words if kind != "string"}
    | {"items", "prefixItems", "uniqueItems", "contains", "unevaluatedItems"}
    | {"properties", "patternProperties", "additionalProperties", "propertyNames", "required"}
    | {"dependentRequired", "dependentSchemas", "unevaluatedProperties"}
)
_NEAR = 50  # multiples on each side of a bound


def _refused(part: Schema, whole: Schema) -> list[Any] | None:
    """The values of `part` that `whole` refuses, of those that decide it; None where values do not."""
    if len(pieces := _split(part)) > 1:
        found = [_refused(piece, whole) for piece in pieces]
        return None if None in found else [value for one in found for value in one or ()]
    kinds = frozenset[str]() if "enum" in part else _types(part) - {"boolean", "null"}
    if kinds - {"integer", "number"}:
        if not _longer(part, [whole]):
            return []
        return [_MORE] if "enum" in whole or _types(whole) <= {"boolean", "null"} else None
    tried = part["enum"] if "enum" in part else _probes(part, whole)
    return [value for value in tried if _takes(part, value, True) and not _takes(whole, value, False)]


def _longer(part: Schema, others: Iterable[Schema]) -> bool:
    """Whether `part` is not known to take texts alone that one of `others` takes."""
    own, spelt = _spelt(part), [text for one in others if (text := _spelt(one)) is not None]
    return own is None or not spelt or ("" not in spelt and beyond(own, "|".join(f"(?:{text})" for text in spelt)))


def _spelt(schema: Schema) -> str | None:
    """The pattern of the texts that a schema takes, where it asks no more of them; None for any other."""
    asked = schema.keys() - _OF_OTHERS
    if asked <= {"type", "pattern"} and schema.get("type") == "string":
        return str(schema.get("pattern", ""))
    words = [word for word in schema.get("enum", ()) if isinstance(word, str)]
    return _whole(words) if words and asked <= {"type", "enum"} else None


def _whole(words: Iterable[str]) -> str:
    return f"^({'|'.join(map(re.escape, words))})$"


def _probes(*schemas: Schema) -> list[Any]:
    """Booleans, null, and numbers at, beside and between all bounds of these schemas, and the multiples near them."""
    found, steps = {0.0}, set[float]()
    for node in nodes([*schemas]):
        told = [*(node.get(key) for key in _ENDS), *(node["enum"] if isinstance(node.get("enum"), list) else ())]
        found |= {one for one in told if isinstance(one, int | float) and not isinstance(one, bool)}
        steps |= {step} if (step := node.get("multipleOf", 0)) > 0 else set()
    near = itertools.product(found, steps, range(-_NEAR, _NEAR + 1))
    points = sorted(found | {(point // step + times) * step for point, step, times in near})
    beside = (number for one in points for number in (math.ceil(one) - 1, math.floor(one) + 1))
    between = ((one + other) / 2 for one, other in itertools.pairwise(points))
    return [True, False, None, *points, *beside, *between, points[0] - 0.5, points[-1] + 0.5]


def _takes(schema: Schema, value: Any, unsure: bool) -> bool:
    """Whether a schema takes a value; `unsure` where its words cannot be asked, as a reference elsewhere."""
    try:
        return bool(_validator()(schema).is_valid(value))
    except Exception:  # noqa: BLE001 - of the schema, which nobody has looked at before
        return unsure


@functools.cache
def _validator() -> Any:
    """As helm's own, to which 0.3 is a multiple of 0.1."""
    import jsonschema  # which takes a while

    def stepped(_: Any, step: float, number: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
        if isinstance(number, int | float) and not isinstance(number, bool) and not _divides(step, number):
            yield jsonschema.ValidationError("")

    extend: Any = jsonschema.validators.extend
    return extend(jsonschema.Draft202012Validator, {"multipleOf": stepped})


def _numbers(old: Schema, new: Schema, path: Path) -> Iterator[Change]:
    kind = "number" if "number" in _types(old) & _types(new) else "integer"
    for words in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"), ("multipleOf",)):
        one, other = ({word: side[word] for word in words if word in side} for side in (old, new))
        if one != other:
            lost, more = (_refused(*({"type": kind, **side} for side in pair)) for pair in ((one, other), (other, one)))
            told = (next(iter(side.values()), None) for side in (one, other))
            yield from _either(path, words[0], *told, narrower=lost, wider=more)


def _divides(step: float, number: float | None) -> bool:
    return number is not None and math.isclose(number / step, round(number / step))


def _words(old: Schema, new: Schema, path: Path) -> Iterator[Change]:
    if old.get("format") != new.get("format"):
        yield from _unknown(old, new, "format", path)
    was, now = old.get("pattern"), new.get("pattern")
    if was != now:
        lost, more = (beyond(str(one or ""), str(other or "")) for one, other in ((was, now), (now, was)))
        yield from _either(path, "pattern", was, now, narrower=lost, wider=more)


def _limit(old: Schema, new: Schema, word: str, path: Path, *, lower: bool) -> Iterator[Change]:
    open_end = int(word == "minContains") if lower else math.inf
    was, now = old.get(word, open_end), new.get(word, open_end)
    if was != now:
        yield Change(path, word, old.get(word), new.get(word), "narrower" if (now > was) == lower else "wider")


def _items(old: Schema, new: Schema, path: Path) -> Iterator[Change]:
    if old.get("uniqueItems", False) != new.get("uniqueItems", False):
        was, now = old.get("uniqueItems"), new.get("uniqueItems")
        yield Change(path, "uniqueItems", was, now, "narrower" if now else "wider")
    first = [side.get("prefixItems", []) for side in (old, new)]
    rest = [side.get("items", {}) for side in (old, new)]
    for index in range(max(map(len, first))):
        pair = [side[index] if index < len(side) else other for side, other in zip(first, rest, strict=True)]
        yield from _compare(pair[0], pair[1], (*path, str(index)))
    yield from _compare(rest[0], rest[1], (*path, "[]"))


def _objects(old: Schema, new: Schema, path: Path) -> Iterator[Change]:
    old_keys, new_keys = old.get("properties", {}), new.get("properties", {})
    for name in [*old_keys, *(name for name in new_keys if name not in old_keys)]:
        before, after = below(old, name), below(new, name)
        inside = (*path, name)
        if after == NEVER:
            if before != NEVER:
                yield Change(inside, "properties", _told(before), None, "narrower")
        elif name not in old_keys and (before == NEVER or (before == {} and _open(old))):
            yield Change(inside, "properties", None, _told(after), "wider")
        elif name not in new_keys and after == {}:
            yield Change(inside, "properties", _told(before), None, "wider")
        else:
            yield from _compare(before, after, inside)
    patterns = [side.get("patternProperties", {}) for side in (old, new)]
    rest = [side.get("additionalProperties", {}) for side in (old, new)]
    for pattern in dict.fromkeys([*patterns[0], *patterns[1]]):
        if beyond(pattern, _whole({**old_keys, **new_keys})):  # else each of its names has been compared
            yield from _compare(_called(old, pattern), _called(new, pattern), (*path, f"/{pattern}/"))
    if rest[0] != rest[1]:
        if NEVER in rest or {} in rest:
            was, now = (True if side == {} else False if side == NEVER else _told(side) for side in rest)
            if now is False and patterns[1]:
                now = {"only": [*patterns[1]]}
            narrower = rest[1] == NEVER or rest[0] == {}
            yield Change(path, "additionalProperties", was, now, "narrower" if narrower else "wider")
        else:
            yield from _compare(rest[0], rest[1], (*path, "*"))
    needed = [set(side.get("required", ())) for side in (old, new)]
    for name in sorted(needed[1] - needed[0]):
        yield Change((*path, name), "required", False, True, "narrower")
    for name in (name for name in sorted(needed[0] - needed[1]) if below(new, name) != NEVER):
        yield Change((*path, name), "required", True, False, "wider")
    keys = [{"type": "string", **side.get("propertyNames", {})} for side in (old, new)]
    yield from _compare(keys[0], keys[1], (*path, "*"))
    was, now = (
        {(key, name) for key, names in side.get("dependentRequired", {}).items() for name in names}
        for side in (old, new)
    )
    told = (side.get("dependentRequired") for side in (old, new))
    yield from _either(path, "dependentRequired", *told, narrower=now - was, wider=was - now)


def below(schema: Schema, name: str) -> Schema:
    """What a schema says of the key `name`."""
    found: Schema | None = schema.get("properties", {}).get(name)
    for pattern, part in schema.get("patternProperties", {}).items():
        if _matches(pattern, name):
            found = part if found is None else _both(found, part)
    if found is not None:
        return found
    rest: Schema = schema.get("additionalProperties", {})
    return rest


def _called(schema: Schema, pattern: str) -> Schema:
    """What a schema says of keys of which a pattern matches the names."""
    known: Schema = schema.get("patternProperties", {})
    wider = (one for one in known if one == pattern or not beyond(pattern, one))
    found: Schema = known[name] if (name := next(wider, None)) is not None else schema.get("additionalProperties", {})
    return found


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # a regular expression of another dialect
        return False


def _alternatives(old: Schema, new: Schema, path: Path) -> Iterator[Change]:
    """What differs where a side has alternatives: what stands beside them says it in fewer words, as far as it does."""
    found, told = [*_branches(old, new, path)], list[Change]()
    words = ("anyOf", "oneOf")
    theirs = [[side.get(word) for word in words] for side in (old, new)]
    if [None, None] not in theirs:
        was, now = ({key: value for key, value in side.items() if key not in words} for side in (old, new))
        effects = {change.effect for change in found}  # of both together: each alone may refuse what the other does
        told = [change for change in _compare(was, now, path) if change.effect in effects]
    said = {change.effect for change in told} if theirs[0] == theirs[1] else set[str]()
    yield from (change for change in found if change.effect not in said)
    yield from told


def _branches(old: Schema, new: Schema, path: Path) -> Iterator[Change]:
    """`anyOf` and `oneOf`: each branch of the one must fit into a branch of the other."""
    before, after = _split(old), _split(new)
    word = "oneOf" if "oneOf" in old or "oneOf" in new else "anyOf"
    pairs = [_shared(side) for side in (old, new)]
    told = [_told([one for pair in side for one in pair] or None) for side in pairs]
    more = len(pairs[1]) - len(pairs[0])
    yield from _either(path, word, *told, narrower=more > 0, wider=more < 0)
    gone = [branch for branch in before if _left_out(branch, new, after)]
    fresh = [branch for branch in after if _left_out(branch, old, before)]
    if gone and all(_types(branch) == {"null"} for branch in gone):
        yield from _without_null(frozenset().union(*map(_types, after)), path)
        gone = []
    if len(gone) == len(fresh) == 1:
        inside = tuple(_compare(gone[0], fresh[0], path))
        if inside:
            yield from inside
            return
    one, other = _told(gone or None), _told(fresh or None)
    if one == other:  # their types alone would read alike
        one, other = gone, fresh
    if gone:
        yield Change(path, word, one, other, "narrower")
    if fresh:
        yield Change(path, word, one, other, "wider")


def _shared(schema: Schema) -> list[tuple[Schema, Schema]]:
    """The alternatives of a `oneOf` of which a value may be both, and is refused then."""
    beside = {key: schema[key] for key in ("type", "properties") if key in schema}
    branches = [_both(beside, branch) for branch in schema.get("oneOf", ())]
    return [pair for pair in itertools.combinations(branches, 2) if not _apart(*pair)]


def _apart(one: Schema, other: Schema) -> bool:
    """Whether no value is of both: by their types, their choices, or a key that both must have, or one cannot."""
    if not _narrow_types(_types(one), _types(other)) or NEVER in (one, other):
        return True
    if "enum" in one and "enum" in other:
        return not {*map(_frozen, one["enum"])} & {*map(_frozen, other["enum"])}
    needed = [{*side.get("required", ())} for side in (one, other)]
    told = _types(one) | _types(other) == {"object"}
    return told and any(_apart(below(one, name), below(other, name)) for name in needed[0] | needed[1])


def _left_out(branch: Schema, whole: Schema, others: Sequence[Schema]) -> bool:
    """Whether `whole`, which is made of `others`, refuses something that `branch` takes."""
    lost = _refused(branch, whole)
    if lost is not None:
        return bool(lost)
    return _longer(branch, others) and not any(_fits(branch, other) for other in others)


def _fits(part: Schema, whole: Schema) -> bool:
    """Whether every value that `part` takes is taken by `whole`."""
    return not any(change.effect == "narrower" for change in _compare(part, whole, ()))


def _split(schema: Schema) -> list[Schema]:
    """A schema as alternatives: its branches with what stands beside them, else one for each of its types."""
    word = next((word for word in ("anyOf", "oneOf") if word in schema), None)
    if word is not None:
        beside = {key: value for key, value in schema.items() if key != word}
        return [part for branch in schema[word] for part in _split(_both(beside, branch))]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    return [schema]


def _told(schema: Any) -> Any:
    """A schema short enough to be read: its type where that says it."""
    if schema == NEVER:
        return False
    if isinstance(schema, Mapping):
        if isinstance(schema.get("type"), str) and len(json.dumps(schema, default=str)) > 80:
            return {"type": schema["type"]}
        return dict(schema)
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [_told(item) for item in schema]
    return schema


def _frozen(value: Any) -> Any:
    """Equal where two values are to JSON: 1 is 1.0, and not true."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number else json.dumps(value, sort_keys=True)
