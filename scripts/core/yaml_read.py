"""Reads YAML of any origin: safely, in bounded depth and size, and quickly where libyaml is there."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import math
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer

_DEEPEST = 500  # libyaml's loader goes one C call deeper for each level, and crashes the process at 100,000
_LARGEST = 1_000_000  # values once every alias is followed: ten lines of aliases can stand for billions
_TAG = "tag:yaml.org,2002:"
_MARKER = re.compile(r"[-?] ")
_ANCHOR = re.compile(r"(?<![^\s\[{,:-])&([^\s\[\]{},&]+)")
# What a plain scalar is for the reader of Helm and Kubernetes (sigs.k8s.io/yaml), which differs from PyYAML's: 1e3 and
# 0o17 are numbers, y is true; a date, a lone = and 22:30 are text. By tag: the pattern, and how such a text can begin.
_SCALARS = {
    "null": (r"~|null|Null|NULL|", ("~", "n", "N", "")),
    "bool": (r"y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON|n|N|no|No|NO|false|False|FALSE|off|Off|OFF", "yYtToOnNfF"),
    "int": (r"[-+]?(0[bB]_*[01][01_]*|0[oO]?[0-7_]*|0[xX]_*[0-9a-fA-F][0-9a-fA-F_]*|[1-9][0-9_]*)", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "merge": (r"<<", "<"),
}
_BASE: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_TRUE = frozenset({"y", "yes", "true", "on"})


def load(text: str | bytes) -> Any:
    """The one document in `text`, as Helm reads it. Raises yaml.YAMLError, also for what is too deep or too large."""
    return _loaded(text, loader())


def mapping_in(text: str | bytes) -> dict[str, Any]:
    """The mapping in `text`; an empty one where there is none that can be read."""
    with contextlib.suppress(yaml.YAMLError):
        return found if isinstance(found := load(text), dict) else {}
    return {}


def load_merged(text: str | bytes) -> Any:
    """The documents in `text` laid over each other, as Helm 4 reads values."""
    return _loaded(text, loader(), several=True)


def loaded(file: Path) -> Any:
    """The same of a file; None where there is none, or it cannot be read."""
    with contextlib.suppress(OSError, yaml.YAMLError):
        return load_merged(file.read_bytes())
    return None


def merge(into: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `values` over `into`, map by map, as helm does; returns `into`."""
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)
    return into


def load_texts(text: str | bytes) -> Any:
    """The same, where every scalar is text as it stands: a version 1.10 stays "1.10"."""
    return _loaded(text, _BASE)


def compose(text: str) -> Any:
    """The tree of nodes of the one document, which know their lines. Raises yaml.YAMLError."""
    return yaml.compose(text, Loader=loader())


def dump(value: Any, *, width: int = 10_000) -> str:
    """`value` as YAML of which Helm reads the same: in quotes stands also what is a text to PyYAML alone, as 1e3."""
    return str(yaml.dump(value, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=width))


def flaw_of(error: yaml.YAMLError) -> str:
    """What is wrong, in a line, without the place."""
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return "a map stands for a key, as {{ ... }} without quotes does" if problem == "found unhashable key" else problem


