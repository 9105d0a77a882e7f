"""Owns how a number of things is said, and which of many words is like one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def many(count: int | None, noun: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{count} {noun}{'s'[: count != 1]}"


def some(things: Iterable[object], most: int = 10) -> list[str]:
    """The first of many things in words, and how many there are more."""
    words = list(map(str, things))
    return [*words[:most], *([f"and {len(words) - most} more"] if len(words) > most else [])]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that somebody may have meant who wrote `word`."""
    return next(iter(difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.75)), None)
