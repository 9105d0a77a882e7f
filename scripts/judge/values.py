"""Judges the interface that a chart has in its values: keys, defaults, and what the schema takes of them."""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scripts.chart.manifests import mapped, mapping
from scripts.chart.pods import DIGEST, quantity
from scripts.core.paths import key_text
from scripts.core.yaml_read import merge
from scripts.judge import schema as schemas
from scripts.judge.images import is_tagged, judge_image, same_repository
from scripts.judge.reason import Level, Reason, bears
from scripts.judge.side import Side, called, versions

Path = tuple[str, ...]
Leaves = Mapping[Path, Any]

_REFERENCE = re.compile(r"\.Values(?:\.AsMap)?((?:\.[A-Za-z_]\w*)*)")
_INDEXED = re.compile(r"index\s+[$.\w]*\.Values((?:\s+\"[^\"]+\")+)")
_WORD = re.compile(r"\.([A-Za-z_]\w*)|\"([\w.-]+)\"")  # a field of something, or a name that is given on
_COMMENT = re.compile(r"\{\{-?\s*/\*.*?\*/\s*-?\}\}", re.DOTALL)
_ACTION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_ASKING = re.compile(
    r"[{(|\s](?:if|with|range|default|coalesce|ternary|hasKey|get|dig|empty|or|and|not|eq|ne|kindIs|typeIs|compact)\s"
)
_DEFINED, _CALLED = re.compile(r'define "([^"]+)"'), re.compile(r'(?:include|template) "([^"]+)"')
_PAIRS = re.compile(r"range \$\w+, \$\w+ :?= ")  # every key and value of a map
_DOT = re.compile(r"\btoYaml \.(?!\w)")  # of what a `with` before it leads to
_NEAR = 4  # actions after a `with` in which that is looked for
_TIMING = ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold", "successThreshold")
_REMOTE = re.compile(r'"\$ref": "([a-z]+://[^"#]+)')
_TAG = re.compile(r"(^|\.)(tag|imagetag)$|image\.version$")
_DIGEST = re.compile(DIGEST)
_NOTHING: tuple[Any, ...] = ("", None, {}, [])


def judge_values(old: Side, new: Side) -> Iterator[Reason]:
    """What differs in values.yaml, the further values files and values.schema.json, and in those of dependencies."""
    for was, now in _elsewhere(old, new):
        level: Level = "patch" if bears(was, now, versions(old, new)) else "minor"
        yield Reason(level, "schema $ref", was, now, "what values may be is said there, which is not read here")
        new = replace(new, schema=_referring(new.schema, {now: was}))
    changes = schemas.compare(old.schema, new.schema) if old.schema != new.schema else ()
    reads = _Reads(old), _Reads(new)
    told: dict[Path, Reason] = {}
    before, after, inner = _apart(old, new)
    for path, reason in _keys(before, after, reads):
        told.setdefault(path, reason)
    yield from told.values()
    if (old.schema is None) != (new.schema is None):
        yield _whole_schema(old, reads[0], changes)
    elif changes:
        yield from _schema(old, new, reads[0], changes, set(told))
    yield from _files(old, new)
    if new.metadata.get("type") == "library":
        yield from _helpers(old, new)
    for name, sides in inner.items():
        for reason in judge_values(sides[0], sides[1]):
            word, _, key = reason.about.partition(" ")
            yield replace(reason, about=f"{word} {name}.{key}" if key else f"charts/{name} {word}")


def _apart(old: Side, new: Side) -> tuple[Side, Side, dict[str, list[Side]]]:
    """Both sides without the defaults that they give to charts in `charts/` of both; and these charts, by the key of
    their values, with those defaults."""
    parents, inner = [dict(side.values) for side in (old, new)], {}
    for key in sorted(old.subcharts.keys() & new.subcharts.keys()):
        inner[key] = [side.subcharts[key] for side in (old, new)]
        known = {name for sub in inner[key] for name in sub.values}
        for number, values in enumerate(parents):
            given = mapping(values.pop(key, None))
            if rest := {name: value for name, value in given.items() if name not in known}:
                values[key] = rest  # such as the switch that is the parent's to read
            sub = inner[key][number]
            laid = merge(merge({}, sub.values), {name: given[name] for name in given.keys() - rest.keys()})
            inner[key][number] = replace(sub, settings={**sub.settings, "values.yaml": laid})
    old, new = (replace(side, settings={"values.yaml": one}) for side, one in zip((old, new), parents, strict=True))
    return old, new, inner