@functools.cache
def loader() -> Any:
    """The loader class for those who need more than one document, nodes, or rules of their own."""
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    def construct_mapping(loader: Any, node: Any, deep: bool = False) -> Any:
        found = base.construct_mapping(loader, node, deep)
        if {*map(type, found)} <= {str}:
            return found
        return {key if isinstance(key, str) else json.dumps(key, default=str): value for key, value in found.items()}

    def flatten_mapping(self: Any, node: Any) -> None:
        """Copies what `<<` names, of which each can hold the one before it many times."""
        named = [value for key, value in node.value if key.tag == f"{_TAG}merge"]
        parts = [one for value in named for one in (value.value if isinstance(value, yaml.SequenceNode) else [value])]
        merged = vars(self).setdefault("merged", {})
        if parts and id(node) not in merged:  # else it merges itself
            merged[id(node)] = 0
            for part in (each for each in parts if isinstance(each, yaml.MappingNode)):
                self.flatten_mapping(part)
            merged[id(node)] = sum(len(part.value) for part in parts)
            if sum(merged.values()) > _LARGEST:
                raise yaml.YAMLError("its aliases stand for too much")
        base.flatten_mapping(self, node)

    def begin(self: Any, stream: Any) -> None:
        base.__init__(self, stream)
        text = stream.decode(errors="replace") if isinstance(stream, bytes) else stream
        _demand_shallow(text)
        names = _ANCHOR.findall(text) if isinstance(text, str) and "&" in text else []
        self.anchors, self.composer = {}, base if len(names) == len({*names}) else Composer  # in C, which is quick

    def compose_node(self: Any, parent: Any, index: Any) -> Any:
        """An anchor may be set anew, which PyYAML refuses."""
        if not self.check_event(yaml.AliasEvent):
            self.anchors.pop(self.peek_event().anchor, None)
        return Composer.compose_node(self, parent, index)

    def composed(self: Any, name: str) -> Any:
        try:
            return getattr(self.composer, name)(self)
        except RecursionError:  # which is not in C
            raise yaml.YAMLError("nested too deep for anchors that are set anew") from None

    names = ("check_node", "get_node", "get_single_node")
    own: dict[str, Any] = {name: functools.partialmethod(composed, name) for name in names}
    own |= {"yaml_implicit_resolvers": {}, "__init__": begin, "compose_node": compose_node}
    own |= {"construct_mapping": construct_mapping, "flatten_mapping": flatten_mapping}
    made = _telling(type("HelmLoader", (base, Composer), own))  # y, as a key, is "true"
    made.add_constructor(f"{_TAG}bool", lambda self, node: self.construct_scalar(node).lower() in _TRUE)
    made.add_constructor(f"{_TAG}timestamp", made.construct_scalar)
    made.add_constructor(None, _tagged)
    for kind in ("int", "float"):
        made.add_constructor(f"{_TAG}{kind}", _number)
    return made


@functools.cache
def _dumper() -> Any:
    return _telling(type("HelmDumper", (yaml.SafeDumper,), {}))


def _telling(made: Any) -> Any:
    """`made`, a loader or dumper, which knows then what plain scalars are no text to Helm."""
    for kind, (pattern, first) in _SCALARS.items():
        made.add_implicit_resolver(f"{_TAG}{kind}", re.compile(f"(?:{pattern})\\Z"), list(first))
    return made


def _tagged(loader: Any, node: Any) -> Any:
    """What bears a tag of somebody's own, which helm passes over: a scalar is text then."""
    kind = "map" if isinstance(node, yaml.MappingNode) else "seq"
    return node.value if isinstance(node, yaml.ScalarNode) else loader.yaml_constructors[f"{_TAG}{kind}"](loader, node)


def _number(loader: Any, node: Any) -> Any:
    """An int or a float; the text as it stands where it is too large for one, or is none in spite of its tag."""
    digits = loader.construct_scalar(node).replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan")
    try:
        if node.tag.endswith(":int"):
            return int(digits, 8 if re.fullmatch(r"[-+]?0[0-7]+", digits) else 0)
        number = float(digits)
    except ValueError:
        return node.value
    return node.value if math.isinf(number) and "inf" not in digits else number


def _loaded(text: str | bytes, loader: Any, *, several: bool = False) -> Any:
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise yaml.YAMLError(f"not UTF-8 text: byte {error.start + 1} is {text[error.start]:#04x}") from None
    return pickle.loads(_kept(text, loader, several))  # noqa: S301 - written below


@functools.lru_cache(32)
def _kept(text: str, loader: Any, several: bool) -> bytes:
    """What the text says, for whoever asks again: a chart's values are read by a dozen parts, and slowly."""
    _demand_shallow(text)
    read = yaml.load_all if several else lambda *given: [yaml.load(*given)]  # noqa: S506 - a safe or a basic loader
    contents = [*read(text, loader)]
    if "*" in text and _size(contents, {}) > _LARGEST:
        raise yaml.YAMLError("its aliases stand for too much")
    return pickle.dumps(functools.reduce(_over, contents, None))


def _over(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return merge(below, above)
    return below if above is None or not isinstance(below, dict | None) else above


def _demand_shallow(text: str) -> None:
    """Raises yaml.YAMLError where values stand more than _DEEPEST deep in each other."""
    widest = max((len(line) - len(line.lstrip()) + len(_MARKER.findall(line)) for line in text.splitlines()), default=0)
    if text.count("[") + text.count("{") + widest < _DEEPEST:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_BASE):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise yaml.YAMLError(f"nested more than {_DEEPEST} deep")


def _size(value: Any, known: dict[int, int]) -> int:
    """How many values there are in `value`, each alias counted in full; one that holds itself is endless."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = _LARGEST  # what it is while it is counted: only then does it hold itself
        inside = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(item, known) for item in inside)
    return known[id(value)]
