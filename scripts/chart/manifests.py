"""Reads rendered manifests into documents that can be looked up by kind and name and compared object by object."""

from __future__ import annotations

import difflib
import functools
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from scripts.core.errors import ChartError
from scripts.core.paths import below
from scripts.core.yaml_read import loader

_START = re.compile(r"\n---(?=\s|\Z)")  # fifteen times as quick as a `^`, of which an expression finds every one
_HEAD = re.compile(r"(?:---[ \t]*\n)?(?:# Source: (\S.*)\n)?")  # what helm puts before a file's own text


class Identity(NamedTuple):
    """What makes two objects the same one to a cluster; the API version is no part of it."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        where = f" ({self.namespace})" if self.namespace else ""
        return f"{self.kind}/{self.name}{where}"


@dataclass(frozen=True)
class Document:
    """One rendered object. `source` is the template file as helm names it (`chart/templates/x.yaml`), "" if unknown.

    `text` is that of this object alone, as rendered, or of one in a list as JSON. Parts an object lacks are "".
    `release_namespace` is where an object without one goes.
    """

    data: Mapping[str, Any]
    source: str = ""
    text: str = ""
    release_namespace: str = ""

    @property
    def api_version(self) -> str:
        return _text(self.data.get("apiVersion"))

    @property
    def kind(self) -> str:
        return _text(self.data.get("kind"))

    @property
    def name(self) -> str:
        return _text(self._metadata.get("name"))

    @property
    def label(self) -> str:
        """What a person calls it: "Deployment web"."""
        return f"{self.kind} {self.name}"

    @property
    def namespace(self) -> str:
        return _text(self._metadata.get("namespace"))

    @property
    def space(self) -> str:
        """The namespace that it goes to, said or not."""
        return self.namespace or self.release_namespace

    @property
    def elsewhere(self) -> bool:
        """Whether it names a namespace that is not the release's."""
        return self.space != self.release_namespace

    @property
    def identity(self) -> Identity:
        """The namespace of the release is left out: an object means the same with it and without."""
        group, namespace = self.api_version.rpartition("/")[0], self.namespace
        return Identity(group, self.kind, "" if namespace == self.release_namespace else namespace, self.name)

    @property
    def hook(self) -> frozenset[str]:
        """The events at which helm makes the object (`pre-install`); none for an object of the release itself."""
        written = _text(self.annotations.get("helm.sh/hook")).lower().replace("test-success", "test")  # as in Helm 2
        return frozenset(event.strip() for event in written.split(",") if event.strip())

    @property
    def annotations(self) -> Mapping[str, Any]:
        return mapping(self._metadata.get("annotations"))

    @property
    def labels(self) -> Mapping[str, Any]:
        return mapping(self._metadata.get("labels"))

    @property
    def spec(self) -> Mapping[str, Any]:
        return mapping(self.data.get("spec"))

    @property
    def _metadata(self) -> Mapping[str, Any]:
        return mapping(self.data.get("metadata"))


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` where it is one; a chart may render anything in the place of one."""
    return value if isinstance(value, dict) else {}  # quicker asked for than a Mapping, and all that is read is one


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The mappings in a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def at(value: Any, path: str) -> Any:
    """What stands at a dotted path, None where nothing does."""
    for key in path.split("."):
        value = mapping(value).get(key)
    return value


def nodes(value: Any) -> Iterator[Any]:
    """Every mapping in `value`: one before those in it, which are looked for once it was dealt with."""
    if isinstance(value, dict):
        yield value
        value = [*value.values()]
    for item in value if isinstance(value, list) else ():
        yield from nodes(item)


def mapped(value: Any, change: Callable[[str, str], Any], key: str = "") -> Any:
    """The same with every text in it changed, by the key that it stands under, alone or in a list, and by itself."""
    if isinstance(value, dict):
        return {name: mapped(item, change, name) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [mapped(item, change, key) for item in value]
    return change(key, value) if isinstance(value, str) else value


@dataclass(frozen=True)
class Manifests:
    """The objects of one render, in the order in which they were rendered. `parts` make up the rendered text.

    `unknown` are the values of `helm.sh/hook` by which helm has left objects out.
    """

    documents: tuple[Document, ...]
    parts: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What was rendered. It is put together anew, since the renders of a large chart share most of their parts."""
        return "".join(self.parts)

    @functools.cached_property
    def sha256(self) -> str:
        """Of the rendered text."""
        digest = hashlib.sha256()
        for part in self.parts:
            digest.update(part.encode())
        return digest.hexdigest()

    def leading(self, of: re.Pattern[str]) -> Manifests:
        """The first of them, as long as they come of files whose names are `of` a kind."""
        end = 0
        for head, body in zip(self.parts[::2], self.parts[1::2], strict=True):
            found = _HEAD.match(head)
            if found and found[1] and not of.match(found[1]):
                break
            end += len((head, body))
        documents = tuple(itertools.takewhile(lambda one: of.match(one.source), self.documents))
        return Manifests(documents, self.parts[:end])

    def followed_by(self, other: Manifests) -> Manifests:
        """These, and then those of `other`."""
        return Manifests(self.documents + other.documents, self.parts + other.parts, self.unknown + other.unknown)

    def __iter__(self) -> Iterator[Document]:
        return iter(self.documents)

    def __len__(self) -> int:
        return len(self.documents)

    def all(self, kind: str) -> tuple[Document, ...]:
        """Every object of `kind`."""
        return tuple(document for document in self.documents if document.kind == kind)

    def repeated(self) -> tuple[Document, ...]:
        """The objects that an earlier one of the same identity already declares; hooks at other events do not."""
        seen: dict[Identity, list[frozenset[str]]] = {}
        twice = []
        for document in self.documents:
            events = seen.setdefault(document.identity, [])
            if document.name and any(document.hook == known or document.hook & known for known in events):
                twice.append(document)
            events.append(document.hook)
        return tuple(twice)


class Parser:
    """Reads rendered texts; what several of them have in common is parsed, and kept in memory, once.

    `namespace` is the release's. Of a key that stands twice the last counts, as to helm and the API server. Safe for
    several threads: two may parse the same at once, which costs a moment.
    """

    def __init__(self, namespace: str = "") -> None:
        self._namespace = namespace
        self._known: dict[str, tuple[str, tuple[tuple[Mapping[str, Any], str], ...]]] = {}

    def read(self, text: str, unknown: Iterable[str] = ()) -> Manifests:
        """The objects in what `helm template` printed, lists opened; `unknown` are hooks that it has left out.

        Raises ChartError naming a template of none.
        """
        documents: list[Document] = []
        parts: list[str] = []
        line, source = 1, ""
        starts = [0, *(match.start() + 1 for match in _START.finditer(text)), len(text)]
        for begin, end in itertools.pairwise(starts):
            head = _HEAD.match(text, begin, end)
            cut = head.end() if head else begin
            if head and head[1]:  # helm names a file once, however many documents are in it
                source = head[1].strip()
            parts.append(text[begin:cut])
            line += parts[-1].count("\n")
            body, objects = self._objects(text[cut:end], source, line)
            parts.append(body)
            documents += [Document(data, source, text, self._namespace) for data, text in objects]
            line += body.count("\n")
        return Manifests(tuple(documents), tuple(parts), tuple(unknown))

    def _objects(self, body: str, source: str, line: int) -> tuple[str, tuple[tuple[Mapping[str, Any], str], ...]]:
        if body not in self._known:
            loaded = _load(body, source, line) if body.strip() else []
            objects = [item for data in loaded for item in opened(data)]
            as_it_is = len(loaded) == len(objects) == 1 and objects[0] is loaded[0]
            self._known[body] = body, tuple((one, body if as_it_is else json.dumps(one)) for one in objects)
        return self._known[body]


def read_manifests(text: str, namespace: str = "") -> Manifests:
    """The objects of one rendered text; `Parser.read` says how."""
    return Parser(namespace).read(text)


@dataclass(frozen=True)
class FieldChange:
    """One field that differs. `path` is like `spec.containers[web].image`; None stands for "not there"."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Difference:
    """What leads from one set of manifests to another, with each field that differs; false when nothing does."""

    added: tuple[Identity, ...]
    removed: tuple[Identity, ...]
    changed: Mapping[Identity, tuple[FieldChange, ...]]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def difference(old: Manifests, new: Manifests) -> Difference:
    """The object-level difference; order of objects and keys does not count, and list items match by `name`."""
    before = {document.identity: document for document in old}
    after = {document.identity: document for document in new}
    changed = {
        identity: fields
        for identity in sorted(before.keys() & after.keys())
        if not before[identity].text or before[identity].text != after[identity].text  # most are the same, by far
        if (fields := tuple(changes(before[identity].data, after[identity].data)))
    }
    return Difference(tuple(sorted(after.keys() - before.keys())), tuple(sorted(before.keys() - after.keys())), changed)


def changes(old: Any, new: Any, path: str = "") -> Iterator[FieldChange]:
    """Every field that differs; what only one side has is one field. `path` leads to the two."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from changes(old.get(key), new.get(key), below(path, str(key)))
    elif (before := _by_name(old)) is not None and (after := _by_name(new)) is not None:
        renamed = dict(_renamed(before, after))
        for name in [*before, *(name for name in after if name not in {*before, *renamed.values()})]:
            yield from changes(before.get(name), after.get(renamed.get(name, name)), f"{path}[{name}]")
    elif isinstance(old, list) and isinstance(new, list):
        for was, now in _side_by_side(old, new):
            index = now if was is None else was
            one, other = None if was is None else old[was], None if now is None else new[now]
            yield from changes(one, other, f"{path}[{index}]")
    elif old != new or type(old) is not type(new):
        yield FieldChange(path, old, new)


def _side_by_side(old: list[Any], new: list[Any]) -> Iterator[tuple[int | None, int | None]]:
    """Which items of two lists to compare, so that one that came or went does not differ with all that follow it."""
    before, after = ([json.dumps(item, sort_keys=True, default=str) for item in side] for side in (old, new))
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            yield from itertools.zip_longest(range(a, b), range(c, d))


def _renamed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The names of before and of now of items that differ by these alone."""
    fresh = [name for name in after if name not in before]
    for name in (name for name in before if name not in after):
        if twin := next((one for one in fresh if {**after[one], "name": name} == before[name]), None):
            fresh.remove(twin)
            yield name, twin


def _by_name(items: Any) -> dict[str, Any] | None:
    """A list of mappings keyed by their names, or None where that would lose an item."""
    if not isinstance(items, list) or not items:
        return None
    named = {item["name"]: item for item in items if isinstance(item, Mapping) and isinstance(item.get("name"), str)}
    return named if len(named) == len(items) else None


def opened(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The objects in `data`: itself, or those of a `List` or a `PodList`, whose items may leave out what they are."""
    kind = _text(data.get("kind"))
    if not kind.endswith("List") or not isinstance(data.get("items"), list):
        yield data
        return
    for item in data["items"]:
        if isinstance(item, Mapping):
            said = item.get("kind") or item.get("apiVersion")
            inferred = {"apiVersion": data.get("apiVersion"), "kind": kind.removesuffix("List")}
            yield from opened(item if said else {**inferred, **item})


def _load(chunk: str, source: str, line: int) -> list[Mapping[str, Any]]:
    place = source or f"line {line} of the rendered text"
    try:
        loaded = [data for data in yaml.load_all(chunk, Loader=loader()) if data is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"rendered line {line + mark.line}" if mark else f"the document at rendered line {line}"
        raise ChartError(
            f"{place}: renders text that is not valid YAML",
            found=f"{where}: {getattr(error, 'problem', None) or error}",
        ) from error
    for data in loaded:
        if not isinstance(data, Mapping):
            raise ChartError(
                f"{place}: renders something that is not an object",
                expected="a mapping with apiVersion, kind and metadata",
                found=json.dumps(data, default=str)[:200],
            )
    return loaded


def _text(value: Any) -> str:
    return "" if value is None else str(value)