def _helpers(old: Side, new: Side) -> Iterator[Reason]:
    """What other charts include of a library."""
    was, now = (
        {name: " ".join(body.split()) for text in side.templates.values() for name, body in _defined(text)}
        for side in (old, new)
    )
    for name in sorted({*was, *now}):
        about = f"helper {name}"
        if name not in now:
            yield Reason("major", about, was[name], None, "a chart that includes it cannot be rendered")
        elif was.get(name) != now[name]:
            meaning = "a further helper" if name not in was else "what includes it may be rendered otherwise"
            yield Reason("minor", about, was.get(name), now[name], meaning)


def _defined(text: str) -> Iterator[tuple[str, str]]:
    """The helpers in a template by name, each with what follows up to the next one."""
    _, *parts = re.split(r'\{\{-?\s*define\s+["`]([^"`]+)["`]\s*-?\}\}', _COMMENT.sub("", text))
    return zip(parts[::2], parts[1::2], strict=True)


def flat(values: Any, path: Path = ()) -> dict[Path, Any]:
    """Every setting by its path; a list is one setting, and so is an empty map."""
    if isinstance(values, Mapping) and values:
        return {key: leaf for name, item in values.items() for key, leaf in flat(item, (*path, str(name))).items()}
    return {path: values} if path else {}


# -- keys and defaults ----------------------------------------------------------------------------


def _keys(old: Side, new: Side, reads: tuple[_Reads, _Reads]) -> Iterator[tuple[Path, Reason]]:
    """What happened to each key of values.yaml."""
    before, after = flat(old.values), flat(new.values)
    gone, fresh = _tops(before, after), _tops(after, before)
    for was, now in _renames(gone, fresh):
        yield from _renamed(new, reads[1], was, now, gone.pop(was), fresh.pop(now))
    for path, value in gone.items():
        moved = [now for now in after.keys() - before.keys() if now[-1] == path[-1] and after[now] == value]
        if len(moved) == 1 and value not in _NOTHING:
            yield from _renamed(new, reads[1], path, moved[0], value, value)
        else:
            yield path, _removed(new, *reads, path, value)
    for path, value in fresh.items():
        told: tuple[Level, str] = ("minor", "a new setting")
        if not value and reads[0].exactly(path):
            told = ("patch", "could be set before, and is named now")
        elif reads[0].gives(path, value):
            told = ("patch", "was the default in a template")
        yield path, Reason(told[0], f"values {key_text(path)}", None, value, told[1])
    for path in before.keys() | after.keys():
        was, now = _at(old.values, path), _at(new.values, path)
        if path in before and path in after:
            if was != now or isinstance(was, bool) is not isinstance(now, bool):  # 1.0 is 1 to helm
                reread = reads[0].actions(path) != reads[1].actions(path)
                level, meaning = _default_level(path, was, now, reread=reread, versions=versions(old, new))
                yield path, Reason(level, f"values {key_text(path)}", was, now, meaning)
            elif _forgotten(*reads, path) and not _foreign(new, path):
                meaning = "no template reads it any more: a values file that sets it has no effect"
                yield path, Reason("major", f"values {key_text(path)}", was, was, meaning)
        elif not any(side is _MISSING or side == {} for side in (was, now)):  # of a map that is empty now, key by key
            yield path, _reshaped(path, was, now, *reads)  # a map here, and something else there
    for path in sorted(_Reads(replace(old, metadata={}, dependencies=())).optional(before) - after.keys()):
        if _forgotten(*reads, path) and not _foreign(old, path):
            meaning = "no template reads it any more: a values file that sets it has no effect"
            yield path, Reason("major", f"values {key_text(path)}", None, None, meaning)


def _forgotten(old: _Reads, new: _Reads, path: Path) -> bool:
    """Whether the old templates read a key, or spell its name, and the new ones do not, nor write the map it is in."""
    unspelt = old.spells(path[-1]) and not new.spells(path[-1])
    return (old.reads(path) and not new.reads(path)) or (unspelt and not new.writes(path))


def _foreign(side: Side, path: Path) -> bool:
    """Whether a key is read by a dependency, or by helm itself."""
    inner = {*map(called, side.listed), *side.subcharts}
    return path[0] in inner or (bool(inner) and path[0] == "global")


