"""Owns the comparison of a namespace's live objects before and after, field by field, without what always differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts.cluster import Api, Object


@dataclass(frozen=True)
class Snapshot:
    """The normalised objects of namespaces, by "Namespace/Kind.group/name"."""

    objects: dict[str, Object]


@dataclass(frozen=True)
class Difference:
    """One field that differs: `object` ("Deployment gati-ingress"), `path` of the field, its values (None: absent)."""

    object: str
    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.object}: {self.path}: {self.before!r} became {self.after!r}"


def take(api: Api, namespaces: Sequence[str]) -> Snapshot:
    """What is declared in the namespaces now: objects that somebody made, not what controllers derive from them."""
    raise NotImplementedError


def differences(before: Snapshot, after: Snapshot) -> tuple[Difference, ...]:
    """Every field in which the two differ, by object."""
    raise NotImplementedError
