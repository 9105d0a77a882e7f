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


def first(text: str) -> Any:
    """The first value in `text`, whatever follows it, as a decoder of Go reads it. Raises ValueError."""
    try:
        return json.JSONDecoder().raw_decode(text.lstrip(" \t\r\n"))[0]
    except RecursionError:
        raise ValueError("nested too deeply") from None
