"""Tells what differs between any two versions, or any two renders, from what somebody changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.chart.manifests import FieldChange, Identity, Manifests, difference

_LABEL = re.compile(r'(?:^|\.)metadata\.(labels|annotations)(?:\["(?P<quoted>.*)"\]|\.(?P<plain>[\w-]+))$')
_VERSION_KEYS = frozenset({"helm.sh/chart", "app.kubernetes.io/version", "chart"})


@dataclass(frozen=True)
class Noise:
    """What is passed over: labels that carry one of `versions` (old, new), checksums, and what is drawn anew."""

    versions: tuple[tuple[str, str], ...] = ()
    drawn: Mapping[Identity, frozenset[str]] = field(default_factory=dict)
    """The fields that differ from render to render of one and the same chart."""

    def folds(self, identity: Identity, change: FieldChange) -> str:
        """Why a change is none, "" where it is one."""
        if change.path in self.drawn.get(identity, ()):
            return "drawn anew at each render"
        found = _LABEL.search(change.path)
        if found is None or change.old is None or change.new is None:
            return ""
        key = found["quoted"] or found["plain"]
        if "checksum" in key:
            return f"{key} (follows)"
        old, new = str(change.old), str(change.new)
        carried = any(_replaced(old, *pair) == new for pair in self.versions if pair[0] != pair[1])
        return key if carried or key in _VERSION_KEYS else ""


def label_key(path: str) -> tuple[str, str] | None:
    """("labels" or "annotations", key) where `path` leads to one."""
    found = _LABEL.search(path)
    return (found[1], found["quoted"] or found["plain"]) if found else None


def drawn_fields(one: Iterable[Manifests], again: Iterable[Manifests]) -> dict[Identity, frozenset[str]]:
    """What differs between two renders of the same chart with the same values."""
    fields: dict[Identity, set[str]] = {}
    for first, second in zip(one, again, strict=True):
        for change in difference(first, second).changed:
            fields.setdefault(change.identity, set()).update(found.path for found in change.fields)
    return {identity: frozenset(paths) for identity, paths in fields.items()}


def _replaced(text: str, old: str, new: str) -> Any:
    """`text` with another version in it; a label cannot hold the `+` of one."""
    return text.replace(old, new).replace(old.replace("+", "_"), new.replace("+", "_")) if old else None
