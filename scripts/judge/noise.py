"""Tells what differs between any two versions, or any two renders, from what somebody changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from scripts.chart.manifests import FieldChange, Identity, Manifests, changes, difference, mapped, nodes
from scripts.judge.reason import bears

_KEY = r'(?:\["(?P<quoted>.*)"\]|\.(?P<plain>[\w-]+))$'
_LABEL = re.compile(rf"(?:^|\.)metadata\.(labels|annotations){_KEY}")
# What is selected bears the new version with the same step, and so it is the same that is watched or kept apart.
_FOLLOWS = re.compile(rf"\.labelSelector\.matchLabels{_KEY}")
_MONITORS = re.compile(rf"^spec\.selector\.matchLabels{_KEY}")
_VERSION_KEYS = frozenset({"helm.sh/chart", "app.kubernetes.io/version", "chart"})


@dataclass(frozen=True)
class Noise:
    """What is passed over: labels that carry one of `versions` (old, new) and who selects by them, checksums,
    and what is drawn anew."""

    versions: tuple[tuple[str, str], ...] = ()
    drawn: Mapping[Identity, frozenset[str]] = field(default_factory=dict)
    """The fields that differ from render to render of one and the same chart."""

    def and_drawn(self, more: Mapping[Identity, frozenset[str]]) -> Noise:
        """The same, with further fields that are drawn."""
        both = {**self.drawn, **{one: fields | self.drawn.get(one, frozenset()) for one, fields in more.items()}}
        return replace(self, drawn=both)

    def folds(self, identity: Identity, change: FieldChange) -> str:
        """Why a change is none, "" where it is one."""
        if change.path in self.drawn.get(identity, ()) and None not in (change.old, change.new):
            return "drawn anew at each render"
        found = _LABEL.search(change.path) or _FOLLOWS.search(change.path)
        if identity.kind in ("ServiceMonitor", "PodMonitor"):
            found = found or _MONITORS.search(change.path)
        if found is None or change.old is None or change.new is None:
            return ""
        key = found["quoted"] or found["plain"]
        if "checksum" in key:
            return f"{key} (follows)"
        old, new = str(change.old), str(change.new)
        return key if bears(old, new, self.versions) or key in _VERSION_KEYS else ""


def masked(kind: str, path: str, old: Any, new: Any) -> tuple[Any, Any]:
    """What stands at `path` of an object, before and after, without the content of a Secret."""
    secret = kind == "Secret" and path.startswith(("data", "stringData"))
    return ("***" if secret and old is not None else old), ("***" if secret and new is not None else new)


def leaves(change: FieldChange) -> Iterable[FieldChange]:
    """The keys of labels and annotations that came or went as a whole one by one."""
    if not re.search(r"metadata(\.(labels|annotations))?$", change.path):
        return (change,)
    old, new = (side if isinstance(side, Mapping) else {} for side in (change.old, change.new))
    return changes(old, new, change.path)


Pairs = Iterable[tuple[Manifests, Manifests]]
"""Two renders each of the same chart with the same values."""


def drawn_fields(pairs: Pairs) -> dict[Identity, frozenset[str]]:
    """What differs between two renders."""
    fields: dict[Identity, set[str]] = {}
    for first, second in pairs:
        for identity, changed in difference(first, second).changed.items():
            paths = {found.path for found in changed}
            paths |= {re.sub("^stringData", "data", path) for path in paths if identity.kind == "Secret"}
            fields.setdefault(identity, set()).update(paths)
    return {identity: frozenset(paths) for identity, paths in fields.items()}


@dataclass(frozen=True)
class DrawnName:
    """A name that is another at each render, such as x-test-{{ randAlphaNum 5 }}: what stands around what is drawn."""

    kind: str
    head: str
    length: int
    tail: str

    def steady(self, name: str) -> str:
        """`name` with a `*` for what was drawn; as it is where it is none of these. The release may be another."""
        pattern = f"(.*{re.escape(self.head)})[A-Za-z0-9]{{{self.length}}}{re.escape(self.tail)}"
        found = re.fullmatch(pattern, name)
        return f"{found[1]}*{self.tail}" if found else name


def drawn_names(pairs: Pairs) -> set[DrawnName]:
    """What is called otherwise in the second of two renders, objects and parts of them, where the rest of both names
    is the same."""
    found = set()
    for first, second in pairs:
        apart = difference(first, second)
        before, after = ({document.identity: document.data for document in side} for side in (first, second))
        same = zip(apart.changed, apart.changed, strict=True)
        both = ((was, now) for was in apart.removed for now in apart.added if was[:3] == now[:3])
        for was, now in (*same, *(one for one in both if _drawn_part(one[0].name, one[1].name))):
            called = zip(_called(before[was]), _called(after[now]), strict=False)
            found |= {DrawnName(was.kind, *part) for each, other in called if (part := _drawn_part(each, other))}
    return found


def _called(value: Any) -> Iterator[str]:
    """Every name in an object, its own and those of its containers, volumes and the like."""
    return (node["name"] for node in nodes(value) if isinstance(node.get("name"), str))


def _drawn_part(one: str, other: str) -> tuple[str, int, str] | None:
    """What stands before the one part between `-` and `.` in which two names differ, its length, and what follows."""
    parts, others = (re.split(r"([-.])", name) for name in (one, other))
    apart = [place for place, (was, now) in enumerate(zip(parts, others, strict=False)) if was != now]
    if len(parts) != len(others) or len(apart) != 1 or not apart[0]:
        return None
    (place,) = apart
    length = len(parts[place])
    return ("".join(parts[:place]), length, "".join(parts[place + 1 :])) if len(others[place]) == length else None


def steady(manifests: Manifests, drawn: Iterable[DrawnName]) -> Manifests:
    """The same objects, with a `*` for what is drawn of their names, wherever these stand."""
    known = tuple(drawn)
    names = {
        name: now
        for document in manifests
        for name in _called(document.data)
        for one in known
        if one.kind == document.kind and (now := one.steady(name)) != name
    }
    if not names:
        return manifests
    spelt = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))))

    def spell(_: str, text: str) -> str:
        return spelt.sub(lambda found: names[found[0]], text)

    return Manifests(tuple(replace(one, data=mapped(one.data, spell)) for one in manifests), manifests.parts)


Places = list[tuple[str, str]]
"""Names of values sets, each with a Kubernetes minor."""


T = TypeVar("T")


def join_clusters(found: dict[str, tuple[T, Places]]) -> None:
    """Put what differs by nothing but the minor of its cluster, as an image of kubectl may, with the first of them."""
    for key, (_, where) in [*found.items()]:
        if len(minors := {minor for _, minor in where}) == 1:
            alike = re.sub(rf"(?<![\d.]){re.escape(*minors)}(?!\d)", "MINOR", key)
            if alike != key:
                found.setdefault(f"MINOR {alike}", (found.pop(key)[0], []))[1].extend(where)