def _tops(ours: Leaves, theirs: Leaves) -> dict[Path, Any]:
    """The keys that only `ours` has: the highest one, with all that is below it."""
    inner = {path[:length] for path in theirs for length in range(1, len(path) + 1)}
    found: dict[Path, dict[Path, Any]] = {}
    for path, value in ours.items():
        if path in inner:
            continue
        top = next(path[:length] for length in range(1, len(path) + 1) if path[:length] not in inner)
        if any(path[:length] in theirs and theirs[path[:length]] != {} for length in range(1, len(top))):
            continue  # a map here, something else there
        found.setdefault(top, {})[path[len(top) :]] = value
    return {top: nested(leaves) for top, leaves in found.items()}


def nested(leaves: Mapping[Path, Any]) -> Any:
    """The values of which `flat` makes `leaves`."""
    if () in leaves:
        return leaves[()]
    tree: dict[str, Any] = {}
    for path, value in leaves.items():
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = value
    return tree


def _renames(gone: Mapping[Path, Any], fresh: Mapping[Path, Any]) -> list[tuple[Path, Path]]:
    """Pairs of a key that went and one that came: the same content under the same name elsewhere, or in its place."""
    pairs: list[tuple[Path, Path]] = []
    for was, value in gone.items():
        taken = {now for _, now in pairs}
        likely = [now for now, other in fresh.items() if other == value and now not in taken]
        telling = value not in (*_NOTHING, True, False)
        for choice in (
            [now for now in likely if now[-1].casefold() == was[-1].casefold()],
            [now for now in likely if now[:-1] == was[:-1] and (telling or _akin(was[-1], now[-1]))],
            [now for now in likely if len(flat(value)) > 1],
            [
                now
                for now, other in fresh.items()
                if now not in taken
                and now[:-1] == was[:-1]
                and _akin(was[-1], now[-1])
                and (None in (value, other) or _form(value) == _form(other))
            ],
        ):
            if len(choice) == 1:
                pairs.append((was, choice[0]))
                break
    return pairs


def _akin(one: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, one.casefold(), other.casefold()).ratio() > 0.6


def _renamed(new: Side, reads: _Reads, was: Path, now: Path, old: Any, value: Any) -> Iterator[tuple[Path, Reason]]:
    about = f"values {key_text(was)}"
    if _accepted(new, reads, was):
        meaning = f"is called {key_text(now)} now; the old name is still read"
        yield was, Reason("minor", about, old, value, meaning)
    else:
        then = "is refused" if _refused(new, was) else "has no effect"
        meaning = f"is called {key_text(now)} now: a values file that sets the old name {then} until it follows"
        yield was, Reason("major", about, old, value, meaning)
    yield now, Reason("none", f"values {key_text(now)}", None, value, f"was called {key_text(was)}")


def _removed(new: Side, before: _Reads, reads: _Reads, path: Path, value: Any) -> Reason:
    about = f"values {key_text(path)}"
    if not (before.reads(path) or before.spells(path[-1]) or _refused(new, path)):
        return Reason("patch", about, value, None, "is no longer there; no template read it")
    if _accepted(new, reads, path):
        if reads.gives(path, value):
            return Reason("patch", about, value, None, "is the default in a template now; it can still be set")
        level: Level = "minor" if value is not None else "patch"  # null is what it has now, too
        return Reason(level, about, value, None, "has no default any more; the templates read it still")
    if _refused(new, path):
        return Reason("major", about, value, None, "a values file that sets it is refused: take it out there")
    return Reason("major", about, value, None, "a values file that sets it has no effect any more")


def _refused(side: Side, path: Path) -> bool:
    """Whether the schema refuses the key at `path`."""
    return side.schema is not None and schemas.named(schemas.Inlined(side.schema).schema, path)[0] == schemas.NEVER


def _accepted(side: Side, reads: _Reads, path: Path) -> bool:
    """Whether the chart still does something with a key that values.yaml does not have."""
    named = reads.reads(path) and (reads.exactly(path) or reads.spells(path[-1]))
    return not _refused(side, path) and (named or reads.writes(path))


