"""Reads JSON of any origin: what cannot be read, also for how deep it is nested, is a ValueError."""

from __future__ import annotations

import json
from typing import Any


def load(data: str | bytes, **options: Any) -> Any:
    """What `data` says. Raises ValueError, of which UnicodeDecodeError and json.JSONDecodeError are kinds."""
    try:
        return json.loads(data, **options)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping in which no key stands twice: of those that differ by their case a program in Go takes the last.

    For `load`, as `object_pairs_hook`. Raises ValueError.
    """
    if len({key.casefold() for key, _ in pairs}) < len(pairs):
        raise ValueError(f"a key stands twice: {', '.join(key for key, _ in pairs)}")
    return dict(pairs)


def first(text: str) -> Any:
    """The first value in `text`, whatever follows it, as a decoder of Go reads it. Raises ValueError."""
    try:
        return json.JSONDecoder().raw_decode(text.lstrip(" \t\r\n"))[0]
    except RecursionError:
        raise ValueError("nested too deeply") from None