def _default_level(
    path: Path, old: Any, new: Any, *, versions: Iterable[tuple[str, str]], reread: bool = False
) -> tuple[Level, str]:
    """`reread`: the templates read it in another way than before. `versions` as for `bears`."""
    name = path[-1]
    nothing = [side in _NOTHING for side in (old, new)]
    if _shape(old) is not _shape(new) and None not in (old, new) and (reread or not any(nothing)):
        return _SHAPED
    lists = isinstance(old, list) and isinstance(new, list) and old and new
    if lists and {*map(_shape, old)}.isdisjoint(map(_shape, new)):
        return _SHAPED
    if all(nothing):
        return "patch", "another way of setting nothing"
    if isinstance(old, str) and isinstance(new, str):
        if (name.casefold() == "digest" and old and new) or (_DIGEST.fullmatch(old) and _DIGEST.fullmatch(new)):
            return "patch", "another build of the image"
        if _TAG.search(".".join(path).casefold()) and old and new:
            return judge_image(f"image:{old}", f"image:{new}")
        if name.casefold().endswith("repository") and old and new and same_repository(old, new):
            return "patch", "another name of the same image"
        if name.casefold().endswith("image") and is_tagged(old) and is_tagged(new):
            return judge_image(old, new)
        if bears(old, new, versions):
            return "patch", "bears the version"
    if None not in (old, new) and str(old).casefold() == str(new).casefold():
        return "patch", "the same, written as another type"
    binary = all(str(side).endswith("i") for side in (old, new))  # 1Gi, which means the same wherever it stands
    if quantity(old) is not None and quantity(old) == quantity(new) and ("resources" in path or binary):
        return "patch", "the same amount in another unit"
    if name in _TIMING and len(path) > 1 and path[-2].endswith("robe"):
        return "patch", "the kubelet asks at other times"
    return "minor", "an installation that does not set it gets the new default"


def _shape(value: Any) -> type:
    return list if isinstance(value, list) else dict if isinstance(value, Mapping) else str


def _form(value: Any) -> tuple[type, bool]:
    return _shape(value), isinstance(value, bool)


_SHAPED: tuple[Level, str] = ("major", "has another shape: a values file in the old one is refused or ignored")


def _reshaped(path: Path, old: Any, new: Any, before: _Reads, after: _Reads) -> Reason:
    about = f"values {key_text(path)}"
    sides = ((old, before, after), (new, after, before)) if None not in (old, new) else ()
    keyed = any(  # to the templates of the other side it is no map
        here.exactly((*path, key)) and not (there.spells(key) or there.writes((*path, key)))
        for value, here, there in sides
        for key in (value if isinstance(value, Mapping) else ())
    )
    if (old in _NOTHING or new in _NOTHING) and list not in (_shape(old), _shape(new)) and not keyed:
        emptied = new in _NOTHING
        return Reason("minor", about, old, new, "the default is empty now" if emptied else "the default sets keys now")
    return Reason(_SHAPED[0], about, old, new, _SHAPED[1])


_MISSING = object()  # a key that is not there


def _at(values: Any, path: Path) -> Any:
    for key in path:
        if not isinstance(values, Mapping) or key not in values:
            return _MISSING
        values = values[key]
    return values


class _Reads:
    """What the templates of a chart and of its dependencies read of the values, as far as their text tells."""

    def __init__(self, side: Side) -> None:
        parts = (side, *side.dependencies)
        texts = [_COMMENT.sub("", text) for part in parts for text in part.templates.values()]
        self._ranges: dict[str, set[str]] = {}  # what each helper goes through, by the helper's name
        for text in texts:
            name = ""
            for action in _ACTION.findall(text):
                name = found[1] if (found := _DEFINED.search(action)) else name
                if "range " in action:
                    self._ranges.setdefault(name, set()).add(" ".join(action.split()))
        text = "\n".join(texts)
        self._paths = {tuple(found[1].split(".")[1:]) for found in _REFERENCE.finditer(text)}
        self._paths |= {tuple(re.findall(r'"([^"]+)"', found[1])) for found in _INDEXED.finditer(text)}
        self._actions = [" ".join(found.split()) for found in _ACTION.findall(text)]
        self._words: dict[str, set[str]] = {}  # the actions by the names that stand in them
        for action in self._actions:
            for word in itertools.chain(*_WORD.findall(action)):
                self._words.setdefault(word, set()).add(action)
        for entry in side.listed:  # what helm itself and the dependencies read
            self._paths |= {tuple(one.strip().split(".")) for one in str(entry.get("condition") or "").split(",")}
            self._paths.add((called(entry),))
        self._paths.add(("global",))

    def reads(self, path: Path) -> bool:
        """Whether a template reads the key, something below it, or a map that it is in."""
        return any(found == path[: len(found)] or found[: len(path)] == path for found in self._paths)

    def optional(self, values: Leaves) -> set[Path]:
        """The keys that a template names and the values do not have, as a former name that is still honoured."""
        known = {path[:length] for path in values for length in range(1, len(path) + 1)}
        text = "\n".join(self._actions)
        return {path for path in self._paths if path and path not in known and f".Values.{'.'.join(path)}" in text}

    def exactly(self, path: Path) -> bool:
        """Whether a template names the key itself, or something below it."""
        return any(found[: len(path)] == path for found in self._paths)

    def actions(self, path: Path) -> frozenset[str]:
        """The actions that name the last key of a path, of whatever it is, and what helpers that get it go through."""
        found = self._words.get(path[-1], set[str]())
        helpers = {helper for action in found for helper in _CALLED.findall(action)}
        return frozenset(found).union(*(self._ranges.get(helper, ()) for helper in helpers))

    def gives(self, path: Path, value: Any) -> bool:
        """Whether a template has this very default for a key, by the word of it."""
        if value in _NOTHING:
            return False
        word = value if isinstance(value, str) else json.dumps(value, default=str)
        default = re.compile(rf"\bdefault\s+([\"`]?){re.escape(word)}\1(?![\w.-])")
        return any(default.search(action) for action in self.actions(path))

    def may_lack(self, path: Path) -> bool:
        """Whether a template may do something sensible without a key: it asks for it, or passes on the map it is in."""
        actions = self.actions(path)
        return not actions or any(_ASKING.search(action) for action in actions)

    def writes(self, path: Path) -> bool:
        """Whether a map that the key is in is written as it is, whatever its keys are called."""
        for length in range(1, len(path)):
            whole = re.compile(rf"\.Values\.{re.escape('.'.join(path[:length]))}(?![\w.])")
            for place, action in enumerate(self._actions):
                near = self._actions[place + 1 : place + _NEAR]
                if whole.search(action) and (
                    "toYaml" in action or _PAIRS.search(action) or any(_DOT.search(one) for one in near)
                ):
                    return True
        return False

    def spells(self, word: str) -> bool:
        """Whether the templates name a field so, of whatever it is."""
        return word in self._words


# -- the schema -----------------------------------------------------------------------------------


def _whole_schema(old: Side, reads: _Reads, changes: Sequence[schemas.Change]) -> Reason:
    """A schema that came, or went, as a whole."""
    if old.schema is not None:
        return Reason("minor", "schema", "values.schema.json", None, "no value is checked any more")
    found = (change for change in changes if change.effect == "narrower" or _checks(old, reads, change))
    narrow = [schemas.key_of(change.path) for change in found if change.path]
    closed = any(change.what == "additionalProperties" and change.new is False for change in changes)
    keys = ", ".join(dict.fromkeys(narrow))
    if not narrow and not closed:
        return Reason("patch", "schema", None, "values.schema.json", "a schema that refuses nothing")
    meaning = "values are checked: what was taken is refused"
    return Reason("major", "schema", None, keys or "values.schema.json", meaning)


def _checks(old: Side, reads: _Reads, change: schemas.Change) -> bool:
    """Whether a key that could be set before, to anything, gets a schema that refuses something."""
    value = _at(old.values, change.path)
    known = value is not _MISSING or reads.exactly(change.path)
    return change.what == "properties" and change.old is None and known and _binds(change.new, value)


def _binds(schema: Any, value: Any) -> bool:
    """Whether a schema without references refuses more than another kind of value in the place of a map."""
    if not isinstance(schema, Mapping) or not isinstance(value, Mapping) or schema.get("type") != "object":
        return bool(schema)
    inner = schema.get("properties", {}).items()
    rest = schema.keys() - {"type", "properties"}
    return bool(rest) or any(_binds(item, value[name]) for name, item in inner if name in value)


def _schema(
    old: Side, new: Side, reads: _Reads, changes: Sequence[schemas.Change], told: set[Path]
) -> Iterator[Reason]:
    """A reason for each key and word of the schema; the same change of many keys is told once."""
    before = schemas.Inlined(old.schema).schema

    def judge(change: schemas.Change) -> tuple[Level, str] | None:
        path, demands = change.path, change.what == "required" and change.effect == "narrower"
        if (change.what == "properties" and path in told) or (demands and _new_with_default(before, old, new, path)):
            return None
        if demands and _filled(old, new, reads, path):
            return "patch", "must be there, as its default is: no template did without it"
        if change.what == "type" and _at(new.values, path) not in (_MISSING, None):
            was, now = ({side} if isinstance(side, str) else {*(side or ())} for side in (change.old, change.new))
            if now and was - now == {"null"}:  # which takes the default away before the schema is asked
                return ("minor", _WIDER) if now - was else None
        return _schema_level(old, reads, change)

    for change, level, meaning in schemas.judged(changes, judge, "keys"):
        was, now = (
            side if change.what == "properties" or side is None else {change.what: side}
            for side in (change.old, change.new)
        )
        yield Reason(level, f"schema {schemas.key_of(change.path) or '(top level)'}", was, now, meaning)


def _elsewhere(old: Side, new: Side) -> Iterator[tuple[str, str]]:
    """The documents elsewhere that the old schema refers to, each with the one that the new schema has for it."""
    before, after = (dict.fromkeys(_REMOTE.findall(json.dumps(side.schema))) for side in (old, new))
    gone, fresh = [one for one in before if one not in after], [one for one in after if one not in before]
    if len(gone) == len(fresh) == 1:
        yield gone[0], fresh[0]
        return
    for was in gone:  # that differ by their version
        alike = [now for now in fresh if re.sub(r"\d+", "", now) == re.sub(r"\d+", "", was)]
        if len(alike) == 1:
            yield was, alike[0]


def _referring(schema: Any, documents: Mapping[str, str]) -> Any:
    """A schema with other documents in its references."""

    def refer(key: str, text: str) -> str:
        document, hash_, place = text.partition("#")
        return documents.get(document, document) + hash_ + place if key == "$ref" else text

    return mapped(schema, refer)


def _new_with_default(before: schemas.Schema, old: Side, new: Side, path: Path) -> bool:
    """Whether a key that is required now is not in the schema `before`, and has a default: helm always fills it in."""
    known = schemas.named(before, path)[1] or _at(old.values, path) is not _MISSING
    return not known and _at(new.values, path) not in (_MISSING, None)


def _filled(old: Side, new: Side, reads: _Reads, path: Path) -> bool:
    """Whether a key that is required now has a default on both sides, and null for it gave nothing that works."""
    defaults = [_at(side.values, path) for side in (old, new)]
    return all(value not in (_MISSING, None) for value in defaults) and not reads.may_lack(path)


_WIDER = "more is taken than before"


def _schema_level(old: Side, reads: _Reads, change: schemas.Change) -> tuple[Level, str]:
    what, narrower = change.what, change.effect == "narrower"
    if what == "properties":
        if narrower:
            return "major", "a values file that sets it is refused: take it out there"
        if _checks(old, reads, change):
            return "major", "is checked from now on: a values file with another kind of value is refused"
        return ("minor", "a new setting") if change.new is not None else ("patch", "is no longer checked")
    if not narrower:
        return "minor", _WIDER
    if what == "required":
        if _at(old.values, change.path) in (_MISSING, None):
            return "major", "must be set: a values file without it is refused"
        return "major", "must be there: a values file that takes it away with null is refused"
    if what == "additionalProperties" and isinstance(change.new, Mapping) and "only" in change.new:
        return "major", "a values file with a key that matches none of the patterns is refused"
    if what == "additionalProperties" and change.new is False:
        return "major", "a values file with a key of its own here is refused"
    return "major", "a values file with what was taken before may be refused"


# -- the further values files ---------------------------------------------------------------------


def _files(old: Side, new: Side) -> Iterator[Reason]:
    for name in sorted({*old.settings, *new.settings} - {"values.yaml"}):
        was, now = old.settings.get(name), new.settings.get(name)
        if was is None or now is None:
            meaning = "a new values file" if was is None else "the values file is no longer there: keep a copy of it"
            yield Reason("minor", name, None if was is None else name, None if now is None else name, meaning)
            continue
        before, after = flat(was), flat(now)
        for path in dict.fromkeys([*before, *after]):
            one, other = before.get(path), after.get(path)
            if one != other:
                both = path in before and path in after
                level = _default_level(path, one, other, versions=versions(old, new))[0] if both else "minor"
                meaning = f"an installation with {name} gets it"
                yield Reason("minor" if level == "major" else level, f"{name} {key_text(path)}", one, other, meaning)
